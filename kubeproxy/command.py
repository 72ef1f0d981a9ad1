"""The command line of kube-proxy.

    python -m kubeproxy --kubeconfig F --node-name N --cluster NAME --cluster-dns 10.96.0.10 --dns-bind 10.244.0.1:53
    python -m kubeproxy --cleanup --cluster NAME

Who is not root names a container that may set rules: `--rules-container NAME`.
Rules stay when the process ends, so that services answer while it is being replaced; `--cleanup` (or
`--cleanup-on-exit`) removes all that is ours.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click
import structlog

from kubeproxy.backends import CHOICES, Backend, BackendError, Engine, choose_backend
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.server import DnsServer
from kubeproxy.dns.upstream import Upstream
from kubeproxy.dns.zone import Zone, ZoneSettings
from kubeproxy.plan import Here
from kubeproxy.rules import Target
from kubeproxy.runner import Proxy, ProxySettings
from wherry.client.http import Client
from wherry.client.kubeconfig import KubeconfigError, load_connection
from wherry.client.logs import log_to_stdout

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    kubeconfig: str
    node_name: str
    cluster: str
    service_cidr: IPv4Network
    pod_cidr: IPv4Network
    cluster_dns: str
    cluster_domain: str
    dns_bind: tuple[Target, ...]
    resolv_conf: Path
    backend: str
    rules_container: str
    docker_host: str
    cleanup: bool
    cleanup_on_exit: bool

    async def choose(self, backend: str) -> tuple[Backend, str]:
        """The backend of that name, or for `auto` the best one; raises BackendError."""
        rules = Engine(self.rules_container, self.docker_host) if self.rules_container else None
        return await choose_backend(backend, self.cluster, self.pod_cidr, self.service_cidr, rules)


class _Cidr(click.ParamType[IPv4Network]):
    name = "cidr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IPv4Network:
        if isinstance(value, IPv4Network):
            return value
        try:
            return IPv4Network(value)
        except ValueError as error:
            self.fail(f"{error}: expected an IPv4 network such as 10.96.0.0/16", param, ctx)


class _AddressAndPort(click.ParamType[Target]):
    name = "address:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        if isinstance(value, Target):
            return value
        address, _, port = value.rpartition(":")
        try:
            target = Target(str(IPv4Address(address)), int(port))
        except (AddressValueError, ValueError):
            self.fail(f"{value!r}: expected ADDRESS:PORT such as 10.244.0.1:53", param, ctx)
        if not 0 < target.port < 65536:
            self.fail(f"{value!r}: the port must be between 1 and 65535", param, ctx)
        return target


class _Address(click.ParamType[str]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(IPv4Address(value)) if value else ""
        except AddressValueError:
            self.fail(f"{value!r}: expected an IPv4 address such as 10.96.0.10", param, ctx)


@click.command(context_settings={"show_default": True})
@click.option("--kubeconfig", default="", help="How to reach the API server.")
@click.option("--node-name", default="", help="The node this proxy serves.")
@click.option("--cluster", default="wherry", help="Names all that is put on this machine.")
@click.option("--service-cidr", type=_Cidr(), default="10.96.0.0/16", help="Where cluster IPs come from.")
@click.option("--pod-cidr", type=_Cidr(), default="10.244.0.0/16", help="Where pod addresses come from.")
@click.option("--cluster-dns", type=_Address(), default="10.96.0.10", help="The address that pods ask for names.")
@click.option("--cluster-domain", default="cluster.local", help="The domain of the cluster's names.")
@click.option("--dns-bind", type=_AddressAndPort(), multiple=True, help="Where to answer DNS; may be repeated.")
@click.option(
    "--resolv-conf", type=click.Path(path_type=Path), default="/etc/resolv.conf", help="Who knows all others."
)
@click.option("--backend", type=click.Choice(CHOICES), default="auto", help="How services answer.")
@click.option(
    "--rules-container",
    default="",
    help="Without root: a Docker container in this machine's network, with CAP_NET_ADMIN, nft, ip and a shell, and "
    "/proc/sys/net/ipv4/conf at /sysctl; nftables rules are set in it.",
)
@click.option("--docker-host", default="unix:///var/run/docker.sock", help="The Docker Engine that runs it.")
@click.option("--cleanup", is_flag=True, help="Remove all that is ours from this machine, and end.")
@click.option("--cleanup-on-exit", is_flag=True, help="Do so when this process is told to end.")
def main(**options: Any) -> None:
    """Make the cluster's Services answer on this machine, and its names resolve."""
    chosen = Options(**options)
    if not chosen.cleanup and not (chosen.kubeconfig and chosen.node_name):
        raise click.UsageError("--kubeconfig and --node-name are needed, unless it is for --cleanup")
    log_to_stdout()
    try:
        asyncio.run(_clean_up(chosen) if chosen.cleanup else _serve(chosen))
    except (BackendError, KubeconfigError) as error:
        raise click.ClickException(str(error)) from error


async def _clean_up(options: Options) -> None:
    """Whatever backend was used before: each removes what it may have left."""
    for choice in ("nftables", "userspace"):
        try:
            backend, _ = await options.choose(choice)
        except BackendError as error:
            _log.info("nothing to clean up", backend=choice, reason=str(error))
            continue
        await backend.clear()


async def _serve(options: Options) -> None:
    backend, reason = await options.choose(options.backend)
    _log.info("backend chosen", backend=type(backend).__name__, reason=reason)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(backend.clear if options.cleanup_on_exit else backend.close)
        client = await stack.enter_async_context(
            Client(load_connection(options.kubeconfig), user_agent=f"kube-proxy/{options.node_name}")
        )
        await _until_told_to_end(client, backend, options)


async def _until_told_to_end(client: Client, backend: Backend, options: Options) -> None:
    zone = ZoneSettings(options.cluster_domain, options.cluster_dns, (options.service_cidr, options.pod_cidr))
    here = Here(options.node_name, options.cluster_dns, _reachable(options.dns_bind))
    responder = Responder(Zone(settings=zone))
    ourselves = {options.cluster_dns, *(bind.address for bind in options.dns_bind)}
    server = DnsServer(responder, Upstream(options.resolv_conf, ourselves), options.dns_bind)
    proxy = Proxy(client, backend, responder, ProxySettings(here, zone))

    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as group:
        working = [group.create_task(proxy.run()), group.create_task(server.run())]
        await told.wait()
        for task in working:
            task.cancel()


def _reachable(binds: tuple[Target, ...]) -> Target | None:
    """Where the rules send DNS queries: pods cannot be led to a loopback address, if there is a choice."""
    outward = [bind for bind in binds if not IPv4Address(bind.address).is_loopback]
    return next(iter((*outward, *binds)), None)
