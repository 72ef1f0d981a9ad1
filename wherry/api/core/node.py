"""Node: a machine that runs pods. Behaviour: kubelet (reports it), controllers/nodes/ (sees its death)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from wherry.api.core.pod.validation.scheduling import TAINT_EFFECTS
from wherry.api.core.resource_rules import check_amount
from wherry.api.meta import Conditions, find_condition, has_condition
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE, joined
from wherry.machinery.validation import check_cidr, check_name, one_of, repeats
from wherry.machinery.view import View

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
_ONE_CIDR = "may specify no more than one CIDR for each IP family"
_SET_ONCE = 'node updates may not change {} except from "" to valid'


@defaults("io.k8s.api.core.v1.NodeStatus")
def _everything_may_be_used(status: dict[str, Any]) -> None:
    capacity = status.get("capacity")
    if capacity:
        status["allocatable"] = {**capacity, **(status.get("allocatable") or {})}


class Taint(View):
    """A mark that keeps pods without a matching toleration away (or evicts them, with effect NoExecute)."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: datetime | None = None


class NodeSpec(View):
    """What an administrator and the cluster decide about the node."""

    pod_cidr: str = msgspec.field(name="podCIDR", default="")
    pod_cidrs: tuple[str, ...] = msgspec.field(name="podCIDRs", default=())
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeAddress(View):
    """One way to reach the node."""

    type: str = ""
    address: str = ""


class NodeSystem(View):
    """Versions of what runs there. Kubernetes: NodeSystemInfo."""

    architecture: str = ""
    kernel_version: str = ""
    os_image: str = ""
    operating_system: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""

    @property
    def kernel_text(self) -> str:
        """The kernel, and the machine it is built for."""
        if not self.kernel_version:
            return "<unknown>"
        return f"{self.kernel_version} ({self.architecture})" if self.architecture else self.kernel_version


class DaemonEndpoint(View):
    """A port of a daemon on the node."""

    port: int = msgspec.field(name="Port", default=0)


class NodeDaemonEndpoints(View):
    """Where the kubelet answers."""

    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


class NodeImage(View):
    """An image that lies on the node, under all of its names. Kubernetes: ContainerImage."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(View):
    """What the node reports of itself. `allocatable` is what pods may use of `capacity`."""

    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    conditions: Conditions = ()
    addresses: tuple[NodeAddress, ...] = ()
    node_info: NodeSystem = NodeSystem()
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    images: tuple[NodeImage, ...] = ()

    def address(self, type: str) -> str:
        """The first address of that type, or an empty string."""
        return next((address.address for address in self.addresses if address.type == type), "")


class Node(Resource, version="v1", scope="Cluster", short=("no",), subresources=("proxy", "status")):
    """A machine that runs pods."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    columns = (
        Column("Status", lambda node: ",".join(_states(node))),
        Column("Roles", lambda node: joined(sorted(_roles(node.metadata.labels)))),
        AGE,
        Column("Version", lambda node: node.status.node_info.kubelet_version),
        Column("Internal-IP", lambda node: node.status.address("InternalIP") or "<none>", priority=1),
        Column("External-IP", lambda node: node.status.address("ExternalIP") or "<none>", priority=1),
        Column("OS-Image", lambda node: node.status.node_info.os_image or "<unknown>", priority=1),
        Column("Kernel-Version", lambda node: node.status.node_info.kernel_text, priority=1),
        Column(
            "Container-Runtime",
            lambda node: node.status.node_info.container_runtime_version or "<unknown>",
            priority=1,
        ),
    )
    begins_with_status = True
    selectable = {"spec.unschedulable": lambda node: str(node.spec.unschedulable).lower()}

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """One network has two fields."""
        _pair_cidrs(draft)

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """One network has two fields."""
        _pair_cidrs(draft)

    def validate(self, old: Node | None) -> Iterator[FieldError]:
        """Every broken rule of a node."""
        yield from _check_taints(self.spec.taints)
        yield from _check_resources(self.status)
        yield from _check_cidrs(self.spec.pod_cidrs)
        if old is not None:
            yield from _check_update(self, old)

    def validate_status(self, old: Node) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        return self.validate(old)

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet says, and goes on saying, that it can run pods."""
        return has_condition(self.status.conditions, "Ready")


def _states(node: Node) -> Iterator[str]:
    ready = find_condition(node.status.conditions, "Ready")
    yield "Unknown" if ready is None else "Ready" if ready.is_true else "NotReady"
    if node.spec.unschedulable:
        yield "SchedulingDisabled"


def _roles(labels: Mapping[str, str]) -> set[str]:
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    return (roles | {labels.get(ROLE_LABEL, "")}) - {""}


def _pair_cidrs(draft: dict[str, Any]) -> None:
    spec = draft.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def _check_taints(taints: tuple[Taint, ...]) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        # Kubernetes names the taints below `metadata`.
        path = f"metadata.taints[{index}]"
        yield from check_name(f"{path}.key", taint.key, names.qualified_name)
        if problems := names.label_value(taint.value):
            yield invalid(f"{path}.value", taint.value, ";".join(problems))
        yield from one_of(f"{path}.effect", taint.effect, TAINT_EFFECTS)
        if (taint.key, taint.effect) in seen:
            again = duplicate(path, taint.to_wire())
            yield again._replace(message=f"{again.message}: taints must be unique by key and effect pair")
        seen.add((taint.key, taint.effect))


def _check_resources(status: NodeStatus) -> Iterator[FieldError]:
    for kind, amounts in (("capacity", status.capacity), ("allocatable", status.allocatable)):
        for name, amount in amounts.items():
            yield from check_amount(f"status.{kind}.{name}", name, amount)


def _check_cidrs(cidrs: tuple[str, ...]) -> Iterator[FieldError]:
    for index, is_repeated in enumerate(repeats(cidrs)):
        yield from check_cidr(f"spec.podCIDRs[{index}]", cidrs[index])
        if is_repeated:
            yield duplicate(f"spec.podCIDRs[{index}]", cidrs[index])
    is_ipv6 = [":" in cidr for cidr in cidrs]
    if len(is_ipv6) != len(set(is_ipv6)):
        yield invalid("spec.podCIDRs", cidrs, _ONE_CIDR)


def _check_update(node: Node, old: Node) -> Iterator[FieldError]:
    addresses = node.status.addresses
    for index, is_repeated in enumerate(repeats((address.type, address.address) for address in addresses)):
        if is_repeated:
            yield duplicate(f"status.addresses[{index}]", addresses[index].to_wire())
    if old.spec.pod_cidrs and old.spec.pod_cidrs != node.spec.pod_cidrs:
        yield forbidden("spec.podCIDRs", _SET_ONCE.format("podCIDR"))
    if old.spec.provider_id and old.spec.provider_id != node.spec.provider_id:
        yield forbidden("spec.providerID", _SET_ONCE.format("providerID"))
