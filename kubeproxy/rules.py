"""The vocabulary between plan and backends: routes lead traffic from frontends to targets.

A *frontend* is what a client dials: a cluster IP, an external IP or a node port. A *target* is an address that may
answer. A *route* is one port of one service, with all its frontends and targets. `Rules` is everything this machine
should do: two equal values mean that nothing has to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    """An address that may answer."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Frontend(NamedTuple):
    """What a client dials. An empty `address` is a node port: any address of the machine. TCP, UDP or SCTP."""

    address: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One port of one service.

    `everywhere` are the usable targets of the cluster, `here` those on this node (empty unless a policy asks).
    With `internal_is_local`, clients of the cluster IPs reach only `here`; with `external_is_local`, clients of
    the node port and of the external IPs do, if they are outside the cluster.
    """

    service: str
    port_name: str
    protocol: str
    port: int
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    node_port: int = 0
    everywhere: tuple[Target, ...] = ()
    here: tuple[Target, ...] = ()
    internal_is_local: bool = False
    external_is_local: bool = False
    # Seconds for which a client stays with its target; 0 means that every connection chooses anew.
    affinity_seconds: int = 0

    @property
    def key(self) -> str:
        """`namespace/service/protocol/port`: names the route, and survives every change of its targets."""
        return f"{self.service}/{self.protocol.lower()}/{self.port_name or self.port}"

    @property
    def internal_frontends(self) -> tuple[Frontend, ...]:
        """Where the cluster's own clients dial."""
        return tuple(Frontend(address, self.protocol, self.port) for address in self.cluster_ips)

    @property
    def external_frontends(self) -> tuple[Frontend, ...]:
        """Where everybody else dials."""
        dialled = [Frontend(address, self.protocol, self.port) for address in self.external_ips]
        return (*dialled, Frontend("", self.protocol, self.node_port)) if self.node_port else tuple(dialled)

    @property
    def frontends(self) -> tuple[Frontend, ...]:
        """All that a client can dial."""
        return self.internal_frontends + self.external_frontends

    def targets(self, frontend: Frontend) -> tuple[Target, ...]:
        """Who answers a client from outside that dials `frontend`."""
        is_local = self.internal_is_local if frontend.address in self.cluster_ips else self.external_is_local
        return self.here if is_local else self.everywhere


@dataclass(frozen=True, slots=True)
class Rules:
    """All routes of this machine, sorted."""

    routes: tuple[Route, ...] = ()

    def by_frontend(self) -> dict[Frontend, Route]:
        """Who owns each frontend; of two routes that claim the same one, the first.

        A cluster IP belongs to the service that was given it, whoever names it as an external address: else anybody
        who may create a service could take over another's traffic, that of DNS included.
        """
        owners: dict[Frontend, Route] = {}
        for route in self.routes:
            for frontend in route.internal_frontends:
                owners.setdefault(frontend, route)
        for route in self.routes:
            for frontend in route.external_frontends:
                owners.setdefault(frontend, route)
        return owners
