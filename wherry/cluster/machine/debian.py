"""Packages of the machine, where we may install them: as root on Debian and its kin."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from wherry.cluster.problem import ClusterProblem

_SECONDS = 900


def may_install() -> bool:
    """Whether `install` can work here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages without questions; raises ClusterProblem with the end of what apt said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ("apt-get", "update", "-qq")
    add = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)
    # The lists of a fresh machine are empty or old, but where they serve, fetching them is a waste.
    if _succeeds(add, environment) or (_succeeds(update, environment) and _succeeds(add, environment)):
        return
    said = subprocess.run(add, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    end = "\n".join((said.stdout + said.stderr).splitlines()[-5:])
    raise ClusterProblem(f"apt-get install {' '.join(packages)} failed:\n{end}")


def unpack(package: str, folder: Path) -> None:
    """Unpack a package into a folder without installing it; raises ClusterProblem."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    fetch = ("apt-get", "download", "-qq", package)
    update = ("apt-get", "update", "-qq")
    if not _succeeds(fetch, environment, folder):
        _succeeds(update, environment)
        if not _succeeds(fetch, environment, folder):
            raise ClusterProblem(f"apt-get download {package} failed")
    for archive in folder.glob("*.deb"):
        subprocess.run(("dpkg", "-x", archive, folder), stdin=subprocess.DEVNULL, capture_output=True)


def _succeeds(command: tuple[str, ...], environment: dict[str, str], folder: Path | None = None) -> bool:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, cwd=folder
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
