"""ControllerRevision: one remembered version of a StatefulSet's or DaemonSet's template."""

from __future__ import annotations

from wherry.machinery.resource import Resource
from wherry.machinery.view import Verbatim


class ControllerRevision(Resource, group="apps", version="v1"):
    """One remembered version; `data` is a patch that brings it back."""

    revision: int = 0
    data: Verbatim = Verbatim()
