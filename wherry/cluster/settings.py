"""Settings: what `up` decided about a cluster, kept with it so that the supervisor, `down` and the next `up` agree."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

import msgspec

from wherry.api.coordination.node_loss import NODE_LOSS, NodeLoss
from wherry.cluster.files import write_private
from wherry.cluster.layout import DEFAULT_NAME, Layout
from wherry.cluster.problem import ClusterProblem

STORES = ("sqlite", "etcd", "memory")
CLUSTER_DOMAIN = "cluster.local"


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kubelet of this machine."""

    name: str
    port: int


class EtcdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody else's etcd; without endpoints a local one is started."""

    endpoints: tuple[str, ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See the module.

    `name` is the cluster's; it is empty in memory until the settings have been saved once.
    The ports of controllers and scheduler are those of their metrics; 0, as before there were any, is none.
    `gateway` is this machine on the pods' network, empty where there is no such network. `rules_container` sets service
    rules for a user who may not; it is empty where nobody does, or root does. `is_out_of_docker` says that `down` has
    taken away everything that the cluster had in Docker, and its rules, so that it needs no Docker to be purged.
    """

    port: int
    name: str = ""
    store: str = "sqlite"
    etcd: EtcdSettings = EtcdSettings()
    etcd_ports: tuple[int, int] = (0, 0)
    nodes: tuple[NodeSettings, ...] = ()
    fake_nodes: int = 0
    fake_gpus: int = 0
    node_loss: Literal["kubernetes", "fast"] = "kubernetes"
    pod_cidr: str = ""
    service_cidr: str = "10.96.0.0/16"
    gateway: str = ""
    dns_port: int = 53
    controllers_port: int = 0
    scheduler_port: int = 0
    docker_host: str = ""
    rules_container: str = ""
    is_out_of_docker: bool = False
    kubeconfig: str = ""
    context_before: str = ""

    @property
    def timers(self) -> NodeLoss:
        """How fast a node that dies is noticed, and its pods are moved."""
        return NODE_LOSS[self.node_loss]

    @property
    def url(self) -> str:
        """Where people of this machine find the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def has_local_etcd(self) -> bool:
        """Whether an etcd of our own runs for this cluster."""
        return self.store == "etcd" and not self.etcd.endpoints

    def service_address(self, index: int) -> str:
        """The address of that number in the services' network: 1 is the API server's, 10 the name server's."""
        return str(IPv4Network(self.service_cidr)[index])

    def save(self, layout: Layout) -> None:
        """Keep them, whole or not at all."""
        named = msgspec.structs.replace(self, name=layout.name)
        write_private(layout.settings_file, msgspec.json.format(msgspec.json.encode(named)))


def load_settings(layout: Layout) -> Settings | None:
    """What the last `up` decided, None if there was none; a ClusterProblem if the name is another one."""
    settings = _read(layout)
    name = settings and (settings.name or _name_in_kubeconfig(layout))
    if name and name != layout.name:
        raise ClusterProblem(
            f"{layout.data_dir} belongs to cluster {name}, not to {layout.name}: "
            f"say --name {name}, or another --data-dir"
        )
    return settings


def name_in(folder: Path) -> str:
    """The name of the cluster that a folder belongs to; empty if there is none, or it cannot be known."""
    layout = Layout("", folder)
    settings = _read(layout)
    return "" if settings is None else settings.name or _name_in_kubeconfig(layout)


def _name_in_kubeconfig(layout: Layout) -> str:
    """Settings of earlier versions have no name, but what the admin's kubeconfig calls the cluster tells it."""
    import yaml  # where the settings have a name it is not needed

    try:
        config = yaml.safe_load(layout.kubeconfig("admin").read_bytes())
        title = str(config["current-context"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return ""
    return title.removeprefix(f"{DEFAULT_NAME}-")


def _read(layout: Layout) -> Settings | None:
    try:
        content = layout.settings_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClusterProblem(f"{layout.settings_file}: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=Settings)
    except msgspec.MsgspecError as error:
        raise ClusterProblem(f"{layout.settings_file}: not the settings of a cluster: {error}") from error
