"""Defaults, rules and rows of StatefulSets, DaemonSets and ReplicationControllers."""

from __future__ import annotations

import pytest
from judging import container, created, defaulted, faults, faults_of_update, row, thing

from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.statefulset import StatefulSet

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}}
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
FOREVER = {**TEMPLATE, "spec": {"containers": [container()], "restartPolicy": "Never"}}
NUMBER = "deprecated.daemonset.template.generation"


def a_set(kind="StatefulSet", **spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return thing(kind, "apps/v1", spec=spec)


def rc(**spec):
    return thing("ReplicationController", spec={"template": TEMPLATE, **spec})


def test_a_statefulset_is_ordered_rolls_and_keeps_its_claims_unless_it_says_otherwise():
    spec = defaulted(a_set())["spec"]

    assert {key: spec[key] for key in spec.keys() - {"selector", "template"}} == {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }


def test_claim_templates_say_what_they_are():
    [claim] = defaulted(a_set(volumeClaimTemplates=[CLAIM]))["spec"]["volumeClaimTemplates"]

    assert (claim["apiVersion"], claim["kind"], claim["status"]) == (
        "v1",
        "PersistentVolumeClaim",
        {"phase": "Pending"},
    )


def test_a_daemonset_replaces_one_pod_at_a_time_unless_it_says_otherwise():
    spec = defaulted(a_set("DaemonSet"))["spec"]

    assert (spec["updateStrategy"], spec["revisionHistoryLimit"]) == (
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        10,
    )


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_who_updates_on_delete_has_no_bounds(kind):
    assert defaulted(a_set(kind, updateStrategy={"type": "OnDelete"}))["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_a_replicationcontroller_takes_its_templates_labels():
    draft = defaulted(rc())

    assert (draft["metadata"]["labels"], draft["spec"]["selector"], draft["spec"]["replicas"]) == (
        {"app": "web"},
        {"app": "web"},
        1,
    )


STATEFULSET_FAULTS = [
    ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ({"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
    ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"),
    (
        {"selector": {"matchLabels": {"app": "other"}}},
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ),
    (
        {"podManagementPolicy": "Random"},
        "spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'",
    ),
    (
        {"updateStrategy": {"type": "Recreate"}},
        "spec.updateStrategy: Invalid value: {\"type\":\"Recreate\"}: must be 'RollingUpdate' or 'OnDelete'",
    ),
    (
        {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
    ),
    (
        {"updateStrategy": {"rollingUpdate": {"partition": -1}}},
        "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
        'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": '
        'supported values: "Delete", "Retain"',
    ),
    (
        {"template": FOREVER},
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
]
DAEMONSET_FAULTS = [
    ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
    (
        {"updateStrategy": {"type": "Recreate"}},
        'spec.updateStrategy: Unsupported value: {"type":"Recreate"}: supported values: "OnDelete", "RollingUpdate"',
    ),
    (
        {"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}},
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ),
    (
        {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "0%"}}},
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ),
    ({"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
]


@pytest.mark.parametrize(("spec", "fault"), STATEFULSET_FAULTS)
def test_a_faulty_statefulset_is_refused(spec, fault):
    assert faults(a_set(**spec)) == [fault]


@pytest.mark.parametrize(("spec", "fault"), DAEMONSET_FAULTS)
def test_a_faulty_daemonset_is_refused(spec, fault):
    assert faults(a_set("DaemonSet", **spec)) == [fault]


def test_a_replicationcontroller_needs_a_template_that_it_selects():
    assert faults(thing("ReplicationController", spec={})) == [
        "spec.selector: Required value",
        "spec.template: Required value",
    ]
    assert faults(rc(selector={"app": "other"})) == [
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'
    ]


@pytest.mark.parametrize(
    "change",
    [{"serviceName": "other"}, {"podManagementPolicy": "Parallel"}, {"volumeClaimTemplates": [CLAIM]}],
)
def test_who_a_statefulsets_pods_are_stays_as_it_was_created(change):
    [fault] = faults_of_update(a_set(), a_set(**change))

    assert fault.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas', ")


def test_a_statefulsets_size_order_of_updates_and_template_may_change():
    new = {"replicas": 5, "ordinals": {"start": 3}, "minReadySeconds": 1, "updateStrategy": {"type": "OnDelete"}}

    assert faults_of_update(a_set(), a_set(**new, revisionHistoryLimit=1)) == []


def test_versions_of_a_daemonsets_template_are_numbered():
    old = created(a_set("DaemonSet"))
    same, other = defaulted(a_set("DaemonSet")), defaulted(a_set("DaemonSet", template=FOREVER))
    for draft in (same, other):
        DaemonSet.prepare_update(draft, old)

    assert [draft["metadata"]["annotations"][NUMBER] for draft in (old, same, other)] == ["1", "1", "2"]


def test_counts_of_a_statefulset_fit_each_other():
    old = StatefulSet.read(created(a_set()))
    told = old.with_status(replicas=1, ready_replicas=2, available_replicas=1, collision_count=0)

    assert [str(fault) for fault in told.validate_status(old.with_status(collision_count=1))] == [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.collisionCount: Invalid value: 0: cannot be decremented",
    ]


def test_rows_count_pods():
    sts = {**created(a_set(replicas=3)), "status": {"readyReplicas": 2}}
    ds = {
        **created(a_set("DaemonSet")),
        "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2, "numberAvailable": 1},
    }

    shown = [{key: cell for key, cell in row(one).items() if key != "Age"} for one in (sts, ds, created(rc()))]
    assert shown == [
        {"Ready": "2/3", "Containers": "app", "Images": "nginx:1.29"},
        {
            **{"Desired": 3, "Current": 3, "Ready": 2, "Up-to-date": 0, "Available": 1, "Node Selector": "<none>"},
            **{"Containers": "app", "Images": "nginx:1.29", "Selector": "app=web"},
        },
        {
            **{"Desired": 1, "Current": 0, "Ready": 0},
            **{"Containers": "app", "Images": "nginx:1.29", "Selector": "app=web"},
        },
    ]
