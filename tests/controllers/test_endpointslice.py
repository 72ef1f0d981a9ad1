"""EndpointSlices and Endpoints: which pods stand behind a service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import a_container, a_node, a_pod, a_service, an_object, to_json
from simulated import Cluster

from controllers.parts.service_pods import services_of
from controllers.parts.slice_packing import pack
from controllers.parts.zone_shares import ZONE
from controllers.services import endpoints, endpointslice
from wherry.api.core.endpoints import Endpoints
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import Endpoint, EndpointSlice
from wherry.client.plan import Create, Delete, Update
from wherry.client.world import World

WEB = {"app": "web"}
LABELS = {
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
}


def backend(name, ip, *, ready=True, **more):
    return a_pod(name, labels=WEB, ready=ready, node="n1", status={"podIP": ip, **more.pop("status", {})}, **more)


def a_slice(name, service, pods=(), ports=({"name": "", "protocol": "TCP", "port": 8080},), **more):
    world = World(service, *pods)
    made = [action.manifest for action in endpointslice.plan(service, world) if isinstance(action, Create)]
    fields = {"addressType": "IPv4", "endpoints": made[0]["endpoints"] if pods else [], "ports": list(ports)}
    return an_object(EndpointSlice, name, owner=service, labels=LABELS, fields=fields, **more)


def planned(service, *others):
    return list(endpointslice.plan(service, World(service, *others)))


def test_a_ready_pod_becomes_an_endpoint_of_a_new_slice():
    service, pod = a_service("web"), backend("a", "10.0.0.1")
    node = a_node("n1", labels={"topology.kubernetes.io/zone": "z1"})

    (created,) = planned(service, pod, node)

    assert created.manifest["metadata"]["labels"] == LABELS
    assert created.manifest["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert created.manifest["endpoints"] == [
        {
            "addresses": ("10.0.0.1",),
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "n1",
            "zone": "z1",
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": pod.metadata.uid},
        }
    ]


@pytest.mark.parametrize(
    ("pod", "publish", "conditions"),
    [
        ({"ready": False}, False, (False, False, False)),
        ({"ready": True, "deleted": True}, False, (False, True, True)),
        ({"ready": False}, True, (True, False, False)),
    ],
)
def test_conditions_tell_ready_serving_and_terminating(pod, publish, conditions):
    service = a_service("web", publish_not_ready_addresses=publish)

    (created,) = planned(service, backend("a", "10.0.0.1", **pod))

    told = created.manifest["endpoints"][0]["conditions"]
    assert (told["ready"], told["serving"], told["terminating"]) == conditions


@pytest.mark.parametrize(
    ("wanted", "hints"),
    [
        ("PreferClose", {"forZones": [{"name": "a"}]}),
        ("PreferSameZone", {"forZones": [{"name": "a"}]}),
        ("PreferSameNode", {"forZones": [{"name": "a"}], "forNodes": [{"name": "n1"}]}),
        (None, None),
    ],
)
def test_a_wish_for_short_ways_becomes_hints_of_ready_endpoints(wanted, hints):
    service, node = a_service("web", traffic_distribution=wanted), a_node("n1", labels={ZONE: "a"})
    pods = backend("a", "10.0.0.1"), backend("b", "10.0.0.2", ready=False)

    (created,) = planned(service, node, *pods)

    ready, waiting = created.manifest["endpoints"]
    assert (to_json(ready.get("hints")), waiting.get("hints")) == (hints, None)


def test_finished_pods_and_pods_without_address_are_no_endpoints():
    finished = backend("a", "10.0.0.1", phase="Succeeded")

    (created,) = planned(a_service("web"), finished, a_pod("b", labels=WEB, ready=True))

    assert (created.manifest["endpoints"], created.manifest["ports"]) == ([], [])


def test_named_ports_are_looked_up_in_each_pod():
    service = a_service("web", ports=[{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    ports = [[a_container(ports=[{"name": "web", "containerPort": number}])] for number in (8080, 9090)]
    pods = [backend(str(index), f"10.0.0.{index + 1}", containers=one) for index, one in enumerate(ports)]

    made = planned(service, *pods)

    assert [(one.manifest["ports"][0]["port"], len(one.manifest["endpoints"])) for one in made] == [
        (8080, 1),
        (9090, 1),
    ]


def test_a_hostname_is_told_only_below_the_pods_own_subdomain():
    service = a_service("web", cluster_ip="None")
    ours = backend("a", "10.0.0.1", hostname="a", subdomain="web")
    other = backend("b", "10.0.0.2", hostname="b", subdomain="mail")

    (created,) = planned(service, ours, other)

    assert [one.get("hostname") for one in created.manifest["endpoints"]] == ["a", None]
    assert created.manifest["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_nothing_is_written_when_nothing_changed():
    service, pod = a_service("web"), backend("a", "10.0.0.1")

    assert planned(service, pod, a_slice("web-1", service, [pod])) == []


def test_a_pod_that_is_no_longer_ready_changes_only_its_slice():
    service, pod = a_service("web"), backend("a", "10.0.0.1")
    slice = a_slice("web-1", service, [pod])

    (update,) = planned(service, backend("a", "10.0.0.1", ready=False), slice)

    assert update.obj == slice
    assert update.patch["endpoints"][0]["conditions"]["ready"] is False


def test_a_service_that_loses_its_selector_or_goes_loses_its_slices():
    service = a_service("web")
    slice = a_slice("web-1", service)

    assert planned(a_service("web", selector={}), slice) == [Delete(slice)]
    assert list(endpointslice.forget("default/web", World(slice))) == [Delete(slice)]


def test_slices_of_others_are_left_alone():
    other = an_object(EndpointSlice, "x", labels={"kubernetes.io/service-name": "web"})

    assert planned(a_service("web", selector={}), other) == []


def test_only_services_that_select_a_pod_are_woken():
    world = World(a_service("web"), a_service("mail", selector={"app": "mail"}), a_service("none", selector={}))

    assert list(services_of(a_pod(labels=WEB), world)) == ["default/web"]


def an_endpoint(number):
    return Endpoint(addresses=(f"10.0.{number // 250}.{number % 250 + 1}",))


def test_new_endpoints_go_where_something_changes_anyway():
    full, changing = (tuple(map(an_endpoint, numbers)) for numbers in ((0, 1), (2, 3)))
    slices = [an_object(EndpointSlice, fields={"endpoints": part}) for part in (full, changing)]

    packed = pack([an_endpoint(number) for number in (0, 1, 2, 7)], slices, most=3)

    assert [tuple(endpoints) for _, endpoints in packed.kept] == [full, (an_endpoint(2), an_endpoint(7))]
    assert packed.new == []


@given(st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=6), st.integers(1, 5))
def test_slices_always_hold_exactly_what_is_wanted_and_never_too_much(rounds, most):
    slices = []
    for wanted in rounds:
        packed = pack(map(an_endpoint, sorted(wanted)), slices, most)
        contents = [*(endpoints for _, endpoints in packed.kept), *packed.new]
        held = [endpoint.addresses for content in contents for endpoint in content]
        assert sorted(held) == sorted(an_endpoint(number).addresses for number in wanted)
        assert all(len(content) <= most for content in contents)
        slices = [an_object(EndpointSlice, fields={"endpoints": content}) for content in contents if content]


def test_a_thousand_pods_settle_in_few_writes():
    pods = [backend(f"p{number}", an_endpoint(number).addresses[0]) for number in range(250)]
    cluster = Cluster(a_service("web"), *pods)

    cluster.run(Service, endpointslice.plan, "default/web")
    assert sorted(len(one.endpoints) for one in cluster.list(EndpointSlice)) == [50, 100, 100]

    before = cluster.revision
    cluster.remove(cluster.get(Pod, "default/p7"))
    cluster.run(Service, endpointslice.plan, "default/web")
    assert cluster.revision == before + 1
    assert not cluster.run(Service, endpointslice.plan, "default/web")


def test_without_pods_one_empty_slice_remains():
    cluster = Cluster(a_service("web"), backend("a", "10.0.0.1"))
    cluster.run(Service, endpointslice.plan, "default/web")
    cluster.remove(cluster.get(Pod, "default/a"))

    cluster.run(Service, endpointslice.plan, "default/web")

    assert [one.endpoints for one in cluster.list(EndpointSlice)] == [()]
    assert not cluster.run(Service, endpointslice.plan, "default/web")


def endpoints_of(service, *pods):
    (action,) = endpoints.plan(service, World(service, *pods))
    return action.manifest


def test_endpoints_part_ready_from_waiting_and_leave_out_the_leaving():
    pods = backend("a", "10.0.0.1"), backend("b", "10.0.0.2", ready=False), backend("c", "10.0.0.3", deleted=True)

    (subset,) = endpoints_of(a_service("web"), *pods)["subsets"]

    assert [address["ip"] for address in subset["addresses"]] == ["10.0.0.1"]
    assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.0.0.2"]
    assert subset["ports"] == [{"protocol": "TCP", "port": 8080}]


def test_endpoints_over_capacity_are_cut_and_say_so():
    pods = [backend(f"p{number}", an_endpoint(number).addresses[0]) for number in range(1001)]

    manifest = endpoints_of(a_service("web"), *pods)

    assert len(manifest["subsets"][0]["addresses"]) == 1000
    assert manifest["metadata"]["annotations"] == {"endpoints.kubernetes.io/over-capacity": "truncated"}


def test_endpoints_settle_after_one_write_and_follow_the_pods():
    cluster = Cluster(a_service("web"), backend("a", "10.0.0.1"))

    assert cluster.run(Service, endpoints.plan, "default/web")
    assert not cluster.run(Service, endpoints.plan, "default/web")
    cluster.remove(cluster.get(Pod, "default/a"))
    assert cluster.run(Service, endpoints.plan, "default/web")
    assert cluster.list(Endpoints)[0].subsets == ()


def test_endpoints_of_services_without_selector_are_their_makers():
    service, own = a_service("web", selector={}), an_object(Endpoints, "web")

    assert list(endpoints.plan(service, World(service, own))) == []
    assert list(endpoints.forget("default/web", World(own))) == []


def test_endpoints_go_with_their_service():
    kept = an_object(Endpoints, "web", labels={"endpoints.kubernetes.io/managed-by": "endpoint-controller"})

    assert list(endpoints.forget("default/web", World(kept))) == [Delete(kept)]


def test_labels_of_the_service_are_passed_on():
    service = a_service("web", labels={"team": "shop"})
    slice = a_slice("web-1", a_service("web"), [backend("a", "10.0.0.1")])

    (update,) = planned(service, backend("a", "10.0.0.1"), slice)

    assert update == Update(slice, {"metadata": {"labels": {**LABELS, "team": "shop"}}})
