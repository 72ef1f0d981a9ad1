"""Every cluster address of a service has an object, and networks stay while their addresses are taken."""

import pytest
from make import NOW, an_object

from controllers.services import service_cidrs
from controllers.services.ip_addresses import plan, repair
from wherry.api.core.service import Service
from wherry.api.networking.ip_address import IPAddress
from wherry.api.networking.service_cidr import PROTECTED, ServiceCIDR
from wherry.client.plan import CheckAgain, Create, Delete, SetStatus, Update
from wherry.client.world import World

LABELS = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


def a_service(address: str = "10.96.0.9") -> Service:
    return an_object(Service, "web", clusterIP=address, clusterIPs=[address])


def an_address(name: str = "10.96.0.9", *, labels: dict | None = None) -> IPAddress:
    parent = {"resource": "services", "namespace": "default", "name": "web"}
    return an_object(IPAddress, name, labels=LABELS if labels is None else labels, spec={"parentRef": parent})


def a_network(*cidrs: str, name: str = "kubernetes", **more) -> ServiceCIDR:
    return an_object(ServiceCIDR, name, spec={"cidrs": list(cidrs)}, **more)


def test_a_service_gets_an_object_for_its_address():
    service = a_service()

    [create] = plan(service, World(service))

    assert create == Create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": "10.96.0.9", "labels": LABELS},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "web"}},
        }
    )
    assert list(plan(service, World(service, an_address()))) == []
    assert list(plan(a_service("None"), World())) == []


def test_an_address_that_was_somebody_elses_a_moment_ago_is_waited_for():
    other = an_object(Service, "other", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"])

    assert list(plan(other, World(other, an_address()))) == [CheckAgain(5.0)]


@pytest.mark.parametrize("others", [[], [a_service("10.96.0.7")]], ids=["gone", "elsewhere"])
def test_an_address_that_its_service_does_not_have_is_given_back(others):
    address = an_address()

    assert list(repair(address, World(address, *others))) == [Delete(address)]
    assert list(repair(address, World(address, a_service()))) == []
    assert list(repair(an_address(labels={}), World())) == []


def test_a_network_is_ready_and_protected():
    network = a_network("10.96.0.0/16")

    status, update = service_cidrs.plan(network, World(network))

    assert isinstance(status, SetStatus)
    assert [(each.type, each.status) for each in status.obj.status.conditions] == [("Ready", "True")]
    assert update == Update(network, {"metadata": {"finalizers": [PROTECTED]}})


def test_a_network_that_goes_waits_for_its_addresses():
    network = a_network("10.96.0.0/16", finalizers=[PROTECTED], deleted=NOW)
    wider = a_network("10.0.0.0/8", name="wider")

    [waiting] = service_cidrs.plan(network, World(network, an_address()))
    [free] = service_cidrs.plan(network, World(network))
    [covered] = service_cidrs.plan(network, World(network, wider, an_address()))

    assert waiting.obj.status.conditions[0].reason == "Terminating"
    assert free == covered == Update(network, {"metadata": {"finalizers": None}})
