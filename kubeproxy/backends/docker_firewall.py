"""One rule in Docker's own firewall: traffic that was led to a pod on purpose may pass.

Docker drops forwarded packets that it did not ask for, and a verdict of ours cannot undo a drop in another table.
`DOCKER-USER` is the chain it offers for this. Without it a node port would answer on this machine only. The rule is
written with `iptables`, because Docker's tables are that program's; where Docker keeps no such chain, nothing is needed
and nothing is done.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from kubeproxy.backends.base import BackendError
from kubeproxy.backends.network import Network

_CHAIN = "DOCKER-USER"


class DockerFirewall:
    """Our rule for one cluster's pods."""

    def __init__(self, network: Network, name: str, pods: IPv4Network) -> None:
        self._network = network
        self._pods = str(pods)
        self._rule = ("-d", self._pods, "-m", "conntrack", "--ctstate", "DNAT", "-m", "comment", "--comment", name)

    async def open(self) -> None:
        """Have the rule in place, once."""
        if await self._can("-L", _CHAIN, "-n") and not await self._can("-C", _CHAIN, *self._rule, "-j", "ACCEPT"):
            await self._can("-I", _CHAIN, "1", *self._rule, "-j", "ACCEPT")

    async def close(self) -> None:
        """Take the rule away, however often it is there."""
        while await self._can("-D", _CHAIN, *self._rule, "-j", "ACCEPT"):
            pass

    async def _can(self, *arguments: str) -> bool:
        try:
            await self._network.command("iptables", "-w", "5", *arguments)
        except BackendError:
            return False
        return True
