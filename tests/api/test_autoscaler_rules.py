"""HorizontalPodAutoscaler: defaults, rules and columns."""

from __future__ import annotations

import pytest
from judging import defaulted, faults, row, thing

from wherry.machinery.table_cells import Since

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def autoscaler(**spec):
    """An autoscaler of the Deployment web."""
    return thing("HorizontalPodAutoscaler", "autoscaling/v2", spec={"scaleTargetRef": TARGET, "maxReplicas": 5, **spec})


def cpu(**target):
    return {"type": "Resource", "resource": {"name": "cpu", "target": target or {"type": "Utilization"}}}


def external(**target):
    return {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", **target}}}


def scale_up(**rules):
    return {"behavior": {"scaleUp": rules}}


def test_without_metrics_it_looks_at_cpu():
    spec = defaulted(autoscaler())["spec"]

    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [cpu(type="Utilization", averageUtilization=80)]
    assert "behavior" not in spec


def test_behavior_for_one_direction_gets_the_defaults_of_the_other():
    behavior = defaulted(autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 5}}))["spec"]["behavior"]

    doubling = {"type": "Percent", "value": 100, "periodSeconds": 15}
    assert behavior == {
        "scaleDown": {"stabilizationWindowSeconds": 5, "selectPolicy": "Max", "policies": [doubling]},
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, doubling],
        },
    }


FAULTS = [
    ({"maxReplicas": 0}, "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
    ({"minReplicas": 6}, "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"),
    ({"minReplicas": -1}, "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"),
    (
        {"minReplicas": 0},
        "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero "
        "replicas",
    ),
    ({"scaleTargetRef": {"kind": "", "name": "web"}}, "spec.scaleTargetRef.kind: Required value"),
    ({"scaleTargetRef": {"kind": "Deployment", "name": ""}}, "spec.scaleTargetRef.name: Required value"),
    (
        {"scaleTargetRef": {"kind": "Deployment", "name": ".."}},
        "spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'",
    ),
    (
        {"metrics": [{"type": "Cpu"}]},
        'spec.metrics[0].type: Unsupported value: "Cpu": supported values: "ContainerResource", "External", "Object", '
        '"Pods", "Resource"',
    ),
    (
        {"metrics": [{"type": "Pods"}]},
        "spec.metrics[0].pods: Required value: must populate information for the given metric source",
    ),
    (
        {"metrics": [cpu()]},
        "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a "
        "target utilization",
    ),
    (
        {"metrics": [cpu(type="Utilization", averageUtilization=0)]},
        "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
    ),
    (
        {"metrics": [cpu(type="AverageValue", averageValue="0")]},
        'spec.metrics[0].resource.target.averageValue: Invalid value: "0": must be positive',
    ),
    (
        {"metrics": [external(value="1", averageValue="1")]},
        "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod "
        "target",
    ),
    (
        scale_up(stabilizationWindowSeconds=3601),
        "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
    ),
    (scale_up(policies=[]), "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"),
    (
        scale_up(policies=[{"type": "Pods", "value": 1, "periodSeconds": 1801}]),
        "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    ),
    (
        scale_up(selectPolicy="Most"),
        'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Most": supported values: "Disabled", "Max", "Min"',
    ),
]


@pytest.mark.parametrize(("spec", "fault"), FAULTS)
def test_a_broken_rule_is_named(spec, fault):
    assert fault in faults(autoscaler(**spec))


def test_a_source_that_its_type_does_not_name_must_not_be_set():
    both = {**cpu(type="Utilization", averageUtilization=50), **external(value="1"), "type": "Resource"}

    assert faults(autoscaler(metrics=[both])) == [
        "spec.metrics[0].external: Forbidden: must populate the given metric source only"
    ]


def test_an_autoscaler_may_stop_everything_when_a_queue_says_so():
    assert faults(autoscaler(minReplicas=0, metrics=[external(value="1")])) == []


READINGS = [
    ([], [], "<none>"),
    ([cpu(averageUtilization=50)], [], "cpu: <unknown>/50%"),
    ([cpu(averageUtilization=50)], [{"resource": {"current": {"averageUtilization": 12}}}], "cpu: 12%/50%"),
    ([cpu(averageValue="100m")], [{"resource": {"current": {"averageValue": "20m"}}}], "cpu: 20m/100m"),
    ([external(value="30")], [{"external": {"current": {"value": "7"}}}], "7/30"),
    ([external(averageValue="30")], [{"external": {"current": {"averageValue": "500m"}}}], "500m/30 (avg)"),
    ([cpu(averageUtilization=50)] * 3, [], "cpu: <unknown>/50%, cpu: <unknown>/50% + 1 more..."),
]


@pytest.mark.parametrize(("specs", "readings", "text"), READINGS)
def test_targets_show_what_is_and_what_should_be(specs, readings, text):
    manifest = autoscaler(metrics=specs)

    assert row({**manifest, "status": {"currentMetrics": readings}}) == {
        "Reference": "Deployment/web",
        "Targets": text,
        "MinPods": "<unset>",
        "MaxPods": 5,
        "Replicas": 0,
        "Age": Since(None),
    }
