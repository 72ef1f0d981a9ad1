"""The processes of a cluster, as values: what each is called, its command line, and which must be ready before it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from wherry.cluster.layout import Layout
from wherry.cluster.machine.images import PAUSE_IMAGE
from wherry.cluster.operator_files import scheduling_files
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import CLUSTER_DOMAIN, NodeSettings, Settings

LOOPBACK = "127.0.0.1"
DNS_INDEX = 10
# -P: modules come from where Wherry is installed, never from the current folder.
_PYTHON = (sys.executable, "-P", "-m")
# Objects may have 3 MiB, and etcd's own limits are 1.5 MiB and 2 GiB; 8 GiB is the most it recommends.
_ETCD_LIMITS = ("--max-request-bytes", "4194304", "--quota-backend-bytes", "8589934592")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. The next stage starts when `ready_url` answers 200 (at once where it is empty)."""

    name: str
    command: tuple[str, ...]
    stage: int
    ready_url: str = ""

    @property
    def module(self) -> str:
        """The module that it runs, if it is one of ours; empty for other programs."""
        return self.command[len(_PYTHON)] if self.command[: len(_PYTHON)] == _PYTHON else ""

    @property
    def options(self) -> tuple[str, ...]:
        """What follows the module."""
        return self.command[len(_PYTHON) + 1 :]


def processes_of(layout: Layout, settings: Settings) -> tuple[Process, ...]:
    """Everything that runs for a cluster, in the order in which it starts."""
    return tuple(_processes(layout, settings))


def _processes(layout: Layout, settings: Settings) -> Iterator[Process]:
    if settings.has_local_etcd:
        yield _etcd(layout, settings)
    yield Process("apiserver", _python("apiserver", apiserver_options(layout, settings)), 1, f"{settings.url}/readyz")
    yield Process("controllers", _python("controllers", _controllers(layout, settings)), 2)
    # One supervisor runs one scheduler: there is nobody to elect, and after a crash no lease to wait for.
    scheduler = ("--kubeconfig", str(layout.kubeconfig("scheduler")), "--no-leader-elect", *_profiles(layout))
    scheduler += tuple(_serving(layout, "scheduler", settings.scheduler_port))
    yield Process("scheduler", _python("scheduler", scheduler), 2)
    for node in settings.nodes:
        yield Process(f"kubelet-{node.name}", _kubelet(layout, settings, node), 2)
    if settings.nodes:
        yield Process("kubeproxy", _kubeproxy(layout, settings), 2)
    if settings.fake_nodes:
        fakes = ("--kubeconfig", str(layout.kubeconfig("admin")), "--count", str(settings.fake_nodes))
        cards = ("--gpus", str(settings.fake_gpus)) if settings.fake_gpus else ()
        lease = ("--lease-seconds", str(settings.timers.lease_seconds))
        yield Process("fake-nodes", _python("wherry.cluster.fake_nodes", (*fakes, *cards, *lease)), 2)


def _python(module: str, options: tuple[str, ...]) -> tuple[str, ...]:
    return (*_PYTHON, module, *options)


def _etcd(layout: Layout, settings: Settings) -> Process:
    binary = shutil.which("etcd")
    if binary is None:
        raise ClusterProblem("--store etcd: there is no etcd on this machine (Debian: apt install etcd-server)")
    client, peer = (f"https://{LOOPBACK}:{port}" for port in settings.etcd_ports)
    files = (str(layout.certificate("etcd-server")), str(layout.key("etcd-server")), str(layout.certificate("etcd-ca")))
    command = [binary, "--name", layout.title, "--data-dir", str(layout.store / "etcd"), *_ETCD_LIMITS]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"{layout.title}={peer}"]
    for prefix in ("--", "--peer-"):
        command += [f"{prefix}cert-file", files[0], f"{prefix}key-file", files[1], f"{prefix}trusted-ca-file", files[2]]
        command.append(f"{prefix}client-cert-auth")
    return Process("etcd", tuple(command), 0, f"{client}/health")


def apiserver_options(layout: Layout, settings: Settings) -> tuple[str, ...]:
    """The command line of the API server."""
    addresses = tuple(filter(None, (LOOPBACK, settings.gateway)))
    options = [
        "--store",
        _store(layout, settings),
        "--port",
        str(settings.port),
        "--service-cidr",
        settings.service_cidr,
    ]
    for address in addresses:
        options += ["--bind-address", address]
    options += ["--advertise-address", addresses[-1]]
    options += ["--tls-cert", str(layout.certificate("apiserver")), "--tls-key", str(layout.key("apiserver"))]
    options += ["--client-ca", str(layout.ca_file), "--service-account-key", str(layout.key("service-accounts"))]
    options += ["--kubelet-ca", str(layout.ca_file)]
    options += ["--kubelet-cert", str(layout.certificate("apiserver-kubelet-client"))]
    options += ["--kubelet-key", str(layout.key("apiserver-kubelet-client"))]
    options += ["--proxy-client-cert", str(layout.certificate("front-proxy-client"))]
    options += ["--proxy-client-key", str(layout.key("front-proxy-client"))]
    options += ["--requestheader-client-ca", str(layout.certificate("front-proxy-ca"))]
    for taint in ("not-ready", "unreachable"):
        options += [f"--default-{taint}-toleration-seconds", str(settings.timers.toleration_seconds)]
    return (*options, *_policies(layout), *_etcd_access(layout, settings))


def _policies(layout: Layout) -> Iterator[str]:
    """What the operator has put into the data folder for the API server to obey."""
    if layout.encryption_file.exists():
        yield from ("--encryption-provider-config", str(layout.encryption_file))
    if layout.audit_policy_file.exists():
        yield from ("--audit-policy-file", str(layout.audit_policy_file))
        yield from ("--audit-log-path", str(layout.logs / "audit.log"))
    if layout.authentication_file.exists():
        yield from ("--authentication-config", str(layout.authentication_file))
    if layout.tracing_file.exists():
        yield from ("--tracing-config-file", str(layout.tracing_file))


def _profiles(layout: Layout) -> Iterator[str]:
    """What the operator has put into the data folder for the scheduler to obey."""
    config, plugins = scheduling_files(layout)
    if config:
        yield from ("--config", str(config))
    if plugins:
        yield from ("--plugins", str(plugins))


def _store(layout: Layout, settings: Settings) -> str:
    if settings.store == "sqlite":
        return f"sqlite:{layout.store / 'objects.db'}"
    if settings.store == "memory":
        return "memory"
    return f"etcd:{','.join(settings.etcd.endpoints) or f'https://{LOOPBACK}:{settings.etcd_ports[0]}'}"


def _etcd_access(layout: Layout, settings: Settings) -> Iterator[str]:
    access = settings.etcd
    files = (access.ca_file, access.cert_file, access.key_file)
    if settings.has_local_etcd:
        own = (layout.certificate("etcd-ca"), layout.certificate("etcd-client"), layout.key("etcd-client"))
        files = (str(own[0]), str(own[1]), str(own[2]))
    for option, file in zip(("--etcd-ca", "--etcd-cert", "--etcd-key"), files, strict=True):
        if file:
            yield from (option, file)


def _controllers(layout: Layout, settings: Settings) -> tuple[str, ...]:
    return (
        "--kubeconfig",
        str(layout.kubeconfig("controllers")),
        "--root-ca",
        str(layout.ca_file),
        "--cluster-signing-cert-file",
        str(layout.ca_file),
        "--cluster-signing-key-file",
        str(layout.key("ca")),
        "--node-monitor-grace-seconds",
        str(settings.timers.grace_seconds),
        "--no-leader-elect",
        *_serving(layout, "controllers", settings.controllers_port),
    )


def _serving(layout: Layout, component: str, port: int) -> Iterator[str]:
    """Where a component tells of itself, if anywhere."""
    if port:
        certificate, key = layout.certificate(f"{component}-server"), layout.key(f"{component}-server")
        yield from ("--secure-port", str(port), "--client-ca-file", str(layout.ca_file))
        yield from ("--tls-cert-file", str(certificate), "--tls-private-key-file", str(key))


def _kubelet(layout: Layout, settings: Settings, node: NodeSettings) -> tuple[str, ...]:
    identity = f"kubelet-{node.name}"
    options = ["--kubeconfig", str(layout.kubeconfig(identity)), "--node-name", node.name]
    options += ["--data-dir", str(layout.nodes / node.name), "--cluster", layout.name, "--network", layout.title]
    options += ["--pod-cidr", settings.pod_cidr, "--cluster-dns", settings.service_address(DNS_INDEX)]
    options += ["--cluster-domain", CLUSTER_DOMAIN, "--address", settings.gateway or LOOPBACK, "--port", str(node.port)]
    options += ["--tls-cert", str(layout.certificate(f"{identity}-server"))]
    options += ["--tls-key", str(layout.key(f"{identity}-server"))]
    options += ["--client-ca", str(layout.ca_file), "--sandbox-image", PAUSE_IMAGE]
    options += ["--node-lease-duration-seconds", str(settings.timers.lease_seconds)]
    if settings.docker_host:
        options += ["--docker-host", settings.docker_host]
    return _python("kubelet", tuple(options))


def _kubeproxy(layout: Layout, settings: Settings) -> tuple[str, ...]:
    """One for all nodes of this machine: they share its kernel."""
    options = ["--kubeconfig", str(layout.kubeconfig("kubeproxy")), "--node-name", settings.nodes[0].name]
    options += ["--cluster", layout.name, "--service-cidr", settings.service_cidr, "--pod-cidr", settings.pod_cidr]
    options += ["--cluster-dns", settings.service_address(DNS_INDEX), "--cluster-domain", CLUSTER_DOMAIN]
    options += ["--dns-bind", f"{settings.gateway or LOOPBACK}:{settings.dns_port}", "--backend", "auto"]
    return _python("kubeproxy", (*options, *_rules_container(settings)))


def _rules_container(settings: Settings) -> Iterator[str]:
    if settings.rules_container:
        yield from ("--rules-container", settings.rules_container)
        if settings.docker_host:
            yield from ("--docker-host", settings.docker_host)


def kubeproxy_cleanup(layout: Layout, settings: Settings) -> tuple[str, ...]:
    """The command that takes every rule of the cluster out of this machine."""
    cidrs = ("--service-cidr", settings.service_cidr, "--pod-cidr", settings.pod_cidr)
    return _python("kubeproxy", ("--cleanup", "--cluster", layout.name, *cidrs, *_rules_container(settings)))
