"""Node: a machine that runs pods. Behaviour: kubelet (reports it), controllers/node_lifecycle.py (sees its death)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from wherry.api.meta import Conditions, has_condition
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


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


class DaemonEndpoint(View):
    """A port of a daemon on the node."""

    port: int = msgspec.field(name="Port", default=0)


class NodeDaemonEndpoints(View):
    """Where the kubelet answers."""

    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


class NodeStatus(View):
    """What the node reports of itself. `allocatable` is what pods may use of `capacity`."""

    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    conditions: Conditions = ()
    addresses: tuple[NodeAddress, ...] = ()
    node_info: NodeSystem = NodeSystem()
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()

    def address(self, type: str) -> str:
        """The first address of that type, or an empty string."""
        return next((address.address for address in self.addresses if address.type == type), "")


class Node(Resource, version="v1", scope="Cluster", short=("no",), subresources=("proxy", "status")):
    """A machine that runs pods."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    selectable = {"spec.unschedulable": lambda node: str(node.spec.unschedulable).lower()}

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet says, and goes on saying, that it can run pods."""
        return has_condition(self.status.conditions, "Ready")
