"""Service rules for a cluster whose user is not root: a container that may set them, and nothing else.

Whoever may speak to Docker may have it start a container in this machine's own network with CAP_NET_ADMIN. So one per
cluster holds `nft` and what goes with it, copied from this machine, and sleeps; the proxy runs its transactions in it
(kubeproxy/backends/container.py). It has no other right, no writable file of its own, no secret, and of the machine's
files only net.ipv4.conf. It goes with the cluster's other containers: by their label.

Limit: it needs a local engine that shares this machine's network, and `nft` and `ip` on the machine. With iptables of
the legacy kind Docker's own firewall stays as it is, so node ports do not answer other machines.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wherry.cluster.layout import Layout
from wherry.cluster.machine.images import build, digest_of, find_busybox, libraries_of
from wherry.cluster.machine.network import CLUSTER
from wherry.cluster.problem import ClusterProblem

IMAGE = "wherry/rules:local"
_SYSCTLS = {"/proc/sys/net/ipv4/conf": {"bind": "/sysctl", "mode": "rw"}}
# As the proxy calls them. Without iptables Docker has no firewall to open; without conntrack old UDP flows stay.
_NEEDED, _WELCOME = ("nft", "ip"), ("iptables", "conntrack")
# An ordinary user's PATH often leaves out the folders for administrators, though anybody may read them.
_FOLDERS = os.pathsep.join(("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"))
# iptables loads these by name.
_EXTENSIONS = ("libxt_standard.so", "libxt_conntrack.so", "libxt_comment.so")
# busybox has an `ip` of its own, which can do less.
_PATH = "ENV PATH=/usr/sbin:/bin"
_SLEEP = ("/bin/busybox", "sleep", "2147483647")
_NO_PROGRAM = "there is no {} on this machine (Debian: apt install nftables iproute2)"


def have_rules_container(client: Any, layout: Layout, *, network: str = "host") -> str:
    """The name of the cluster's container, started if need be and able to set rules; raises ClusterProblem."""
    import docker.errors  # type: ignore[import-untyped]

    name = f"{layout.title}-rules"
    try:
        found = _found(client, name, layout)
        if found is None:
            have_rules_image(client)
            client.create_container(
                IMAGE, list(_SLEEP), name=name, labels={CLUSTER: layout.name}, host_config=_rights(client, network)
            )
        _start(client, name)
        _try_out(client, name)
    except docker.errors.APIError as error:
        raise ClusterProblem(f"Docker cannot run the container {name}: {error.explanation}") from error
    return name


def have_rules_image(client: Any) -> None:
    """See that the image is there, made of today's programs; raises ClusterProblem if one is missing."""
    programs = {name: path.read_bytes() for name, path in _programs()}
    recipe = hashlib.sha256(_PATH.encode())
    for name, content in sorted(programs.items()):
        recipe.update(f"{name} {len(content)} ".encode() + content)
    digest = recipe.hexdigest()[:16]
    if digest_of(client, IMAGE) != digest:
        build(client, IMAGE, digest, find_busybox(client), programs, (_PATH,))


def _found(client: Any, name: str, layout: Layout) -> dict[str, Any] | None:
    import docker.errors

    try:
        found: dict[str, Any] = client.inspect_container(name)
    except docker.errors.NotFound:
        return None
    if (found["Config"]["Labels"] or {}).get(CLUSTER) != layout.name:
        raise ClusterProblem(f"Docker has a container {name!r} that is not ours")
    return found


def _rights(client: Any, network: str) -> Any:
    return client.create_host_config(
        network_mode=network,
        userns_mode="host",  # rights of another user namespace are none in the machine's network
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        security_opt=["no-new-privileges"],
        read_only=True,
        binds=_SYSCTLS,
        pids_limit=64,
        restart_policy={"Name": "unless-stopped"},
    )


def _start(client: Any, name: str) -> None:
    import docker.errors

    try:
        client.start(name)
    except docker.errors.APIError:
        client.remove_container(name, force=True)  # what cannot start is of no use to anybody
        raise


def _try_out(client: Any, name: str) -> None:
    # `--check` goes all the way to the kernel and changes nothing.
    attempt = client.exec_create(name, ["nft", "--check", "add", "table", "ip", "wherry-probe"])["Id"]
    said = client.exec_start(attempt).decode(errors="replace").strip()
    if client.exec_inspect(attempt)["ExitCode"] != 0:
        client.remove_container(name, force=True)
        raise ClusterProblem(f"the kernel refuses nftables in the container {name}: {said}")


def _programs() -> Iterator[tuple[str, Path]]:
    """What goes into the image beside busybox: path there, file here."""
    for name in (*_NEEDED, *_WELCOME):
        found = shutil.which(name, path=_FOLDERS)
        if found is None:
            if name in _NEEDED:
                raise ClusterProblem(_NO_PROGRAM.format(f"`{name}`"))
            continue
        yield f"usr/sbin/{name}", Path(found)
        for library in libraries_of(Path(found).resolve()):
            yield library.lstrip("/"), Path(library)
    for folder in ("usr/lib/*/xtables", "usr/lib64/xtables", "usr/lib/xtables"):
        for extension in (path / name for path in Path("/").glob(folder) for name in _EXTENSIONS):
            if extension.is_file():
                yield str(extension).lstrip("/"), extension
