"""Eviction: the wish to delete a pod if its disruption budget allows. Served by apiserver/subresources/eviction.py."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class Eviction(Resource, group="policy", version="v1", verbs=()):
    """The wish to delete a pod if its budget allows; exists only as a subresource."""
