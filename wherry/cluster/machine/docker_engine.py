"""Docker on this machine: found, or installed and started where we may, or a plain word about what to do.

As root on Debian a missing Docker is installed; a daemon is started by systemd where that runs, else by us. One that
`up` started ends with the last cluster: it carries a label that says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wherry.cluster.machine import debian
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.supervision.logs import open_log
from wherry.cluster.supervision.process_id import identify

_OURS = "io.wherry.started-by=wherry"
_PID_FILE = Path("/var/run/docker.pid")
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_CALL_SECONDS = 60
_NO_DAEMON = """\
no Docker daemon answers at {where}: {why}
  Pods run as Docker containers. Start Docker (Linux: `sudo systemctl start docker`; macOS, Windows: Docker Desktop),
  see that you may use it (`docker ps` works; Linux: `sudo usermod -aG docker $USER`, then log in again),
  or start a cluster without containers: `wherry up --no-node --fake-nodes 3`."""


def connect() -> Any:
    """A client of the daemon; raises ClusterProblem, saying what to do, when none answers."""
    import docker  # type: ignore[import-untyped]
    import docker.errors  # type: ignore[import-untyped]

    where = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        return docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=_CALL_SECONDS)
    except docker.errors.DockerException as error:
        raise ClusterProblem(_NO_DAEMON.format(where=where, why=error)) from error


def have_docker(say: Callable[[str], None], log: Path, *, ends_with_clusters: bool = True) -> Any:
    """A client of a daemon that runs, after installing and starting one where that is ours to do."""
    try:
        return have_installed_docker(say, log, ends_with_clusters=ends_with_clusters)
    except ClusterProblem:
        if not _is_ours_to_start() or shutil.which("dockerd"):
            raise
    if not debian.may_install():
        raise ClusterProblem(
            "there is no Docker on this machine, and this is not Debian: install it (https://docs.docker.com/engine/)"
        )
    say("installing Docker (docker.io)")
    debian.install("docker.io", "iptables")
    return have_installed_docker(say, log, ends_with_clusters=ends_with_clusters)


def have_installed_docker(say: Callable[[str], None], log: Path, *, ends_with_clusters: bool = True) -> Any:
    """A client of a daemon that runs, after starting the one that is installed where that is ours to do."""
    try:
        return connect()
    except ClusterProblem:
        if not _is_ours_to_start() or shutil.which("dockerd") is None:
            raise
    say("starting Docker")
    _start(log, ends_with_clusters)
    return connect()


def remove_containers(client: Any, *labels: str) -> None:
    """Remove what carries all the labels, running or not; raises ClusterProblem where Docker will not."""
    import docker.errors

    # Twice: a kubelet that was killed may have had a request under way.
    for _ in range(2):
        for container in client.containers(all=True, filters={"label": list(labels)}):
            try:
                client.remove_container(container["Id"], force=True, v=True)
            except docker.errors.NotFound:
                continue
            except docker.errors.APIError as error:
                if "already in progress" not in str(error.explanation):
                    raise ClusterProblem(f"Docker cannot remove {container['Names']}: {error.explanation}") from error


def stop_ours(client: Any) -> None:
    """End the daemon if `up` started it, no container is left in it, and we may: another user's goes on."""
    if _OURS not in (client.info().get("Labels") or ()) or client.containers(all=True):
        return
    try:
        daemon = identify(int(_PID_FILE.read_text()))
    except (OSError, ValueError):
        return
    try:
        daemon.signal(signal.SIGTERM)
    except PermissionError:
        return
    daemon.ends_within(_STOP_SECONDS)


def _is_ours_to_start() -> bool:
    return os.geteuid() == 0 and not os.environ.get("DOCKER_HOST")


def _start(log: Path, ends_with_clusters: bool) -> None:
    if Path("/run/systemd/system").is_dir():
        subprocess.run(("systemctl", "start", "docker"), stdin=subprocess.DEVNULL, capture_output=True)
        daemon = None
    else:
        label = ("--label", _OURS) if ends_with_clusters else ()
        with open_log(log) as output:
            daemon = subprocess.Popen(
                ("dockerd", *label),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
    deadline = time.monotonic() + _START_SECONDS
    while not _answers():
        if time.monotonic() > deadline or (daemon is not None and daemon.poll() is not None):
            raise ClusterProblem(f"the Docker daemon does not start; see {log} or `journalctl -u docker`")
        time.sleep(_POLL_SECONDS)


def _answers() -> bool:
    try:
        connect().close()
    except ClusterProblem:
        return False
    return True


if __name__ == "__main__":
    try:
        have_docker(print, Path("/var/log/dockerd.log"), ends_with_clusters=False).close()
    except ClusterProblem as problem:
        sys.exit(str(problem))
