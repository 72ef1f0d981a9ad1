from __future__ import annotations

import pytest
from judging import container, defaulted, deployment, faults, faults_of_update, thing

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}}


def replicaset(**spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return thing("ReplicaSet", "apps/v1", spec=spec)


def test_a_deployment_rolls_by_a_quarter_unless_it_says_otherwise():
    spec = defaulted(deployment())["spec"]

    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)


def test_one_given_bound_keeps_the_default_of_the_other():
    strategy = {"rollingUpdate": {"maxSurge": 1}}

    assert defaulted(deployment(strategy=strategy))["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": 1,
        "maxUnavailable": "25%",
    }


def test_recreate_has_no_bounds():
    assert defaulted(deployment(strategy={"type": "Recreate"}))["spec"]["strategy"] == {"type": "Recreate"}


FAULTS = [
    ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (
        {"selector": {}},
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ),
    (
        {"selector": {"matchLabels": {"app": "other"}}},
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ),
    (
        {"minReadySeconds": 600},
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
    ),
    (
        {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
    ),
    (
        {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
    ),
    (
        {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    (
        {"strategy": {"type": "Big-bang"}},
        'spec.strategy.type: Unsupported value: "Big-bang": supported values: "Recreate", "RollingUpdate"',
    ),
    (
        {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
]


@pytest.mark.parametrize(("spec", "fault"), FAULTS)
def test_a_deployment_obeys(spec: dict, fault: str):
    assert faults(deployment(**spec)) == [fault]


def test_a_selector_is_required():
    manifest = deployment()
    del manifest["spec"]["selector"]

    assert faults(manifest) == ["spec.selector: Required value"]


@pytest.mark.parametrize("make", [deployment, replicaset])
def test_a_selector_is_for_life(make):
    wider = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}

    [fault] = faults_of_update(make(), make(selector=wider))

    assert fault.startswith("spec.selector: Invalid value: ")
    assert fault.endswith(": field is immutable")


def test_hostile_percentages_are_told_off_and_nothing_more():
    huge = "9" * 5000 + "%"
    strategy = {"rollingUpdate": {"maxUnavailable": huge, "maxSurge": "-1%"}}

    assert [fault.partition(":")[0].rpartition(".")[2] for fault in faults(deployment(strategy=strategy))] == [
        "maxSurge",
        "maxUnavailable",
    ]
