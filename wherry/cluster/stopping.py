"""`wherry down`: everything of a cluster is taken off this machine but its data, and with `purge` that too.

It works from what is there, not from what should be: after any crash, and when run twice.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from wherry.cluster.etcd_endpoints import removal_of_objects
from wherry.cluster.layout import Layout, clusters_dir
from wherry.cluster.locks import only_one, shared_things
from wherry.cluster.machine.docker_engine import connect, have_installed_docker, remove_containers, stop_ours
from wherry.cluster.machine.images import PAUSE_IMAGE, have_images, remove_images
from wherry.cluster.machine.network import CLUSTER, clusters_on, has_network, remove_network
from wherry.cluster.machine.rules_container import have_rules_container
from wherry.cluster.ownership import Owner, owner_of, persons_files, refuse_strangers_folder
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import Settings, load_settings
from wherry.cluster.supervision.processes import kubeproxy_cleanup
from wherry.cluster.supervision.running import end_strays, supervisor_of
from wherry.cluster.trust.kubeconfig import remove_context
from wherry.volumes.memory import shared_memory_of

Say = Callable[[str], None]

# The supervisor itself gives each stage of processes eight seconds.
_SUPERVISOR_SECONDS = 40.0
_ELSEWHERE = """\
its objects stay in the etcd at {where}, below /registry/, and the next cluster there has them; this removes them,
  and those of every other cluster that keeps its objects there: {command}"""
_CLEANUP_SECONDS = 60.0


def stop(layout: Layout, say: Say, *, purge: bool = False) -> None:
    """End a cluster. Raises ClusterProblem when something of it cannot be removed now."""
    refuse_strangers_folder(layout)
    if owner_of(layout) is Owner.NOBODY:
        say(f"there is no cluster {layout.name} in {layout.data_dir}")
        return
    with only_one(layout):
        settings = load_settings(layout)
        say(f"stopping cluster {layout.name}")
        _stop_processes(layout)
        if settings is not None:
            remove_context(layout, Path(settings.kubeconfig), settings.context_before)
        held_on_to = None
        if settings is not None and _needs_docker(layout, settings, purge=purge):
            if not settings.is_out_of_docker:
                _clear_rules(layout, settings, say)
            with shared_things():
                held_on_to = _clear_docker(_engine(layout, settings, say), layout, say, purge=purge)
            if held_on_to is None:
                msgspec.structs.replace(settings, is_out_of_docker=True).save(layout)
        elif settings is None or purge:
            held_on_to = clear_leftovers(layout, say, purge=purge)
        _unmount_all(layout.data_dir)
        shutil.rmtree(layout.run, ignore_errors=True)
        if held_on_to is not None:
            raise held_on_to  # before the data goes, without which the next `down` would not know the cluster
        if purge:
            remove_data(layout)
        say(_farewell(layout, purge=purge))
        if purge and settings is not None and settings.store == "etcd" and settings.etcd.endpoints:
            say(_ELSEWHERE.format(where=",".join(settings.etcd.endpoints), command=removal_of_objects(settings.etcd)))


def _needs_docker(layout: Layout, settings: Settings, *, purge: bool) -> bool:
    """Whether something of the cluster may be in Docker, or only Docker may remove its files."""
    if not settings.nodes:
        return False
    return not settings.is_out_of_docker or (purge and _holds_files_of_others(layout))


def _holds_files_of_others(layout: Layout) -> bool:
    """Whether containers wrote files into volumes that we may not remove."""
    us = os.geteuid()
    return us != 0 and any(path.lstat().st_uid != us for path in layout.nodes.rglob("*"))


def clear_leftovers(layout: Layout, say: Say, *, purge: bool = False) -> ClusterProblem | None:
    """Take out of Docker what an `up` made that was interrupted or refused. No Docker is no problem.

    The cluster is known by its network: that is made before anything else. A daemon that `up` started for it ends, too.
    """
    try:
        client = connect()
    except ClusterProblem:
        return None
    with shared_things():
        if has_network(client, layout):
            return _clear_docker(client, layout, say, purge=purge)
        if not clusters_on(client):
            stop_ours(client)
    return None


def _farewell(layout: Layout, *, purge: bool) -> str:
    if not purge:
        return f"gone; its data stays in {layout.data_dir}"
    left = [str(file) for file in persons_files(layout) if file.exists()]
    if not left:
        return "gone, its data included"
    why = "; backups of the store cannot be read without its keys" if layout.encryption_file.exists() else ""
    return f"gone, its data included; what you put there stays: {', '.join(left)}{why}"


def _stop_processes(layout: Layout) -> None:
    supervisor = supervisor_of(layout)
    if supervisor is not None:
        supervisor.signal(signal.SIGTERM)
        supervisor.signal(signal.SIGCONT)
        if not supervisor.ends_within(_SUPERVISOR_SECONDS):
            supervisor.signal(signal.SIGKILL)
            supervisor.ends_within(_SUPERVISOR_SECONDS)
    end_strays(layout)


def _clear_rules(layout: Layout, settings: Settings, say: Say) -> None:
    if settings.rules_container:
        # Somebody may have removed it, and the rules would stay.
        have_rules_container(_engine(layout, settings, say), layout)
    command = kubeproxy_cleanup(layout, settings)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", timeout=_CLEANUP_SECONDS
    )
    if done.returncode != 0:
        raise ClusterProblem(f"the rules of cluster {layout.name} cannot be removed:\n{done.stdout}{done.stderr}")


def _clear_docker(client: Any, layout: Layout, say: Say, *, purge: bool) -> ClusterProblem | None:
    """Take everything of the cluster out of Docker; gives what Docker has against letting its network go."""
    remove_containers(client, f"{CLUSTER}={layout.name}")
    for folder in _shared_memory(layout):
        shutil.rmtree(folder, ignore_errors=True)
    if os.geteuid() != 0:
        _remove_files_of_root(client, layout, say, purge=purge)
    try:
        remove_network(client, layout)
    except ClusterProblem as problem:
        return problem
    if not clusters_on(client):
        remove_images(client)
        stop_ours(client)
    return None


def _engine(layout: Layout, settings: Settings, say: Say) -> Any:
    try:
        return have_installed_docker(say, layout.log("dockerd"))
    except ClusterProblem as problem:
        why = f"The containers and the network of cluster {layout.name} are still in Docker"
        if settings.is_out_of_docker:
            why = f"Containers of cluster {layout.name} wrote files in {layout.nodes} that only a container may remove"
        raise ClusterProblem(f"{problem}\n  {why}: start it and run `wherry down` again.") from problem


def _shared_memory(layout: Layout) -> list[Path]:
    """What pods have in this machine's shared memory, whose kubelets could not mount any of their own."""
    found = (shared_memory_of(pod.name) for pod in layout.nodes.glob("*/pods/*"))
    return [folder for folder in found if folder.is_dir()]


def _remove_files_of_root(client: Any, layout: Layout, say: Say, *, purge: bool) -> None:
    """Files that containers wrote into volumes as root: only a container may remove them."""
    memory = _shared_memory(layout)
    purge = purge and _holds_files_of_others(layout)
    if not (memory or purge):
        return
    have_images(client, say)  # an earlier `down` has removed them
    binds = {str(folder): {"bind": f"/memory/{folder.name}", "mode": "rw"} for folder in memory}
    if purge:
        binds[str(layout.nodes)] = {"bind": "/nodes", "mode": "rw"}
    config = client.create_host_config(binds=binds, network_mode="none")
    command = ["/bin/busybox", "sh", "-c", "rm -rf /nodes/* /memory/*/*"]
    labels = {CLUSTER: layout.name}
    container = client.create_container(PAUSE_IMAGE, command, host_config=config, labels=labels)["Id"]
    try:
        client.start(container)
        client.wait(container)
    finally:
        client.remove_container(container, force=True)
    for folder in memory:
        shutil.rmtree(folder, ignore_errors=True)


def _unmount_all(folder: Path) -> None:
    """Unmount what kubelets mounted below the data directory, the innermost first."""
    for point in sorted(_mounts_below(folder), key=len, reverse=True):
        subprocess.run(("umount", "-l", point), stdin=subprocess.DEVNULL, capture_output=True)


def _mounts_below(folder: Path) -> list[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    folder = folder.resolve()  # the kernel tells paths without links
    return [point for point in points if Path(point).is_relative_to(folder)]


def remove_data(layout: Layout) -> None:
    """Only what a cluster makes is removed: a folder that holds other things stays, with them."""
    if left := _mounts_below(layout.data_dir):
        # Behind a mount may be somebody's own files.
        raise ClusterProblem(f"{left[0]} is still mounted, so the data stays: unmount it and run `wherry down` again")
    try:
        for folder in layout.folders:
            if folder.exists():
                shutil.rmtree(folder)
        layout.settings_file.unlink(missing_ok=True)
    except OSError as error:
        raise ClusterProblem(f"{error.filename}: cannot be removed: {error.strerror}") from error
    # Its own folder, and the one of all clusters after the last; neither if somebody put something there.
    for folder in (layout.data_dir, clusters_dir()):
        with suppress(OSError):
            folder.rmdir()
