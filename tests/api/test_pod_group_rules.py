"""Pod groups and workloads: their rules and cells."""

from typing import Any

import pytest
from judging import faults, faults_of_update

GANG = {"gang": {"minCount": 4}}


def thing(kind: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "scheduling.k8s.io/v1beta1", "kind": kind, "metadata": {"name": "train"}, "spec": spec}


def group(policy: Any = GANG, **more: Any) -> dict[str, Any]:
    return thing("PodGroup", schedulingPolicy=policy, **more)


FAULTS = [
    (group({}), 'spec.schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`'),
    (
        group({**GANG, "basic": {}}),
        'spec.schedulingPolicy: Invalid value: "{basic, gang}": must specify exactly one of: `basic`, `gang`',
    ),
    (group({"gang": {"minCount": 0}}), "spec.schedulingPolicy.gang.minCount: Required value"),
    (
        group({"gang": {"minCount": -1}}),
        "spec.schedulingPolicy.gang.minCount: Invalid value: -1: must be greater than or equal to 1",
    ),
    (
        group(disruptionMode={"all": {}, "single": {}}),
        'spec.disruptionMode: Invalid value: "{all, single}": must specify exactly one of: `all`, `single`',
    ),
    (group(workloadRef={"workloadName": "", "templateName": "t"}), "spec.workloadRef.workloadName: Required value"),
    (
        group(parentCompositePodGroupName="all"),
        "spec.parentCompositePodGroupName: Forbidden: groups of groups are not served here",
    ),
    (thing("Workload"), "spec.podGroupTemplates: Required value: must have at least one item"),
    (
        thing("Workload", podGroupTemplates=[{"name": "", "schedulingPolicy": GANG}]),
        "spec.podGroupTemplates[0].name: Required value",
    ),
]


@pytest.mark.parametrize(("manifest", "fault"), FAULTS)
def test_a_group_obeys(manifest: dict[str, Any], fault: str):
    assert faults(manifest) == [fault]


def test_sound_groups_break_no_rule():
    workload = thing(
        "Workload",
        controllerRef={"apiGroup": "batch", "kind": "Job", "name": "train"},
        podGroupTemplates=[{"name": "workers", "schedulingPolicy": GANG}],
    )
    of_it = group(workloadRef={"workloadName": "train", "templateName": "workers"}, disruptionMode={"all": {}})

    assert [faults(each) for each in (workload, of_it, group({"basic": {}}))] == [[], [], []]


def test_a_gang_may_become_larger_or_smaller_and_nothing_else():
    more = group({"gang": {"minCount": 5}})

    assert faults_of_update(group(), more) == []
    assert faults_of_update(group(), group({"basic": {}})) == [
        'spec.schedulingPolicy: Invalid value: {"basic":{}}: field is immutable'
    ]
    assert faults_of_update(group(), group(disruptionMode={"all": {}})) == [
        'spec.disruptionMode: Invalid value: {"all":{}}: field is immutable'
    ]


def job(scheduling: Any, parallelism: int = 4) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c"}]}}
    spec = {"parallelism": parallelism, "template": template, "scheduling": scheduling}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train", "uid": "1"}, "spec": spec}


def test_what_a_job_says_of_its_gang_is_checked():
    gang, larger = {"schedulingPolicy": {"gang": {}}}, {"schedulingPolicy": {"gang": {"minCount": 5}}}

    assert faults(job(gang)) == []
    field = "spec.scheduling.schedulingPolicy.gang.minCount"
    assert faults(job(larger)) == [f"{field}: Invalid value: 5: must be between 1 and 4, the pods that run at once"]
    assert faults(job({})) == [
        'spec.scheduling.schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`'
    ]
