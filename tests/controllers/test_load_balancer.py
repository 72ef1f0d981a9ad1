"""Services of type LoadBalancer answer at the addresses of nodes."""

import pytest
from make import a_node, a_service, an_object

from controllers.services import load_balancer
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.client.plan import Event, SetStatus
from wherry.client.world import World


def balanced(name="web", **more):
    return a_service(name, **{"type": "LoadBalancer", "ports": ((80, 8080),), **more})


def node_at(name, address, **more):
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    }
    return a_node(name, status=status, **more)


def addresses(service, *objects):
    """Where the service would answer; None if nothing is written."""
    for action in load_balancer.plan(service, World(service, *objects)):
        if isinstance(action, SetStatus):
            return [(each.ip, each.ip_mode) for each in action.obj.status.load_balancer.ingress]
    return None


def a_slice(*nodes):
    endpoints = [{"addresses": ["10.1.0.1"], "nodeName": node, "conditions": {"ready": ready}} for node, ready in nodes]
    labels = {"kubernetes.io/service-name": "web"}
    fields = {"addressType": "IPv4", "endpoints": endpoints}
    return an_object(EndpointSlice, "web-1", api_version="discovery.k8s.io/v1", labels=labels, fields=fields)


N1, N2 = node_at("n1", "192.0.2.1"), node_at("n2", "192.0.2.2")


def test_it_answers_at_every_node_that_is_up():
    down, excluded = (
        node_at("n3", "192.0.2.3", ready=False),
        node_at("n4", "192.0.2.4", labels={load_balancer.EXCLUDED: ""}),
    )

    assert addresses(balanced(), N2, N1, down, excluded) == [("192.0.2.1", "VIP"), ("192.0.2.2", "VIP")]


def test_nodes_that_share_an_address_are_one_place():
    assert addresses(balanced(), N1, node_at("n9", "192.0.2.1")) == [("192.0.2.1", "VIP")]


def test_an_address_for_those_outside_is_better():
    node = a_node(
        "n",
        status={
            "addresses": [
                {"type": kind, "address": ip}
                for kind, ip in (("InternalIP", "10.0.0.1"), ("ExternalIP", "203.0.113.1"))
            ]
        },
    )

    assert addresses(balanced(), node) == [("203.0.113.1", "VIP")]


def test_a_local_policy_leaves_nodes_out_that_have_no_ready_endpoint():
    service, slice = balanced(external_traffic_policy="Local"), a_slice(("n1", False), ("n2", True))

    assert addresses(service, N1, N2, slice) == [("192.0.2.2", "VIP")]
    assert list(load_balancer.service_of(slice, World(service))) == [service.key]
    assert list(load_balancer.service_of(slice, World(balanced()))) == []


@pytest.mark.parametrize(
    "service",
    [balanced(load_balancer_class="example.com/metal"), a_service("web"), balanced(deleted=True)],
    ids=["another balancer's", "no balancer wanted", "going"],
)
def test_others_are_left_alone(service):
    assert list(load_balancer.plan(service, World(service, N1))) == []


def test_our_own_class_may_be_named():
    assert addresses(balanced(load_balancer_class="wherry.dev/service-lb"), N1) == [("192.0.2.1", "VIP")]


def test_a_service_that_is_no_load_balancer_any_more_loses_its_addresses():
    service = a_service("web", status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}})

    assert addresses(service, N1) == []


def test_what_is_said_already_is_not_written_again():
    service = balanced(status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}})

    assert list(load_balancer.plan(service, World(service, N1))) == []


def told(service, *objects):
    return [
        action.message for action in load_balancer.plan(service, World(service, *objects)) if isinstance(action, Event)
    ]


def test_the_older_of_two_services_has_the_port():
    old, new = balanced("a"), balanced("b")

    assert told(new, old, N1) == ["Error syncing load balancer: port 80/TCP of the nodes is in use already"]
    assert addresses(new, old, N1) is None
    assert addresses(old, new, N1) == [("192.0.2.1", "VIP")]


@pytest.mark.parametrize("port", [10250, 6443])
def test_what_nodes_listen_on_is_not_given_away(port):
    api = a_service("kubernetes", ports=((443, 6443),))

    assert told(balanced(ports=((port, 80),)), api, N1) == [
        f"Error syncing load balancer: port {port}/TCP of the nodes is in use already"
    ]


def test_every_balanced_service_hears_of_nodes():
    services = balanced("a"), balanced("b"), a_service("c")

    assert list(load_balancer.balanced(N1, World(*services))) == ["default/a", "default/b"]
