"""Binding: the scheduler's decision. Served by apiserver/subresources/binding.py."""

from __future__ import annotations

from wherry.api.meta import ObjectReference
from wherry.machinery.resource import Resource


class Binding(Resource, version="v1", verbs=("create",)):
    """A pod's place on a node."""

    target: ObjectReference = ObjectReference()
