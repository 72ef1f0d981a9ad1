"""What `kubectl get` shows of each kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from judging import class_of, container, deployment, pod, row, service, thing

from wherry.api.core.pod import Pod
from wherry.machinery.resource import all_kinds
from wherry.machinery.table_cells import Since, cell_value

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CREATED = "2026-11-22T11:55:00Z"


def cells(manifest: dict[str, Any]) -> list[Any]:
    """The row of an object at noon, five minutes after its creation."""
    manifest = {**manifest, "metadata": {**manifest["metadata"], "creationTimestamp": CREATED}}
    return [cell_value(cell, NOW) for cell in row(manifest).values()]


def state(name: str = "app", *, ready: bool = False, restarts: int = 0, **state: Any) -> dict[str, Any]:
    """A container status."""
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state}


RUNNING = {"running": {}}
PODS = [
    ({"phase": "Pending"}, {}, ["0/1", "Pending", "0"]),
    ({"phase": "Running", "containerStatuses": [state(ready=True, **RUNNING)]}, {}, ["1/1", "Running", "0"]),
    (
        {"phase": "Pending", "containerStatuses": [state(waiting={"reason": "ImagePullBackOff"})]},
        {},
        ["0/1", "ImagePullBackOff", "0"],
    ),
    (
        {"phase": "Succeeded", "containerStatuses": [state(terminated={"reason": "Completed"})]},
        {},
        ["0/1", "Completed", "0"],
    ),
    (
        {"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 3})]},
        {},
        ["0/1", "ExitCode:3", "0"],
    ),
    (
        {"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 137, "signal": 9})]},
        {},
        ["0/1", "Signal:9", "0"],
    ),
    (
        {"phase": "Pending", "initContainerStatuses": [state("init", **RUNNING)]},
        {"initContainers": [container(name="init")]},
        ["0/1", "Init:0/1", "0"],
    ),
    (
        {"phase": "Pending", "initContainerStatuses": [state("init", terminated={"exitCode": 1, "reason": "Error"})]},
        {"initContainers": [container(name="init")]},
        ["0/1", "Init:Error", "0"],
    ),
    (
        {
            "phase": "Running",
            "initContainerStatuses": [{**state("side", ready=True, **RUNNING), "started": True}],
            "containerStatuses": [state(ready=True, **RUNNING)],
        },
        {"initContainers": [container(name="side", restartPolicy="Always")]},
        ["2/2", "Running", "0"],
    ),
    ({"phase": "Failed", "reason": "Evicted"}, {}, ["0/1", "Evicted", "0"]),
    (
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
        {},
        ["0/1", "SchedulingGated", "0"],
    ),
]


@pytest.mark.parametrize(("status", "spec", "expected"), PODS)
def test_a_pods_line_tells_how_it_is(status: dict, spec: dict, expected: list):
    assert cells({**pod(**spec), "status": status})[:4] == [*expected, "5m"]


def test_restarts_say_when_the_last_one_was():
    ended = {"terminated": {"finishedAt": "2026-11-22T11:58:00Z"}}
    status = {"containerStatuses": [{**state(ready=True, restarts=3, **RUNNING), "lastState": ended}]}

    assert cells({**pod(), "status": status})[2] == "3 (2m ago)"


def test_a_pod_on_its_way_out_is_terminating_unless_it_is_finished():
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = CREATED

    assert cells({**leaving, "status": {"phase": "Running"}})[1] == "Terminating"
    assert cells({**leaving, "status": {"phase": "Succeeded"}})[1] == "Succeeded"


def test_a_finished_pod_has_a_row_condition():
    [condition] = Pod.read({**pod(), "status": {"phase": "Succeeded"}}).row_conditions()

    assert (condition["type"], condition["reason"]) == ("Completed", "Succeeded")
    assert Pod.read(pod()).row_conditions() == []


NODE_STATUS = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1", "architecture": "amd64"},
    "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
}
NODE_LABELS = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}
ROWS = [
    (
        {**deployment(replicas=3), "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}},
        ["2/3", 1, 2, "5m", "app", "nginx:1.29", "app=web"],
    ),
    (service(clusterIPs=["10.0.0.9"]), ["ClusterIP", "10.0.0.9", "<none>", "80/TCP", "5m", "app=web"]),
    (
        service(type="LoadBalancer", ports=[{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]),
        ["LoadBalancer", "<none>", "<pending>", "80:30080/TCP,53/UDP", "5m", "app=web"],
    ),
    (
        thing("Node", metadata={"labels": NODE_LABELS}, spec={"unschedulable": True}, status=NODE_STATUS),
        [
            "Ready,SchedulingDisabled",
            "control-plane,worker",
            "5m",
            "v1.37.0",
            "10.0.0.5",
            "<none>",
            "Debian",
            "6.1 (amd64)",
            "<unknown>",
        ],
    ),
    (thing("Node"), ["Unknown", "<none>", "5m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]),
    (thing("Namespace", status={"phase": "Active"}), ["Active", "5m"]),
    (thing("ConfigMap", data={"a": ""}, binaryData={"b": ""}), [2, "5m"]),
    (thing("Secret", type="Opaque", data={"a": ""}), ["Opaque", 1, "5m"]),
    (
        thing(
            "Endpoints", subsets=[{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 5)], "ports": [{"port": 80}]}]
        ),
        ["10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...", "5m"],
    ),
    (
        thing("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4", ports=[{"port": 80}, {"name": "any"}]),
        ["IPv4", "80,any", "<unset>", "5m"],
    ),
    (
        thing(
            "StorageClass",
            "storage.k8s.io/v1",
            provisioner="x",
            metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        ),
        ["thing (default)", "x", "Delete", "Immediate", False, "5m"],
    ),
    (
        thing(
            "PersistentVolume",
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadOnlyMany", "ReadWriteOnce"],
                "claimRef": {"namespace": "shop", "name": "data"},
            },
            status={"phase": "Bound"},
        ),
        ["1Gi", "RWO,ROX", "Retain", "Bound", "shop/data", "", "<unset>", "", "5m", "Filesystem"],
    ),
    (
        thing(
            "PersistentVolumeClaim",
            spec={"volumeName": "v"},
            status={"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
        ),
        ["Bound", "v", "1Gi", "RWO", "", "<unset>", "5m", "Filesystem"],
    ),
    (
        thing(
            "RoleBinding",
            "rbac.authorization.k8s.io/v1",
            roleRef={"kind": "Role", "name": "r"},
            subjects=[{"kind": "User", "name": "a"}, {"kind": "ServiceAccount", "namespace": "n", "name": "b"}],
        ),
        ["Role/r", "5m", "a", "", "n/b"],
    ),
    (thing("ClusterRole", "rbac.authorization.k8s.io/v1"), [CREATED]),
    (thing("Lease", "coordination.k8s.io/v1", spec={"holderIdentity": "me"}), ["me", "5m"]),
    (thing("PriorityClass", "scheduling.k8s.io/v1", value=7), [7, False, "5m", "PreemptLowerPriority"]),
    (thing("PodDisruptionBudget", "policy/v1", spec={"minAvailable": "50%"}), ["50%", "N/A", 0, "5m"]),
    (
        thing(
            "Event",
            involvedObject={"kind": "Pod", "name": "web"},
            type="Normal",
            reason="Pulled",
            message=" ok\n",
            source={"component": "kubelet", "host": "n1"},
            firstTimestamp="2026-11-22T11:00:00Z",
            lastTimestamp="2026-11-22T11:59:00Z",
            count=4,
        ),
        ["60s", "Normal", "Pulled", "pod/web", "", "kubelet, n1", "ok", "60m", 4, "thing"],
    ),
]


@pytest.mark.parametrize(
    ("manifest", "expected"), ROWS, ids=lambda part: part.get("kind") if isinstance(part, dict) else ""
)
def test_a_row_is_as_kubectl_shows_it(manifest: dict, expected: list):
    assert cells(manifest) == expected


@pytest.mark.parametrize("cls", all_kinds(), ids=lambda cls: cls.kind.resource)
def test_every_stored_kind_has_columns_even_for_an_empty_object(cls: type):
    view = cls.read({"metadata": {"name": "x"}})

    values = [cell_value(column.cell(view), NOW) for column in cls.columns]

    assert bool(values) == ("get" in cls.kind.verbs or cls.kind.name == "Scale")
    assert all(isinstance(value, str | int) for value in values)


def test_since_is_unknown_without_an_instant():
    assert Since(None).text(NOW) == "<unknown>"
    assert Since(NOW - timedelta(seconds=5), shape="2 ({} ago)").text(NOW) == "2 (5s ago)"


def test_a_broken_selector_shows_as_invalid():
    assert row(deployment(selector={"matchExpressions": [{"key": "a", "operator": "?"}]}))["Selector"] == "<invalid>"
    assert class_of(deployment()).columns[0].name == "Ready"
