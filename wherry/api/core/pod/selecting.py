"""By which of their fields pods are selected, and a view of no more than these: every pod that changes is asked.

Kubernetes: `pods` in the field label conversions of core/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wherry.machinery.view import View


class SelectedSpec(View):
    """What selectors ask of the desired state."""

    node_name: str = ""
    restart_policy: str = "Always"
    scheduler_name: str = "default-scheduler"
    service_account_name: str = ""
    host_network: bool = False


class SelectedStatus(View):
    """What selectors ask of the observed state."""

    phase: str = "Pending"
    pod_ip: str = ""
    nominated_node_name: str = ""


class SelectedPod(View):
    """What selectors ask of a pod."""

    spec: SelectedSpec = SelectedSpec()
    status: SelectedStatus = SelectedStatus()


SELECTABLE: Mapping[str, Callable[[Any], str]] = {
    "spec.nodeName": lambda pod: pod.spec.node_name,
    "spec.restartPolicy": lambda pod: pod.spec.restart_policy,
    "spec.schedulerName": lambda pod: pod.spec.scheduler_name,
    "spec.serviceAccountName": lambda pod: pod.spec.service_account_name,
    "spec.hostNetwork": lambda pod: str(pod.spec.host_network).lower(),
    "status.phase": lambda pod: pod.status.phase,
    "status.podIP": lambda pod: pod.status.pod_ip,
    "status.podIPs": lambda pod: pod.status.pod_ip,
    "status.nominatedNodeName": lambda pod: pod.status.nominated_node_name,
}
