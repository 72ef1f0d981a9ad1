"""Lease: somebody's sign of life, or the right to lead. Behaviour: wherry/client/leader.py, kubelet, node lifecycle."""

from __future__ import annotations

from datetime import datetime

from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class LeaseSpec(View):
    """Who holds it and until when."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int = 0


class Lease(Resource, group="coordination.k8s.io", version="v1"):
    """Somebody's sign of life, or the right to lead."""

    spec: LeaseSpec = LeaseSpec()

    unconditional_update = False
    create_on_update = True
