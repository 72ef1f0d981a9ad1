"""The ways to make services answer, and the choice between them.

Belongs here: everything that touches the kernel or relays traffic. Never: what the rules should say
(kubeproxy/plan.py).
"""

from __future__ import annotations

import os
import shutil
from ipaddress import IPv4Network

from kubeproxy.backends.base import Backend, BackendError
from kubeproxy.backends.container import ContainerNetwork, Engine
from kubeproxy.backends.network import Network
from kubeproxy.backends.nftables import NftablesBackend
from kubeproxy.backends.userspace import UserspaceBackend

__all__ = ["CHOICES", "Backend", "BackendError", "Engine", "NftablesBackend", "UserspaceBackend", "choose_backend"]

CHOICES = ("auto", "nftables", "userspace")


async def choose_backend(
    choice: str, cluster: str, pods: IPv4Network, services: IPv4Network, rules: Engine | None = None
) -> tuple[Backend, str]:
    """The backend for this machine, and why it is this one. Raises BackendError if the choice cannot work here."""
    if rules is not None and choice != "userspace":
        # Not tried out here: it may start a moment after us, and its failures are tried again.
        network: Network = ContainerNetwork(rules)
        return NftablesBackend(cluster, pods, services, network), f"container {rules.container} sets the rules"
    network = Network()
    problem = "" if choice == "userspace" else await _why_no_nftables(network)
    if choice == "nftables" and problem:
        raise BackendError(f"--backend nftables: {problem}")
    if choice != "userspace" and not problem:
        return NftablesBackend(cluster, pods, services, network), "nftables works here"
    reason = problem or "asked for"
    if os.geteuid() == 0 and shutil.which("ip"):
        return UserspaceBackend(cluster, services, network, owns_addresses=True), reason
    reason += "; not root, or no `ip`: cluster IPs answer on ports of 127.0.0.1 only"
    return UserspaceBackend(cluster, services, network, owns_addresses=False), reason


async def _why_no_nftables(network: Network) -> str:
    if not shutil.which("nft"):
        return "there is no `nft` command (Debian: apt install nftables)"
    if os.geteuid() != 0:
        return "nftables needs root"
    try:
        # `--check` goes all the way to the kernel and changes nothing.
        await network.command("nft", "--check", "add", "table", "ip", "wherry-probe")
    except BackendError as error:
        return f"the kernel refuses nftables: {error}"
    return ""
