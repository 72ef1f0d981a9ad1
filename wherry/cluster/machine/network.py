"""The pods' network of a cluster: a Docker bridge of its own, and the services' addresses that go with it.

Clusters side by side must not share addresses: pods take 10.244.0.0/16, 10.245.0.0/16, …, services 10.96.0.0/16,
10.97.0.0/16, …, each the first that neither Docker nor the machine's routes use. The network's labels say what was
chosen, so clusters see each other. A cluster that was stopped takes the addresses it had: its services still have them.

Limit: Docker may lose count of what is on a network when very many containers come and go at once. It then holds on to
the network until it is restarted, and `wherry down --purge` says so.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

from wherry.cluster.layout import Layout
from wherry.cluster.machine.ports import first_free, is_free
from wherry.cluster.problem import ClusterProblem

CLUSTER, DATA_DIR, SERVICE_CIDR = "io.wherry.cluster", "io.wherry.data-dir", "io.wherry.service-cidr"
POD_NETWORKS = tuple(f"10.{second}.0.0/16" for second in range(244, 256))
SERVICE_NETWORKS = tuple(f"10.{second}.0.0/16" for second in range(96, 112))
LOOPBACK, DNS_PORT, OTHER_DNS_PORT = "127.0.0.1", 53, 10053
_ROUTES = Path("/proc/net/route")
_UP = 1
# How long Docker may take to let the last container go.
_REMOVAL_SECONDS = 15.0
# Engines lose count of what is on a network, rarely; only a restart makes them count again.
_HELD_ON_TO = (
    "Docker holds on to the network {title} although no container is on it: "
    "restart Docker and run `wherry down` again, with the same words"
)


class PodNetwork(NamedTuple):
    """What was chosen. `gateway` is this machine on the network; empty where it is out of reach (Docker Desktop)."""

    pod_cidr: str
    service_cidr: str
    gateway: str
    dns_port: int


class Ranges(NamedTuple):
    """The addresses that a cluster has had; empty where it had none."""

    pods: str = ""
    services: str = ""


NONE_BEFORE = Ranges()


def have_network(client: Any, layout: Layout, had: Ranges = NONE_BEFORE) -> PodNetwork:
    """The cluster's network, made if need be, with the addresses that it `had`.

    Raises ClusterProblem where those of its services are another's by now; pods can take others.
    """
    found = {network["Name"]: network for network in client.networks()}
    ours = found.get(layout.title)
    if ours is not None:
        _check_owner(ours, layout)
    else:
        ours = _create(client, layout, list(found.values()), had)
    config = ours["IPAM"]["Config"][0]
    gateway = str(config.get("Gateway") or next(IPv4Network(config["Subnet"]).hosts()))
    if not is_free(0, gateway):
        gateway = ""
    return PodNetwork(config["Subnet"], ours["Labels"][SERVICE_CIDR], gateway, _dns_port(gateway or LOOPBACK))


def remove_network(client: Any, layout: Layout) -> None:
    """Remove the cluster's network if there is one; raises ClusterProblem when Docker does not."""
    for network in client.networks(names=[layout.title]):
        if network["Name"] == layout.title and network["Labels"].get(CLUSTER) == layout.name:
            _remove(client, network["Id"], layout.title)


def _remove(client: Any, network_id: str, title: str) -> None:
    """Remove a network, from which Docker may still be taking the last containers away."""
    import docker.errors  # type: ignore[import-untyped]

    gives_up_at = time.monotonic() + _REMOVAL_SECONDS
    while True:
        try:
            client.remove_network(network_id)
            return
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if "has active endpoints" not in str(error.explanation):
                raise ClusterProblem(f"Docker cannot remove the network {title}: {error.explanation}") from error
            if time.monotonic() > gives_up_at:
                raise ClusterProblem(_HELD_ON_TO.format(title=title)) from error
        time.sleep(0.1)


def has_network(client: Any, layout: Layout) -> bool:
    """Whether the cluster's network is there, and belongs to the cluster of this folder."""
    ours = {CLUSTER: layout.name, DATA_DIR: str(layout.data_dir)}
    found = (network for network in client.networks(names=[layout.title]) if network["Name"] == layout.title)
    return any(ours.items() <= (network["Labels"] or {}).items() for network in found)


def clusters_on(client: Any) -> list[str]:
    """The names of the clusters that have a network here."""
    return [network["Labels"][CLUSTER] for network in client.networks() if CLUSTER in (network["Labels"] or {})]


def _check_owner(network: dict[str, Any], layout: Layout) -> None:
    labels = network["Labels"] or {}
    if labels.get(CLUSTER) != layout.name:
        raise ClusterProblem(f"Docker has a network {layout.title!r} that is not ours; choose another --name")
    if labels.get(DATA_DIR) != str(layout.data_dir):
        where = labels.get(DATA_DIR)
        raise ClusterProblem(
            f"a cluster named {layout.name!r} is here already, with its data in {where}; "
            f"choose another --name, or end that one: wherry down --name {layout.name} --data-dir {where}"
        )


def _create(client: Any, layout: Layout, networks: list[dict[str, Any]], had: Ranges) -> dict[str, Any]:
    import docker

    used = [*_routed(), *_subnets(networks)]
    others = [IPv4Network(n["Labels"][SERVICE_CIDR]) for n in networks if SERVICE_CIDR in (n["Labels"] or {})]
    services = next(_unused((had.services,) if had.services else SERVICE_NETWORKS, [*used, *others]), None)
    if had.services and services is None:
        raise ClusterProblem(
            f"the services of cluster {layout.name} have addresses in {had.services}, which by now belong to "
            f"{_taker(networks, had.services)}: end that first, or begin anew after `wherry down --purge`"
        )
    labels = {CLUSTER: layout.name, DATA_DIR: str(layout.data_dir), SERVICE_CIDR: services}
    pods = (had.pods, *POD_NETWORKS) if had.pods else POD_NETWORKS
    for subnet in _unused(pods, used) if services else ():
        ipam = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
        try:
            made = client.create_network(layout.title, driver="bridge", ipam=ipam, labels=labels, check_duplicate=True)
        except docker.errors.APIError as error:
            if "overlap" in str(error.explanation):  # somebody was faster
                continue
            raise ClusterProblem(f"Docker cannot make the network {layout.title!r}: {error.explanation}") from error
        created: dict[str, Any] = client.inspect_network(made["Id"])
        return created
    raise ClusterProblem(
        f"no free network for pods ({POD_NETWORKS[0]} to {POD_NETWORKS[-1]}) or services "
        f"({SERVICE_NETWORKS[0]} to {SERVICE_NETWORKS[-1]}): all are in use by Docker or by routes of this machine"
    )


def _taker(networks: list[dict[str, Any]], services: str) -> str:
    """Who has these addresses now."""
    labels = (network["Labels"] or {} for network in networks)
    takers = (f"cluster {each[CLUSTER]}" for each in labels if each.get(SERVICE_CIDR) == services)
    return next(takers, "a network of Docker or of this machine")


def _dns_port(address: str) -> int:
    """53 where we may listen there; the proxy's rules lead queries to any other port as well."""
    if is_free(DNS_PORT, address, socket.SOCK_DGRAM) and is_free(DNS_PORT, address):
        return DNS_PORT
    return first_free(OTHER_DNS_PORT, address=address)


def _unused(candidates: Iterable[str], used: list[IPv4Network]) -> Iterator[str]:
    return (text for text in candidates if not any(IPv4Network(text).overlaps(other) for other in used))


def _subnets(networks: list[dict[str, Any]]) -> Iterator[IPv4Network]:
    for network in networks:
        for config in (network.get("IPAM") or {}).get("Config") or ():
            if "." in config.get("Subnet", ""):
                yield IPv4Network(config["Subnet"])


def _routed() -> Iterator[IPv4Network]:
    """Where this machine already sends packets, the default route apart."""
    try:
        lines = _ROUTES.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        _, destination, _, flags, *_, mask, _, _, _ = line.split()
        if int(flags, 16) & _UP and int(mask, 16):
            address, bits = struct.pack("<L", int(destination, 16)), int(mask, 16).bit_count()
            yield IPv4Network((socket.inet_ntoa(address), bits), strict=False)
