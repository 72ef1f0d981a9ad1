"""What a Queue may say, in Kubernetes' words."""

from typing import Any

import pytest

from wherry.api.sharing.queue import Queue


def faults(**spec: Any) -> list[str]:
    manifest = {
        "apiVersion": "scheduling.wherry.dev/v1alpha1",
        "kind": "Queue",
        "metadata": {"name": "q"},
        "spec": spec,
    }
    return [f"{fault.field}: {fault.message}" for fault in Queue.read(manifest).validate(None)]


def test_a_queue_may_name_what_pods_ask_for_and_pods_themselves():
    nominal = {"nvidia.com/gpu": "4", "cpu": "1500m", "memory": "1Gi", "pods": "10", "hugepages-2Mi": "4Mi"}

    assert faults(nominal={**nominal, "wherry.dev/gpu-memory": "40Gi"}, borrowingLimit={"cpu": "0"}) == []


@pytest.mark.parametrize(
    ("resource", "size", "said"),
    [
        ("gpu", "1", 'Invalid value: "gpu": must be a standard resource type or fully qualified'),
        ("services", "1", 'Invalid value: "services": must be a standard resource for containers'),
        ("nvidia.com/gpu", "1500m", 'Invalid value: "1500m": must be an integer'),
        ("cpu", "-1", 'Invalid value: "-1": must be greater than or equal to 0'),
    ],
)
def test_what_no_pod_can_ask_for_or_what_cannot_be_counted_is_refused(resource: str, size: str, said: str):
    assert f"spec.nominal[{resource}]: {said}" in faults(nominal={resource: size})


def test_a_queue_that_limits_nothing_is_a_mistake():
    assert faults() == ["spec.nominal: Required value: a queue limits what it names here"]
