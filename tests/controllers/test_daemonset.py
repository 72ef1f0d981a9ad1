"""The DaemonSet controller: world in, actions out."""

import json
from datetime import timedelta

import pytest
from make import NOW, a_daemonset, a_node, a_pod, an_object

from controllers.daemonset.fit import Fit, Fits
from controllers.daemonset.plan import plan
from controllers.daemonset.pods import FAILURES, new_pod, node_of
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.core.pod import Pod
from wherry.client.plan import CheckAgain, Create, Delete, SetStatus
from wherry.client.world import World

NEW, OLD = "new", "old"
TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def a_revision(ds):
    data = {"spec": {"template": {**ds.spec.template.raw, "$patch": "replace"}}}
    labels = {"app": "web", "controller-revision-hash": NEW}
    return an_object(ControllerRevision, "ds-new", owner=ds, labels=labels, fields={"revision": 1, "data": data})


def a_daemon(ds, node, version=NEW, ready=True, **more):
    labels = {"app": "web", "controller-revision-hash": version}
    name = more.pop("name", f"{node}-{version}")
    return a_pod(name, owner=ds, node=node, labels=labels, ready=ready, **more)


def actions(ds, nodes, *pods, now=NOW):
    return list(plan(ds, World(ds, a_revision(ds), *nodes, *pods, now=now)))


def deeds(ds, nodes, *pods, **more):
    """Nodes that get a pod and pods that go."""
    found = []
    for action in actions(ds, nodes, *pods, **more):
        if isinstance(action, Create):
            found.append(f"create on {node_of(Pod.read(action.manifest))}")
        elif isinstance(action, Delete):
            found.append(f"delete {action.obj.metadata.name}")
    return found


def nodes(*names):
    return [a_node(name) for name in names]


def test_a_version_is_remembered_in_the_order_of_bytes_that_clients_compare():
    template = {"spec": {"restartPolicy": "Always", "containers": []}, "metadata": {"labels": {"app": "web"}}}
    ds = a_daemonset("ds", template=template)

    [remembered] = [action.manifest for action in plan(ds, World(ds)) if isinstance(action, Create)]

    data = json.dumps(remembered["data"])
    assert data == json.dumps(json.loads(data), sort_keys=True)
    assert remembered["data"] == {"spec": {"template": {**template, "$patch": "replace"}}}


def test_every_node_without_a_pod_gets_one():
    ds = a_daemonset("ds")

    assert deeds(ds, nodes("n1", "n2"), a_daemon(ds, "n1")) == ["create on n2"]


def test_a_pod_names_its_node_and_lives_with_what_befalls_it():
    affinity = {"podAntiAffinity": {}, "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"hostNetwork": True, "affinity": affinity}}
    ds = a_daemonset("ds", template=template, annotations={"deprecated.daemonset.template.generation": "3"})

    pod = new_pod(ds, "n1", NEW)

    labels = {"app": "web", "controller-revision-hash": NEW, "pod-template-generation": "3"}
    assert pod["metadata"]["labels"] == labels
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert pod["spec"]["affinity"] == {"podAntiAffinity": {}, "nodeAffinity": required}
    assert [(one["key"].split("/")[1], one["effect"]) for one in pod["spec"]["tolerations"]] == [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
        ("network-unavailable", "NoSchedule"),
    ]


def affine(**expression):
    term = {"matchExpressions": [expression]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


FITS = [
    ({}, {}, Fit(runs=True, stays=True)),
    ({}, {"taints": [TAINT]}, Fit(runs=False, stays=True)),
    ({}, {"taints": [{**TAINT, "effect": "NoExecute"}]}, Fit(runs=False, stays=False)),
    ({}, {"taints": [{**TAINT, "effect": "PreferNoSchedule"}]}, Fit(runs=True, stays=True)),
    ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, {"taints": [TAINT]}, Fit(runs=True, stays=True)),
    (
        {},
        {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}], "unschedulable": True},
        Fit(runs=True, stays=True),
    ),
    ({"nodeSelector": {"colour": "blue"}}, {}, Fit(runs=False, stays=False)),
    ({"nodeSelector": {"colour": "blue"}}, {"labels": {"colour": "blue"}}, Fit(runs=True, stays=True)),
    ({"nodeName": "other"}, {}, Fit(runs=False, stays=False)),
    ({"affinity": affine(key="colour", operator="DoesNotExist")}, {}, Fit(runs=True, stays=True)),
    ({"affinity": affine(key="colour", operator="In", values=["blue"])}, {}, Fit(runs=False, stays=False)),
]


@pytest.mark.parametrize(("spec", "node", "expected"), FITS)
def test_which_nodes_it_is_meant_for(spec, node, expected):
    ds = a_daemonset("ds", template={"metadata": {"labels": {"app": "web"}}, "spec": spec})

    assert Fits(ds).on(a_node("n1", **node)) == expected


def test_pods_leave_nodes_that_no_longer_match_and_stay_on_those_that_only_take_no_new_ones():
    ds = a_daemonset("ds", template={"metadata": {"labels": {"app": "web"}}, "spec": {"nodeSelector": {"a": "b"}}})
    tainted = a_node("n2", labels={"a": "b"}, taints=[TAINT])

    pods = [a_daemon(ds, "n1"), a_daemon(ds, "n2")]
    assert deeds(ds, [a_node("n1"), tainted], *pods) == ["delete n1-new"]


def test_of_several_pods_on_a_node_the_oldest_stays():
    ds = a_daemonset("ds")
    older, younger = a_daemon(ds, "n1", name="b"), a_daemon(ds, "n1", name="a", created=NOW + timedelta(seconds=1))

    assert deeds(ds, nodes("n1"), younger, older) == ["delete a"]


def test_a_pod_that_waits_for_a_node_that_is_gone_is_deleted():
    ds = a_daemonset("ds")
    stray = Pod.read(new_pod(ds, "n9", NEW))
    stray = stray.replace(metadata=stray.metadata.replace(name="stray", uid="s", namespace="default"))

    assert deeds(ds, nodes("n1"), stray, a_daemon(ds, "n1")) == ["delete stray"]


def test_a_failed_pod_is_replaced_at_once_the_first_time():
    ds = a_daemonset("ds")

    _, event, create, delete = actions(ds, nodes("n1"), a_daemon(ds, "n1", ready=False, phase="Failed"))

    message = "Found failed daemon pod default/n1-new on node n1, will try to kill it"
    assert (event.reason, event.type, event.message) == ("FailedDaemonPod", "Warning", message)
    assert create == Create(new_pod(ds, "n1", NEW, failures=1))
    assert delete.obj.metadata.name == "n1-new"


def failing(ds, failures, *, lived):
    created, annotations = NOW - timedelta(seconds=lived), {FAILURES: str(failures)}
    return a_daemon(ds, "n1", ready=False, phase="Failed", created=created, annotations=annotations)


@pytest.mark.parametrize(("failures", "lived", "left"), [(1, 0, 1.0), (3, 1, 3.0), (40, 0, 900.0)])
def test_a_pod_that_fails_again_and_again_is_replaced_ever_more_slowly(failures, lived, left):
    ds = a_daemonset("ds")

    assert actions(ds, nodes("n1"), failing(ds, failures, lived=lived))[1:] == [CheckAgain(left)]


@pytest.mark.parametrize(("lived", "failures"), [(8, 4), (2000, 0)])
def test_failures_are_counted_until_one_has_lived_for_long(lived, failures):
    ds = a_daemonset("ds")

    made = [action for action in actions(ds, nodes("n1"), failing(ds, 3, lived=lived)) if isinstance(action, Create)]

    assert made == [Create(new_pod(ds, "n1", NEW, failures))]


def test_a_pod_that_succeeded_is_deleted_and_made_anew_once_it_is_gone():
    ds = a_daemonset("ds")
    pod = a_daemon(ds, "n1", ready=False, phase="Succeeded")
    going = a_daemon(ds, "n1", ready=False, phase="Succeeded", deleted=True)

    assert (deeds(ds, nodes("n1"), pod), deeds(ds, nodes("n1"), going)) == (["delete n1-new"], ["create on n1"])


def updating(**bounds):
    strategy = {"type": "RollingUpdate", "rolling_update": {"max_unavailable": 1, "max_surge": 0, **bounds}}
    return a_daemonset("ds", update_strategy=strategy)


THREE = nodes("n1", "n2", "n3")


def test_old_pods_go_while_enough_nodes_have_one():
    ds, two = updating(), updating(max_unavailable="50%")
    old = [a_daemon(ds, name, OLD) for name in ("n1", "n2", "n3")]
    new = [a_daemon(ds, "n1"), *old[1:]]
    waiting = [a_daemon(ds, "n1", ready=False), *old[1:]]

    assert [deeds(ds, THREE, *pods) for pods in (old, new, waiting)] == [["delete n1-old"], ["delete n2-old"], []]
    assert deeds(two, THREE, *old) == ["delete n1-old", "delete n2-old"]


def test_old_pods_that_are_down_cost_nothing_so_a_stuck_update_is_undone_without_harm():
    ds = updating()
    stuck = a_daemon(ds, "n1", OLD, ready=False)

    assert deeds(ds, THREE, stuck, a_daemon(ds, "n2"), a_daemon(ds, "n3")) == ["delete n1-old"]


def test_with_surge_the_new_pod_comes_first():
    ds = updating(max_unavailable=0, max_surge=1)
    old = [a_daemon(ds, name, OLD) for name in ("n1", "n2", "n3")]
    coming, there = a_daemon(ds, "n1", ready=False), a_daemon(ds, "n1")

    assert deeds(ds, THREE, *old) == ["create on n1"]
    assert deeds(ds, THREE, *old, coming) == []
    assert deeds(ds, THREE, *old, there) == ["delete n1-old"]


def test_with_surge_a_node_whose_old_pod_is_down_need_not_wait():
    ds = updating(max_unavailable=0, max_surge=1)
    old = [a_daemon(ds, "n1", OLD), a_daemon(ds, "n2", OLD, ready=False), a_daemon(ds, "n3")]

    assert deeds(ds, THREE, *old) == ["create on n2", "create on n1"]


def test_on_delete_waits_for_people():
    ds = a_daemonset("ds", update_strategy={"type": "OnDelete"})

    assert deeds(ds, nodes("n1"), a_daemon(ds, "n1", OLD)) == []


def test_the_status_counts_nodes():
    ds = a_daemonset("ds", generation=2, template={"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": ""}})
    pods = [a_daemon(ds, "n1"), a_daemon(ds, "n2", OLD, ready=False), a_daemon(ds, "n4")]

    status, *_ = actions(ds, [*THREE, a_node("n4", taints=[TAINT])], *pods)

    assert status == SetStatus(
        ds.with_status(
            desired_number_scheduled=3,
            current_number_scheduled=2,
            number_misscheduled=1,
            number_ready=1,
            number_available=1,
            number_unavailable=2,
            updated_number_scheduled=1,
            observed_generation=2,
        )
    )


def test_a_pod_is_available_only_after_min_ready_seconds():
    ds = a_daemonset("ds", min_ready_seconds=10)
    status, again = actions(ds, nodes("n1"), a_daemon(ds, "n1", ready_since=NOW - timedelta(seconds=4)))

    assert (status.obj.status.number_ready, status.obj.status.number_available) == (1, 0)
    assert again == CheckAgain(6.0)


def test_a_daemonset_that_is_going_does_nothing():
    ds = a_daemonset("ds", deleted=True)

    assert actions(ds, nodes("n1")) == []
