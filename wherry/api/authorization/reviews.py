"""Access reviews: questions about who may do what."""

from __future__ import annotations

from wherry.machinery.resource import Resource

GROUP = "authorization.k8s.io"


class SubjectAccessReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """May somebody do this?"""


class LocalSubjectAccessReview(Resource, group=GROUP, version="v1", verbs=("create",)):
    """May somebody do this in this namespace?"""


class SelfSubjectAccessReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """May I do this?"""


class SelfSubjectRulesReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """What may I do in this namespace?"""
