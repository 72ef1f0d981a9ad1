"""Delete the Leases of API servers that are no more. Kubernetes: the API server's lease garbage collector.

It looks once an hour, so what has run out goes within two hours. So it does here, which is also why a clock that is off
by an hour deletes none of a server that lives.
"""

from __future__ import annotations

from datetime import timedelta

from wherry.api.coordination.lease import IDENTITY, SERVERS, Lease
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Plan
from wherry.client.world import World

KEPT_SECONDS = 3600
NAMESPACE = "kube-system"


def is_of_a_server(lease: Lease) -> bool:
    """Whether a server says by it that it is there; nodes and candidates for a lead have Leases too."""
    return lease.metadata.labels.get(IDENTITY) == SERVERS and lease.metadata.namespace == NAMESPACE


@controller(Lease, concerns=is_of_a_server)
def plan(lease: Lease, world: World) -> Plan:
    """Delete it when its time has come."""
    renewed_at = lease.spec.renew_time or lease.metadata.created_at
    if renewed_at is None or lease.metadata.deleted_at is not None:
        return
    goes_at = renewed_at + timedelta(seconds=lease.spec.lease_duration_seconds + KEPT_SECONDS)
    if goes_at <= world.now:
        yield Delete(lease)
    else:
        yield CheckAgain((goes_at - world.now).total_seconds())
