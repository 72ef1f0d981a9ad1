"""Endpoints that people write themselves are copied into EndpointSlices."""

from typing import Any

import pytest
from make import a_service, an_object

from controllers.services.endpointslice_mirroring import plan
from wherry.api.core.endpoints import Endpoints
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.client.plan import Create, Delete, Update
from wherry.client.world import World

PORTS = [{"name": "http", "port": 80, "protocol": "TCP"}]
LABELS = {
    "kubernetes.io/service-name": "legacy",
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
}


def a_subset(*addresses: str, ports: Any = PORTS, **more: Any) -> dict[str, Any]:
    return {"addresses": [{"ip": address} for address in addresses], "ports": ports, **more}


def endpoints_with(*subsets: dict[str, Any], **more: Any) -> Endpoints:
    return an_object(Endpoints, "legacy", fields={"subsets": list(subsets)}, **more)


def planned(endpoints: Endpoints, *others: Any, selector: Any = None, **service: Any) -> list[Any]:
    return list(plan(endpoints, World(endpoints, a_service("legacy", selector=selector or {}, **service), *others)))


def copied(endpoints: Endpoints) -> EndpointSlice:
    """The slice that the plan makes, as it is stored."""
    (created,) = planned(endpoints)
    manifest = created.manifest
    fields = {key: manifest[key] for key in ("addressType", "endpoints", "ports")}
    labels, annotations = manifest["metadata"]["labels"], manifest["metadata"]["annotations"]
    return an_object(EndpointSlice, "legacy-1", owner=endpoints, labels=labels, annotations=annotations, fields=fields)


def test_addresses_and_ports_become_a_slice():
    not_ready = [{"ip": "10.1.2.4", "hostname": "two"}]

    (created,) = planned(endpoints_with(a_subset("10.1.2.3", notReadyAddresses=not_ready), labels={"team": "a"}))

    assert isinstance(created, Create)
    assert created.manifest["metadata"]["labels"] == {"team": "a", **LABELS}
    assert created.manifest["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    assert (created.manifest["addressType"], created.manifest["ports"]) == ("IPv4", PORTS)
    assert created.manifest["endpoints"] == [
        {"addresses": ("10.1.2.3",), "conditions": {"ready": True}},
        {"addresses": ("10.1.2.4",), "conditions": {"ready": False}, "hostname": "two"},
    ]


def test_families_and_ports_have_slices_of_their_own():
    other = [{"name": "admin", "port": 81, "protocol": "TCP"}]

    made = planned(endpoints_with(a_subset("10.1.2.3", "fd00::1"), a_subset("10.1.2.3", ports=other)))

    groups = {(one.manifest["addressType"], one.manifest["ports"][0]["port"]) for one in made}
    assert groups == {("IPv4", 80), ("IPv4", 81), ("IPv6", 80)}


def test_nothing_is_written_when_nothing_changed():
    endpoints = endpoints_with(a_subset("10.1.2.3"))

    assert planned(endpoints, copied(endpoints)) == []


def test_a_changed_address_and_a_label_taken_away_change_the_slice():
    present = copied(endpoints_with(a_subset("10.1.2.3"), labels={"team": "a"}))

    (update,) = planned(endpoints_with(a_subset("10.1.2.4")), present)

    assert isinstance(update, Update)
    assert update.patch["metadata"]["labels"] == {"team": None, **LABELS}
    assert [each["addresses"] for each in update.patch["endpoints"]] == [("10.1.2.4",)]


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
        {"deleted": True},
    ],
)
def test_endpoints_that_lead_nowhere_are_not_copied(more: dict[str, Any]):
    present = copied(endpoints_with(a_subset("10.1.2.3")))

    assert planned(endpoints_with(a_subset("10.1.2.3"), **more)) == []
    assert planned(endpoints_with(a_subset("10.1.2.3"), **more), present) == [Delete(present)]


@pytest.mark.parametrize("service", [{"selector": {"app": "web"}}, {"type": "ExternalName"}])
def test_services_whose_slices_come_from_elsewhere_have_no_copies(service: dict[str, Any]):
    endpoints = endpoints_with(a_subset("10.1.2.3"))
    present = copied(endpoints)

    assert planned(endpoints, present, **service) == [Delete(present)]
    assert list(plan(endpoints, World(endpoints, present))) == [Delete(present)]
