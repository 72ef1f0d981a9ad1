"""Writes to a pod's status: what is over stays over, addresses are addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.api.core.pod.status import ContainerStatus, PodIP
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid
from wherry.machinery.validation import check_ip, check_name, parse_ip, repeats, unchanged, under

if TYPE_CHECKING:
    from wherry.api.core.pod.resource import Pod

_ONE_PER_FAMILY = "may specify no more than one IP for each IP family"


def check_pod_status(pod: Pod, old: Pod) -> Iterator[FieldError]:
    """A write through `/status`."""
    status, before, restart = pod.status, old.status, old.spec.restart_policy
    for index, condition in enumerate(status.conditions):
        if condition.type not in ("PodScheduled", "Ready", "Initialized"):
            # Kubernetes names the conditions below `metadata`.
            yield from check_name(f"metadata.conditions[{index}].Type", condition.type, names.qualified_name)
    if pod.spec.node_name != old.spec.node_name:
        yield forbidden("status.nodeName", "may not be changed directly")
    if status.nominated_node_name and status.nominated_node_name != before.nominated_node_name:
        yield from check_name("status.nominatedNodeName", status.nominated_node_name, names.dns1123_subdomain)
    yield from unchanged("status.qosClass", status.qos_class, before.qos_class)

    sidecars = frozenset(container.name for container in pod.spec.init_containers if container.is_sidecar)
    never: frozenset[str] = frozenset()
    for field, now, then, policy, exempt in (
        ("containerStatuses", status.container_statuses, before.container_statuses, restart, never),
        ("initContainerStatuses", status.init_container_statuses, before.init_container_statuses, restart, sidecars),
        (
            "ephemeralContainerStatuses",
            status.ephemeral_container_statuses,
            before.ephemeral_container_statuses,
            "Never",
            never,
        ),
    ):
        yield from under(f"status.{field}", _check_resurrections(now, then, policy, exempt))
    yield from under("status.podIPs", _check_ips(status.pod_ips))
    if status.host_ips and status.host_ip != status.host_ips[0].ip:
        yield invalid("status.hostIPs[0].ip", status.host_ips[0].ip, "must be equal to `hostIP`")
    yield from under("status.hostIPs", _check_ips(status.host_ips))


def _check_resurrections(
    now: tuple[ContainerStatus, ...],
    then: tuple[ContainerStatus, ...],
    restart_policy: str,
    exempt: frozenset[str],
) -> Iterator[FieldError]:
    """A container that finished for good does not run again."""
    if restart_policy == "Always":
        return
    running = {status.name for status in now if status.state.terminated is None}
    for index, status in enumerate(then):
        ended = status.state.terminated
        if ended is None or status.name in exempt or (ended.exit_code and restart_policy == "OnFailure"):
            continue
        if status.name in running:
            yield forbidden(f"[{index}].state", "may not be transitioned to non-terminated state")


def _check_ips(addresses: tuple[PodIP, ...]) -> Iterator[FieldError]:
    for index, is_repeated in enumerate(repeats(address.ip for address in addresses)):
        address = addresses[index]
        yield from check_ip(f"[{index}]", address.ip)
        if is_repeated:
            yield duplicate(f"[{index}]", address.to_wire())
    families = [ip.version for address in addresses if (ip := parse_ip(address.ip))]
    if len(families) != len(set(families)):
        yield invalid("", [address.to_wire() for address in addresses], _ONE_PER_FAMILY)
