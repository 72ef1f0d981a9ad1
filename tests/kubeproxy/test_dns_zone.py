"""What names mean: Kubernetes' DNS specification, line by line."""

from ipaddress import IPv4Network

import pytest
from make import a_service

from kubeproxy.dns.zone import NO_DATA, UNKNOWN, Answer, Record, Zone, ZoneSettings
from tests.kubeproxy.slices import a_slice, an_endpoint

HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
SETTINGS = ZoneSettings(dns_address="10.96.0.10", networks=(IPv4Network("10.96.0.0/16"),))
ZONE = Zone(
    [
        a_service("web", ports=(HTTP, {"name": "dns", "port": 53, "protocol": "UDP"}), cluster_ip="10.96.0.7"),
        a_service("db", ports=(HTTP,), cluster_ip="None"),
        a_service("idle", ports=(HTTP,), cluster_ip="None"),
        a_service("far", ports=(), cluster_ip="", type="ExternalName", external_name="example.com"),
    ],
    [
        a_slice(
            "db",
            an_endpoint("10.244.0.5", hostname="db-0"),
            an_endpoint("10.244.0.6"),
            an_endpoint("10.244.0.7", hostname="db-2", ready=False),
        ),
        a_slice("web", an_endpoint("10.244.0.8", hostname="web-0")),
    ],
    SETTINGS,
)


def a(name: str, *addresses: str) -> Answer:
    return Answer(True, tuple(Record(name, "A", address) for address in addresses))


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web.default.svc.cluster.local.", ["10.96.0.7"]),
        ("db.default.svc.cluster.local.", ["10.244.0.5", "10.244.0.6"]),
        ("db-0.db.default.svc.cluster.local.", ["10.244.0.5"]),
        ("10-244-0-6.db.default.svc.cluster.local.", ["10.244.0.6"]),
        ("web-0.web.default.svc.cluster.local.", ["10.244.0.8"]),
        ("_http._tcp.web.default.svc.cluster.local.", ["10.96.0.7"]),
        ("10-1-2-3.default.pod.cluster.local.", ["10.1.2.3"]),
        ("ns.dns.cluster.local.", ["10.96.0.10"]),
    ],
)
def test_names_that_have_addresses(name: str, addresses: list[str]):
    assert ZONE.look_up(name, "A") == a(name, *addresses)
    assert ZONE.look_up(name, "AAAA") == NO_DATA


@pytest.mark.parametrize(
    "name",
    [
        "nobody.default.svc.cluster.local.",
        "web.elsewhere.svc.cluster.local.",
        "elsewhere.svc.cluster.local.",
        "idle.default.svc.cluster.local.",
        "db-2.db.default.svc.cluster.local.",
        "db-0.web.default.svc.cluster.local.",
        "_http._udp.web.default.svc.cluster.local.",
        "_https._tcp.web.default.svc.cluster.local.",
        "a.b.c.web.default.svc.cluster.local.",
        "x.far.default.svc.cluster.local.",
        "10-1-2-300.default.pod.cluster.local.",
        "example.com.default.svc.cluster.local.",
        "cluster.local.cluster.local.",
    ],
)
def test_names_that_do_not_exist(name: str):
    assert ZONE.look_up(name, "A") == UNKNOWN


@pytest.mark.parametrize("name", ["cluster.local.", "svc.cluster.local.", "default.svc.cluster.local."])
def test_names_between_exist_without_addresses(name: str):
    assert ZONE.look_up(name, "A") == NO_DATA


def test_a_port_of_a_service_has_one_srv_record():
    name, target = "_http._tcp.web.default.svc.cluster.local.", "web.default.svc.cluster.local."

    assert ZONE.look_up(name, "SRV") == Answer(
        True, (Record(name, "SRV", f"0 100 80 {target}"),), (Record(target, "A", "10.96.0.7"),)
    )


def test_a_port_of_a_headless_service_has_one_per_endpoint():
    name, parent = "_http._tcp.db.default.svc.cluster.local.", "db.default.svc.cluster.local."

    assert ZONE.look_up(name, "SRV") == Answer(
        True,
        (Record(name, "SRV", f"0 50 8080 10-244-0-6.{parent}"), Record(name, "SRV", f"0 50 8080 db-0.{parent}")),
        (Record(f"10-244-0-6.{parent}", "A", "10.244.0.6"), Record(f"db-0.{parent}", "A", "10.244.0.5")),
    )


@pytest.mark.parametrize("type", ["A", "AAAA", "CNAME", "SRV"])
def test_an_external_name_is_an_alias_whatever_is_asked(type: str):
    name = "far.default.svc.cluster.local."

    assert ZONE.look_up(name, type) == Answer(True, (Record(name, "CNAME", "example.com."),))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("7.0.96.10.in-addr.arpa.", "web.default.svc.cluster.local."),
        ("5.0.244.10.in-addr.arpa.", "db-0.db.default.svc.cluster.local."),
        ("6.0.244.10.in-addr.arpa.", "10-244-0-6.db.default.svc.cluster.local."),
    ],
)
def test_addresses_lead_back_to_names(name: str, target: str):
    assert ZONE.look_up(name, "PTR") == Answer(True, (Record(name, "PTR", target),))


def test_the_zone_owns_its_domain_and_its_networks():
    assert ZONE.owns("cluster.local.")
    assert ZONE.owns("nobody.cluster.local.")
    assert ZONE.owns("99.0.96.10.in-addr.arpa.")
    assert not ZONE.owns("mycluster.local.")
    assert not ZONE.owns("8.8.8.8.in-addr.arpa.")
    assert not ZONE.owns("x.8.8.8.in-addr.arpa.")
    assert not ZONE.owns(".")
