"""Which nodes each plugin keeps a pod off."""

import pytest
from scheduling import a_container, a_node, a_view, fitting, gpu_node, tainted


def requirement(operator, *values, key="zone"):
    return {"key": key, "operator": operator, "values": list(values)}


def requiring(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return a_view(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})


ZONES = [
    a_node("a", labels={"zone": "5"}),
    a_node("b", labels={"zone": "70"}),
    a_node("c", labels={"zone": "x"}),
    a_node("d"),
]


@pytest.mark.parametrize(
    ("wanted", "nodes"),
    [
        (requirement("In", "5", "x", "nowhere"), {"a", "c"}),
        (requirement("NotIn", "5"), {"b", "c", "d"}),
        (requirement("Exists"), {"a", "b", "c"}),
        (requirement("DoesNotExist"), {"d"}),
        (requirement("Gt", "5"), {"b"}),
        (requirement("Lt", "70"), {"a"}),
        (requirement("Gt", "many"), set()),
        (requirement("Like", "5"), set()),
    ],
)
def test_every_operator_of_required_affinity(wanted, nodes):
    assert fitting(requiring({"matchExpressions": [wanted]}), *ZONES) == nodes


def test_requirements_of_a_term_all_hold_and_one_term_is_enough():
    both = {"matchExpressions": [requirement("Exists"), requirement("NotIn", "5")]}
    by_name = {"matchFields": [requirement("In", "d", key="metadata.name")]}

    assert fitting(requiring(both, by_name), *ZONES) == {"b", "c", "d"}


def test_an_empty_term_matches_nothing():
    assert fitting(requiring({}), *ZONES) == set()
    assert fitting(requiring(), *ZONES) == set()


def test_a_node_selector_must_match_whole():
    nodes = [a_node("a", labels={"disk": "ssd", "zone": "1"}), a_node("b", labels={"disk": "ssd"})]

    assert fitting(a_view(node_selector={"disk": "ssd", "zone": "1"}), *nodes) == {"a"}


def test_changed_labels_are_seen():
    from scheduling import snapshot_of

    snapshot = snapshot_of(*ZONES)
    fits = snapshot.columns.label("zone").is_in(["new"])
    snapshot.set_node(a_node("d", labels={"zone": "new"}))

    assert (fits.tolist(), snapshot.columns.label("zone").is_in(["new"]).tolist()) == (
        [False] * 4,
        [False] * 3 + [True],
    )


def test_a_cordoned_node_takes_only_pods_that_tolerate_it():
    nodes = [a_node("open"), a_node("cordoned", unschedulable=True)]
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}

    assert fitting(a_view(), *nodes) == {"open"}
    assert fitting(a_view(tolerations=[toleration]), *nodes) == {"open", "cordoned"}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_needs_a_toleration(toleration, fits):
    assert fitting(a_view(tolerations=[toleration]), tainted("t", "gpu=yes:NoSchedule")) == ({"t"} if fits else set())


def test_a_soft_taint_keeps_nobody_off():
    assert fitting(a_view(), tainted("t", "slow=:PreferNoSchedule")) == {"t"}


def test_a_node_holds_what_is_free_and_no_more():
    nodes = [gpu_node("one", 1), gpu_node("two", 2), a_node("none")]
    running = a_view(requests={"nvidia.com/gpu": "1", "cpu": "3500m"})

    assert fitting(a_view(requests={"nvidia.com/gpu": "1"}), *nodes, placed=[(running, "one")]) == {"two"}
    assert fitting(a_view(requests={"cpu": "500m"}), *nodes, placed=[(running, "one")]) == {"one", "two", "none"}
    assert fitting(a_view(requests={"cpu": "501m"}), *nodes, placed=[(running, "one")]) == {"two", "none"}


def test_a_node_has_places_for_so_many_pods():
    full, empty = a_node("full", allocatable={"pods": "1"}), a_node("empty", allocatable={"pods": "1"})

    assert fitting(a_view(), full, empty, placed=[(a_view(), "full")]) == {"empty"}


def test_a_pod_that_asks_for_nothing_fits_on_an_overcommitted_node():
    running = a_view(requests={"cpu": "100"})

    assert fitting(a_view(), a_node("a"), placed=[(running, "a")]) == {"a"}


def port(number, address="", protocol="TCP"):
    ports = [{"containerPort": 80, "hostPort": number, "hostIP": address, "protocol": protocol}]
    return a_view(containers=[a_container(ports=ports)])


@pytest.mark.parametrize(
    ("wanted", "is_free"),
    [
        (port(80), False),
        (port(81), True),
        (port(80, protocol="UDP"), True),
        (port(80, "10.0.0.1"), False),
        (port(80, "10.0.0.2"), True),
    ],
)
def test_a_host_port_is_taken_by_one_pod_of_an_address(wanted, is_free):
    taken = port(80, "10.0.0.1")

    assert fitting(wanted, a_node("a"), a_node("b"), placed=[(taken, "a")]) == ({"a", "b"} if is_free else {"b"})


def test_a_freed_host_port_is_free():
    from scheduling import snapshot_of

    first, second = port(80), port(80, "10.0.0.1")
    snapshot = snapshot_of(a_node("a"), placed=[(first, "a"), (second, "a")])

    snapshot.remove(first.uid)
    assert snapshot.columns.has_free_port(port(80).host_ports[0]).tolist() == [False]
    snapshot.remove(second.uid)
    assert snapshot.columns.has_free_port(port(80).host_ports[0]).tolist() == [True]
