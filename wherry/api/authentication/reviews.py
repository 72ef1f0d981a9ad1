"""TokenReview and SelfSubjectReview: questions about who somebody is."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class TokenReview(Resource, group="authentication.k8s.io", version="v1", scope="Cluster", verbs=("create",)):
    """Who holds this token?"""


class SelfSubjectReview(Resource, group="authentication.k8s.io", version="v1", scope="Cluster", verbs=("create",)):
    """Who am I?"""
