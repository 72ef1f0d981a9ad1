"""`python -m wherry.cluster.fake_nodes`: nodes without machines, as one process of a cluster."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from wherry.client.http import Client


@click.command()
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--count", type=click.IntRange(1), required=True, help="How many.")
def main(kubeconfig: Path, count: int) -> None:
    """Be `fake-1`, `fake-2`, … until told to end."""
    asyncio.run(_serve(kubeconfig, count))


async def _serve(kubeconfig: Path, count: int) -> None:
    from wherry.client.http import Client
    from wherry.client.kubeconfig import load_connection

    async with Client(load_connection(kubeconfig), user_agent="wherry-fake-nodes") as client:
        working = asyncio.ensure_future(run_fake_nodes(client, count))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        try:
            await working
        except asyncio.CancelledError:
            return


async def run_fake_nodes(client: Client, count: int) -> None:
    """Run nodes that share one watch of pods, until cancelled."""
    from wherry.api.core.pod import Pod
    from wherry.client.informer import Informer
    from wherry.sim.hollow_node import HollowMachine, HollowNode

    pods = Informer(client, Pod)
    async with asyncio.TaskGroup() as group:
        group.create_task(pods.run())
        for number in range(1, count + 1):
            group.create_task(HollowNode(client, f"fake-{number}", HollowMachine(number), pods=pods).run())


if __name__ == "__main__":
    main()
