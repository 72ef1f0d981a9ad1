"""`python -m wherry.cluster.fake_nodes`: nodes without machines, as one process of a cluster."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import click
import uvloop

from wherry.api.coordination.node_loss import KUBERNETES
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import fake_gpus
from wherry.client.batches import Deletions
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.client.kubeconfig import load_connection
from wherry.machinery.garbage import look_seldom
from wherry.sim.hollow_node import HollowMachine, HollowNode


@click.command()
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--count", type=click.IntRange(1), required=True, help="How many.")
@click.option("--gpus", type=click.IntRange(0, 16), default=0, help="How many cards each of them pretends to have.")
@click.option("--lease-seconds", type=click.IntRange(1), default=40, help="How long their leases are good for.")
def main(kubeconfig: Path, count: int, gpus: int, lease_seconds: int) -> None:
    """Be `fake-1`, `fake-2`, … until told to end."""
    # A thousand nodes and their pods stay: they are no garbage to look for.
    look_seldom()
    uvloop.run(_serve(kubeconfig, count, lease_seconds, gpus))


async def _serve(kubeconfig: Path, count: int, lease_seconds: int, gpus: int) -> None:
    async with Client(load_connection(kubeconfig), user_agent="wherry-fake-nodes") as client:
        working = asyncio.ensure_future(FakeNodes(client, count, lease_seconds, gpus).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        with suppress(asyncio.CancelledError):
            await working


class FakeNodes:
    """Hollow nodes that share one watch of pods."""

    def __init__(
        self, client: Client, count: int, lease_seconds: int = KUBERNETES.lease_seconds, gpus: int = 0
    ) -> None:
        self._pods, deletions = Informer(client, Pod), Deletions(client)
        self._nodes: dict[str, HollowNode] = {}
        for number in range(1, count + 1):
            name = f"fake-{number}"
            machine = HollowMachine(number, gpus=fake_gpus(name, gpus), lease_seconds=lease_seconds)
            self._nodes[name] = HollowNode(client, name, machine, pods=self._pods, deletions=deletions)
        self._pods.subscribe(self._deliver)

    async def run(self) -> None:
        """Be nodes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run())
            for node in self._nodes.values():
                group.create_task(node.run())

    async def are_ready(self) -> None:
        """Return when every node has reported itself."""
        await asyncio.gather(*(node.is_registered.wait() for node in self._nodes.values()))

    def _deliver(self, change: Change[Pod]) -> None:
        """To its node alone: were each to look at every change, a thousand would do little else."""
        pod = change.after or change.before
        node = self._nodes.get(pod.spec.node_name) if pod is not None else None
        if node is not None:
            node.notice(change)


if __name__ == "__main__":
    main()
