"""Leases of API servers: those of servers that are no more go, all others stay."""

from datetime import timedelta

from make import NOW, an_object

from controllers.server_leases import is_of_a_server, plan
from wherry.api.coordination.lease import IDENTITY, SERVERS, Lease
from wherry.client.plan import CheckAgain, Delete
from wherry.client.world import World
from wherry.machinery.time import micro_time_text

TWO_HOURS = 7200


def a_lease(namespace: str = "kube-system", **labels: str) -> Lease:
    spec = {"lease_duration_seconds": 3600, "renew_time": micro_time_text(NOW)}
    return an_object(Lease, "apiserver-x", namespace=namespace, labels=labels, **spec)


def planned(lease: Lease, **later: float) -> list:
    return list(plan(lease, World(lease, now=NOW + timedelta(**later))))


def test_a_lease_goes_when_its_server_was_silent_for_two_hours():
    lease = a_lease(**{IDENTITY: SERVERS})

    assert planned(lease, hours=1) == [CheckAgain(3600)]
    assert planned(lease, seconds=TWO_HOURS) == [Delete(lease)]


def test_leases_of_nodes_and_leaders_are_not_its_concern():
    named = {IDENTITY: SERVERS}

    assert is_of_a_server(a_lease(**named))
    assert not is_of_a_server(a_lease())
    assert not is_of_a_server(a_lease(**{IDENTITY: "somebody-elses-server"}))
    assert not is_of_a_server(a_lease("shop", **named))
