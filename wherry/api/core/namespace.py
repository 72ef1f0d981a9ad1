"""Namespace: a room for names. Behaviour: controllers/namespace.py empties a room that is deleted."""

from __future__ import annotations

from wherry.api.meta import Conditions
from wherry.machinery.resource import Resource
from wherry.machinery.view import View

VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


class NamespaceSpec(View):
    """While `finalizers` holds `kubernetes`, the room is not yet empty."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(View):
    """`phase` is Active or Terminating; conditions say what still stands in the room."""

    phase: str = "Active"
    conditions: Conditions = ()


class Namespace(
    Resource, version="v1", scope="Cluster", short=("ns",), subresources=("finalize", "status"), verbs=VERBS
):
    """A room for names."""

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()

    delete_returns_object = True
    name_rule = "label"
    selectable = {"status.phase": lambda namespace: namespace.status.phase}
