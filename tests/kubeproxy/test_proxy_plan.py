"""Which traffic goes where: services and slices in, routes out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_service

from kubeproxy.plan import Here, Planner, plan
from kubeproxy.rules import Frontend, Route, Rules, Target
from tests.kubeproxy.slices import a_slice, an_endpoint
from wherry.api.core.service import Service

HERE = Here("node-1")
HTTP = {"name": "http", "port": 80, "targetPort": 8080}


def web(**more: Any) -> Service:
    return a_service("web", ports=(HTTP,), cluster_ip="10.96.0.7", **more)


def only_route(service: Service, *slices: Any, here: Here = HERE) -> Route:
    (route,) = plan([service], slices, here).routes
    return route


def test_a_service_leads_to_its_ready_endpoints():
    slice = a_slice("web", an_endpoint("10.244.0.6"), an_endpoint("10.244.0.5"), an_endpoint("10.244.0.4", ready=False))

    assert plan([web()], [slice], HERE) == Rules(
        (
            Route(
                service="default/web",
                port_name="http",
                protocol="TCP",
                port=80,
                cluster_ips=("10.96.0.7",),
                everywhere=(Target("10.244.0.5", 8080), Target("10.244.0.6", 8080)),
            ),
        )
    )


def hinted(address: str, node: str, *, zones: tuple[str, ...] = (), nodes: tuple[str, ...] = (), **more: Any) -> Any:
    """An endpoint that says from where it should be used."""
    hints = {
        key: [{"name": name} for name in names] for key, names in (("forZones", zones), ("forNodes", nodes)) if names
    }
    return an_endpoint(address, node=node, hints=hints, **more)


def nearest(*endpoints: Any, zone: str = "a") -> list[str]:
    """Which endpoints node-1 leads to."""
    route = only_route(web(), a_slice("web", *endpoints), here=Here("node-1", zone=zone))
    return [target.address for target in route.everywhere]


def test_hints_keep_traffic_in_the_zone():
    near, far = hinted("10.244.0.5", "node-2", zones=("a",)), hinted("10.244.0.6", "node-3", zones=("b",))

    assert nearest(near, far) == ["10.244.0.5"]
    assert nearest(near, far, zone="") == ["10.244.0.5", "10.244.0.6"]
    assert nearest(near, far, zone="c") == ["10.244.0.5", "10.244.0.6"]


def test_hints_keep_traffic_on_the_node_and_else_in_the_zone():
    here = hinted("10.244.0.4", "node-1", zones=("a",), nodes=("node-1",))
    near = hinted("10.244.0.5", "node-2", zones=("a",), nodes=("node-2",))
    far = hinted("10.244.0.6", "node-3", zones=("b",), nodes=("node-3",))

    assert nearest(here, near, far) == ["10.244.0.4"]
    assert nearest(near, far) == ["10.244.0.5"]


def test_hints_count_only_if_every_ready_endpoint_has_them():
    near, silent = hinted("10.244.0.5", "node-2", zones=("a",)), an_endpoint("10.244.0.6")

    assert nearest(near, silent) == ["10.244.0.5", "10.244.0.6"]
    assert nearest(near, an_endpoint("10.244.0.6", ready=False)) == ["10.244.0.5"]


def test_an_endpoint_that_says_nothing_is_ready():
    assert only_route(web(), a_slice("web", an_endpoint("10.244.0.5", ready=None))).everywhere == (
        Target("10.244.0.5", 8080),
    )


def test_all_slices_of_a_service_count_and_those_of_others_do_not():
    slices = [
        a_slice("web", an_endpoint("10.244.0.5"), name="web-a"),
        a_slice("web", an_endpoint("10.244.0.5"), an_endpoint("10.244.0.6"), name="web-b"),
        a_slice("other", an_endpoint("10.244.0.7")),
        a_slice("web", an_endpoint("fd00::5"), name="web-6", address_type="IPv6"),
    ]

    assert only_route(web(), *slices).everywhere == (Target("10.244.0.5", 8080), Target("10.244.0.6", 8080))


def test_each_port_finds_the_slice_port_of_its_name():
    service = a_service("web", ports=(HTTP, {"name": "admin", "port": 81}), cluster_ip="10.96.0.7")
    slice = a_slice("web", an_endpoint("10.244.0.5"), ports=(("http", 8080), ("admin", 9090)))

    targets = {route.port: route.everywhere for route in plan([service], [slice], HERE).routes}

    assert targets == {80: (Target("10.244.0.5", 8080),), 81: (Target("10.244.0.5", 9090),)}


@pytest.mark.parametrize(
    "service",
    [
        a_service("web", cluster_ip="None"),
        a_service("web", cluster_ip="", type="ExternalName", external_name="example.com"),
        a_service("web", labels={"service.kubernetes.io/service-proxy-name": "other"}),
        a_service("web", cluster_ip="fd00::1"),
        a_service("web", ports=()),
    ],
)
def test_services_without_a_cluster_ip_of_ours_have_no_route(service: Service):
    assert plan([service], [a_slice("web", an_endpoint("10.244.0.5"))], HERE) == Rules()


def test_a_service_without_endpoints_has_a_route_without_targets():
    assert only_route(web()).targets(Frontend("10.96.0.7", "TCP", 80)) == ()


def test_when_none_is_ready_those_that_still_serve_while_they_end_answer():
    ending = an_endpoint("10.244.0.5", ready=False, serving=True, terminating=True)
    failing = an_endpoint("10.244.0.6", ready=False, serving=False, terminating=True)

    assert only_route(web(), a_slice("web", ending, failing)).everywhere == (Target("10.244.0.5", 8080),)
    ready = an_endpoint("10.244.0.7")
    assert only_route(web(), a_slice("web", ending, ready)).everywhere == (Target("10.244.0.7", 8080),)


def test_a_local_policy_keeps_to_the_endpoints_of_this_node():
    slice = a_slice("web", an_endpoint("10.244.0.5"), an_endpoint("10.244.1.5", node="node-2"))
    route = only_route(web(type="NodePort", internal_traffic_policy="Cluster", external_traffic_policy="Local"), slice)

    assert route.here == (Target("10.244.0.5", 8080),)
    assert route.targets(Frontend("10.96.0.7", "TCP", 80)) == (Target("10.244.0.5", 8080), Target("10.244.1.5", 8080))
    assert route.targets(Frontend("", "TCP", 30080)) == (Target("10.244.0.5", 8080),)


def test_an_internal_local_policy_is_about_cluster_ips():
    route = only_route(web(internal_traffic_policy="Local"), a_slice("web", an_endpoint("10.244.1.5", node="node-2")))

    assert route.internal_is_local
    assert route.targets(Frontend("10.96.0.7", "TCP", 80)) == ()


def test_node_ports_external_ips_and_load_balancers_are_frontends():
    service = a_service(
        "web",
        ports=({**HTTP, "nodePort": 30080},),
        cluster_ip="10.96.0.7",
        type="LoadBalancer",
        external_ips=["198.51.100.7"],
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"hostname": "lb.example.com"}]}},
    )

    assert only_route(service).frontends == (
        Frontend("10.96.0.7", "TCP", 80),
        Frontend("198.51.100.7", "TCP", 80),
        Frontend("203.0.113.9", "TCP", 80),
        Frontend("", "TCP", 30080),
    )


def test_affinity_lasts_as_long_as_the_service_says():
    assert only_route(web(session_affinity="ClientIP")).affinity_seconds == 10800
    config = {"clientIP": {"timeoutSeconds": 7}}
    assert only_route(web(session_affinity="ClientIP", session_affinity_config=config)).affinity_seconds == 7
    assert only_route(web()).affinity_seconds == 0


def test_queries_to_the_cluster_dns_go_to_this_nodes_own_server():
    here = Here("node-1", "10.96.0.10", Target("10.244.0.1", 53))

    assert plan([], [], here) == Rules(
        tuple(
            Route("cluster-dns", name, protocol, 53, ("10.96.0.10",), everywhere=(Target("10.244.0.1", 53),))
            for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
        )
    )


def test_a_dns_service_with_endpoints_of_its_own_is_left_alone():
    here = Here("node-1", "10.96.0.10", Target("10.244.0.1", 53))
    dns = a_service("kube-dns", ports=({"name": "dns-tcp", "port": 53},), cluster_ip="10.96.0.10")
    slice = a_slice("kube-dns", an_endpoint("10.244.0.9"), ports=(("dns-tcp", 5353),))

    owners = plan([dns], [slice], here).by_frontend()
    without = plan([dns], [], here).by_frontend()

    assert owners[Frontend("10.96.0.10", "TCP", 53)].everywhere == (Target("10.244.0.9", 5353),)
    assert owners[Frontend("10.96.0.10", "UDP", 53)].everywhere == (Target("10.244.0.1", 53),)
    assert without[Frontend("10.96.0.10", "TCP", 53)].everywhere == (Target("10.244.0.1", 53),)


def test_of_two_services_that_claim_a_frontend_the_first_has_it():
    services = [a_service(name, ports=(HTTP,), cluster_ip="10.96.0.7") for name in ("b", "a")]

    assert plan(services, [], HERE).by_frontend()[Frontend("10.96.0.7", "TCP", 80)].service == "default/a"


def test_an_address_that_is_none_is_passed_over():
    assert only_route(web(), a_slice("web", an_endpoint("10.244.0.300"), an_endpoint("x"))).everywhere == ()


def test_nobody_takes_over_the_cluster_ip_of_another():
    thief = a_service("a-thief", ports=(HTTP,), cluster_ip="10.96.0.9", externalIPs=["10.96.0.7"])

    rules = plan([thief, web()], [], HERE)

    assert rules.by_frontend()[Frontend("10.96.0.7", "TCP", 80)].service == "default/web"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["", "zone-1"])), max_size=12))
def test_who_plans_again_and_again_says_what_a_first_plan_would(steps: list[tuple[str, int, str]]):
    planner, services, slices = Planner(), {}, {}

    for name, endpoints, zone in steps:
        services[name] = services.get(name) or a_service(name, cluster_ip=f"10.96.0.{ord(name)}", ports=[{"port": 80}])
        slices[name] = a_slice(name, *(an_endpoint(f"10.244.0.{number + 1}") for number in range(endpoints)))
        if not endpoints:
            services.pop(name)
        here = Here("node-1", zone=zone)

        assert planner.plan(services.values(), slices.values(), here) == plan(services.values(), slices.values(), here)
