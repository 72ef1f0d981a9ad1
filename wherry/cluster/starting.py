"""`wherry up`: decide, prepare, start the supervisor, wait until the cluster is ready.

    wanted = Wanted(nodes=1, ...)
    cluster = start(layout, wanted, say=print, once_served=lambda settings: None)

Run twice it finds the cluster running and changes nothing. What an earlier `up` decided and this one does not mention
stays as it was.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from wherry.cluster.etcd_endpoints import check_endpoints
from wherry.cluster.layout import DEFAULT_NAME, Layout, options_of
from wherry.cluster.locks import only_one, shared_things
from wherry.cluster.machine import debian
from wherry.cluster.machine.docker_engine import connect, have_docker
from wherry.cluster.machine.images import have_images
from wherry.cluster.machine.network import NONE_BEFORE, PodNetwork, Ranges, have_network
from wherry.cluster.machine.ports import first_free, is_free
from wherry.cluster.machine.rules_container import have_rules_container
from wherry.cluster.operator_files import check_files, say_what_is_newer
from wherry.cluster.ownership import Owner, owner_of, refuse_strangers_folder
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.readiness import api_probe, wait_until_listening, wait_until_ready
from wherry.cluster.settings import EtcdSettings, NodeSettings, Settings, load_settings
from wherry.cluster.stopping import clear_leftovers, remove_data
from wherry.cluster.supervision.logs import open_log
from wherry.cluster.supervision.running import end_strays, supervisor_of
from wherry.cluster.trust.kubeconfig import merge_context, users_kubeconfig
from wherry.cluster.unwanted_nodes import remove_unwanted_nodes

API_PORT, KUBELET_PORT, ETCD_PORT = 6443, 10250, 12379
CONTROLLERS_PORT, SCHEDULER_PORT = 10257, 10259
_LOOPBACK_ONLY = """\
not root, and {problem}:
  pods run, but services answer on this machine's loopback only, and their names not in pods"""
NO_NETWORK = PodNetwork("", "10.96.0.0/16", "", 0)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; None where nothing was said."""

    nodes: int | None = None
    fake_nodes: int | None = None
    fake_gpus: int | None = None
    node_loss: Literal["kubernetes", "fast"] | None = None
    store: str | None = None
    etcd: EtcdSettings | None = None
    port: int | None = None
    kubeconfig: Path | None = None


def start(layout: Layout, wanted: Wanted, say: Say, once_served: Callable[[Settings], None]) -> Settings:
    """Have the cluster running and ready; raises ClusterProblem with what stands in the way.

    `once_served` is called as soon as the API answers, while nodes are still on their way.
    """
    refuse_strangers_folder(layout)
    is_new = owner_of(layout) is Owner.NOBODY
    if load_settings(layout) is None:  # nothing is made in the folder of a cluster of another name
        _check_wanted(None, wanted, say)
    layout.make()
    with only_one(layout):
        before = load_settings(layout)
        if before is not None and supervisor_of(layout) is not None:
            _refuse_changes(layout, before, wanted)
            if before.rules_container:
                have_rules_container(connect(), layout)  # somebody may have removed it
            say(f"cluster {layout.name} is running")
            say_what_is_newer(layout, say)
        else:
            with _taken_back(layout, before, say, is_new=is_new):
                check_files(layout)
                end_strays(layout)
                if before is not None:
                    _check_wanted(before, wanted, say)
                with _supervisor(layout) as begin:
                    before = _start(layout, before, wanted, say, begin)

        def served(settings: Settings) -> None:
            # First of all, or what is applied next may come to lie on a node that is no more.
            remove_unwanted_nodes(layout, settings, api_probe(layout, settings), say)
            once_served(settings)

        wait_until_ready(layout, before, say, served)
        return before


def _check_wanted(before: Settings | None, wanted: Wanted, say: Say) -> None:
    """Raise ClusterProblem for what cannot be, before anything is made."""
    if wanted.port is not None:
        _check_port(wanted.port)
    etcd = wanted.etcd or (before.etcd if before else EtcdSettings())
    if etcd.endpoints and (wanted.store or (before and before.store)) == "etcd":
        check_endpoints(etcd, say)


@contextmanager
def _taken_back(layout: Layout, before: Settings | None, say: Say, *, is_new: bool) -> Iterator[None]:
    """Where a cluster that had nothing on this machine does not come to be started, what was made for it goes again."""
    try:
        yield
    except BaseException:
        had_nothing = is_new or (before is not None and before.is_out_of_docker)
        with suppress(ClusterProblem):  # what stands in the way is told already
            if had_nothing and load_settings(layout) == before and clear_leftovers(layout, say) is None and is_new:
                remove_data(layout)
        raise


def _start(layout: Layout, before: Settings | None, wanted: Wanted, say: Say, begin: Callable[[], None]) -> Settings:
    # Imported here, while the supervisor gets ready: cryptography takes a third of the time that all else takes.
    from wherry.cluster.trust.credentials import make_credentials

    client = _have_docker(layout, say) if _number_of_nodes(before, wanted) else None
    if wanted.store == "etcd" and wanted.etcd is None and shutil.which("etcd") is None and debian.may_install():
        say("installing etcd (etcd-server)")
        debian.install("etcd-server")
    # Held until the API server listens: two clusters that start at once must not choose the same addresses and ports.
    with shared_things():
        had = Ranges(before.pod_cidr, before.service_cidr) if before else NONE_BEFORE
        network = have_network(client, layout, had) if client else _no_network(had)
        settings = _decide(layout, before, wanted, network, say)
        if settings.nodes and os.geteuid() != 0:
            settings = msgspec.structs.replace(settings, rules_container=_rules_container(client, layout, network, say))
        make_credentials(layout, settings)
        settings = _merge_kubeconfig(layout, settings)
        settings.save(layout)
        say(f"starting {settings.url} (store: {settings.store}, data: {layout.data_dir})")
        begin()
        if client is not None:
            have_images(client, say)
        wait_until_listening(layout, settings)
    return settings


def _no_network(had: Ranges) -> PodNetwork:
    return NO_NETWORK._replace(service_cidr=had.services or NO_NETWORK.service_cidr)


def _rules_container(client: Any, layout: Layout, network: PodNetwork, say: Say) -> str:
    """The container that sets service rules for a user who may not; empty, with a word about it, if there is none."""
    try:
        if not network.gateway:
            raise ClusterProblem("Docker's networks are not this machine's")
        name = have_rules_container(client, layout)
    except ClusterProblem as problem:
        say(_LOOPBACK_ONLY.format(problem=problem))
        return ""
    say(f"not root: the container {name} sets service rules")
    return name


def _have_docker(layout: Layout, say: Say) -> Any:
    if sys.platform.startswith("linux") and shutil.which("nft") is None and debian.may_install():
        say("installing nftables")
        debian.install("nftables", "iproute2")
    return have_docker(say, layout.log("dockerd"))


def _decide(layout: Layout, before: Settings | None, wanted: Wanted, network: PodNetwork, say: Say) -> Settings:
    taken: set[int] = set()
    port = _api_port(before, wanted, say)
    taken.add(port)
    nodes = tuple(
        NodeSettings(name, _take(taken, KUBELET_PORT, network.gateway or "127.0.0.1"))
        for name in node_names(layout, _number_of_nodes(before, wanted), before.nodes if before else ())
    )
    store = wanted.store or (before.store if before else "sqlite")
    etcd = wanted.etcd or (before.etcd if before else EtcdSettings())
    is_local = store == "etcd" and not etcd.endpoints
    return Settings(
        port=port,
        store=store,
        etcd=etcd,
        etcd_ports=(_take(taken, ETCD_PORT), _take(taken, ETCD_PORT)) if is_local else (0, 0),
        nodes=nodes,
        fake_nodes=wanted.fake_nodes if wanted.fake_nodes is not None else (before.fake_nodes if before else 0),
        fake_gpus=wanted.fake_gpus if wanted.fake_gpus is not None else (before.fake_gpus if before else 0),
        node_loss=wanted.node_loss or (before.node_loss if before else "kubernetes"),
        pod_cidr=network.pod_cidr,
        service_cidr=network.service_cidr,
        gateway=network.gateway,
        dns_port=network.dns_port,
        controllers_port=_take(taken, CONTROLLERS_PORT),
        scheduler_port=_take(taken, SCHEDULER_PORT),
        docker_host=os.environ.get("DOCKER_HOST", ""),
        kubeconfig=str(wanted.kubeconfig or (before.kubeconfig if before else "") or users_kubeconfig()),
        context_before=before.context_before if before else "",
    )


def node_names(layout: Layout, count: int, before: Sequence[NodeSettings] = ()) -> tuple[str, ...]:
    """What so many nodes are called; those that were there before keep their names, and so their pods and volumes.

    The first is called like the machine, the others `-2`, `-3`, …; clusters beside the first say whose they are.
    """
    host = platform.node().lower() or "node"
    base = host if layout.name == DEFAULT_NAME else f"{host}-{layout.name}"
    kept = [node.name for node in before][:count]
    new = (name for name in chain([base], (f"{base}-{number}" for number in range(2, 2 + count))) if name not in kept)
    return (*kept, *islice(new, count - len(kept)))


def _number_of_nodes(before: Settings | None, wanted: Wanted) -> int:
    if wanted.nodes is not None:
        return wanted.nodes
    return len(before.nodes) if before else 1


def _api_port(before: Settings | None, wanted: Wanted, say: Say) -> int:
    if wanted.port is not None:
        _check_port(wanted.port)
        return wanted.port
    # A cluster keeps its port, so that kubeconfigs that were handed out stay true.
    if before is None or is_free(before.port):
        return before.port if before else first_free(API_PORT)
    port = first_free(API_PORT)
    say(f"port {before.port} is another program's by now: the cluster moves to {port}; so must kubeconfigs elsewhere")
    return port


def _check_port(port: int) -> None:
    if not is_free(port):
        raise ClusterProblem(f"--port {port}: another program listens there; choose another one")


def _take(taken: set[int], port: int, address: str = "127.0.0.1") -> int:
    port = first_free(port, taken, address)
    taken.add(port)
    return port


def _merge_kubeconfig(layout: Layout, settings: Settings) -> Settings:
    before = merge_context(layout, Path(settings.kubeconfig), settings.url)
    return msgspec.structs.replace(settings, context_before=before or settings.context_before)


def _refuse_changes(layout: Layout, running: Settings, wanted: Wanted) -> None:
    """A running cluster is what it is: say so before anything is done halfway."""
    options = {
        "--nodes": (wanted.nodes, len(running.nodes)),
        "--fake-nodes": (wanted.fake_nodes, running.fake_nodes),
        "--fake-gpus": (wanted.fake_gpus, running.fake_gpus),
        "--node-loss": (wanted.node_loss, running.node_loss),
        "--store": (wanted.store, running.store),
        "--etcd-endpoints": (wanted.etcd, running.etcd),
        "--port": (wanted.port, running.port),
        "--kubeconfig": (wanted.kubeconfig and str(wanted.kubeconfig), running.kubeconfig),
    }
    for option, (asked, is_so) in options.items():
        if asked is not None and asked != is_so:
            raise ClusterProblem(
                f"{option} {asked}: cluster {layout.name} runs with {is_so}; `wherry down{options_of(layout)}` first"
            )


@contextmanager
def _supervisor(layout: Layout) -> Iterator[Callable[[], None]]:
    """A supervisor that gets ready while this process decides, and what to call when it has: then it outlives us.

    Where that is not called it is ended.
    """
    command = (sys.executable, "-P", "-m", "wherry.cluster.supervision.supervisor")
    options = ("--name", layout.name, "--data-dir", str(layout.data_dir))
    layout.supervisor_file.unlink(missing_ok=True)
    heard, told = os.pipe()
    with os.fdopen(told, "wb", buffering=0) as pipe:
        with os.fdopen(heard) as its_input, open_log(layout.log("supervisor")) as log:
            supervisor = subprocess.Popen(
                (*command, *options), stdin=its_input, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

        has_begun = False

        def begin() -> None:
            nonlocal has_begun
            has_begun = True
            with suppress(BrokenPipeError):  # it has ended, as who waits for the cluster will say
                pipe.write(b"begin\n")

        try:
            yield begin
        finally:
            if not has_begun:
                supervisor.kill()
                supervisor.wait()
