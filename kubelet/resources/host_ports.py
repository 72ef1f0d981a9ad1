"""Which ports of the node pods take for themselves, and whether there is room for one more pod. Pure.

Kubernetes: the NodePorts predicate, as the kubelet asks it when a pod arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wherry.api.core.pod import Pod

_ANY = ("", "0.0.0.0", "::")


class _HostPort(NamedTuple):
    protocol: str
    number: int
    address: str

    def collides_with(self, other: _HostPort) -> bool:
        if self[:2] != other[:2]:
            return False
        return self.address in _ANY or other.address in _ANY or self.address == other.address


def are_taken(pod: Pod, others: Iterable[Pod]) -> bool:
    """Whether one of the others has a port of the node that `pod` wants."""
    wanted = list(_host_ports(pod))
    return bool(wanted) and any(
        port.collides_with(taken) for other in others for taken in _host_ports(other) for port in wanted
    )


def _host_ports(pod: Pod) -> Iterator[_HostPort]:
    sidecars = (container for container in pod.spec.init_containers if container.is_sidecar)
    for container in (*pod.spec.containers, *sidecars):
        for port in container.ports:
            if port.host_port:
                yield _HostPort(port.protocol or "TCP", port.host_port, port.host_ip)
