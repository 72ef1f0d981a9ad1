"""Eviction: the polite way to delete a pod, the body of `pods/NAME/eviction`."""

from __future__ import annotations

from typing import Any

from wherry.machinery.resource import Resource
from wherry.machinery.view import Verbatim


class Eviction(Resource, group="policy", version="v1", verbs=()):
    """Delete the pod of this name, unless a disruption budget forbids it now; served as a subresource only."""

    delete_options: Verbatim = Verbatim()

    @property
    def options(self) -> dict[str, Any]:
        """How the pod is to be deleted: a DeleteOptions as JSON."""
        return self.delete_options.raw
