"""`python -m wherry.testing.control_plane`: everything of a test's cluster in one process, on one event loop.

The parts are those of a real cluster and meet over HTTPS, as there. Prints `ready`, and ends when its standard input
ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

from apiserver.__main__ import main as apiserver
from apiserver.__main__ import serve
from apiserver.options import Options
from controllers.assembly import Controllers
from controllers.assembly import Settings as ControllerSettings
from scheduler.config import plugins_of
from scheduler.framework import load_plugins
from scheduler.runner import Scheduler
from scheduler.settings import SchedulerConfig
from wherry.api.core.service_account import ServiceAccount
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.client.kubeconfig import load_connection
from wherry.cluster.fake_nodes import FakeNodes
from wherry.cluster.layout import Layout
from wherry.cluster.readiness import api_probe
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import apiserver_options
from wherry.cluster.trust.credentials import make_credentials

NAME = "testing"
_POLL_SECONDS = 0.005


@click.command()
@click.option("--data-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--port", type=int, required=True)
@click.option("--nodes", type=int, required=True)
@click.option("--gpus", type=int, default=0)
def main(data_dir: Path, port: int, nodes: int, gpus: int) -> None:
    """Be a cluster until standard input ends."""
    # Standard output says that it is ready, and is not read any further: what is written there would block at last.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    layout = Layout(NAME, data_dir)
    settings = Settings(port=port, store="memory")
    layout.make()
    make_credentials(layout, settings)
    uvloop.run(_serve(layout, settings, nodes, gpus))


async def _serve(layout: Layout, settings: Settings, nodes: int, gpus: int) -> None:

    context = apiserver.make_context("apiserver", list(apiserver_options(layout, settings)))
    parts: list[asyncio.Task[Any]] = [asyncio.create_task(serve(Options(**context.params)), name="apiserver")]
    parts.append(
        asyncio.create_task(_run_the_rest(layout, settings, nodes, gpus), name="controllers, scheduler and nodes")
    )
    ended = asyncio.create_task(_end_of_input(), name="end of input")
    done, _ = await asyncio.wait((ended, *parts), return_when=asyncio.FIRST_COMPLETED)
    for task in (*reversed(parts), ended):
        task.cancel()
    await asyncio.gather(*parts, ended, return_exceptions=True)
    for task in done:
        task.result()  # what ended by itself and not by our asking says why


async def _end_of_input() -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1024) else ended.cancel())
    await asyncio.wait((ended,))
    loop.remove_reader(sys.stdin.fileno())


async def _run_the_rest(layout: Layout, settings: Settings, nodes: int, gpus: int) -> None:

    known = load_plugins()
    profiles = {profile.scheduler_name: plugins_of(profile, known) for profile in SchedulerConfig().profiles}
    agent = "wherry-testing"
    async with (
        Client(load_connection(layout.kubeconfig("admin")), user_agent=agent) as admin,
        Client(load_connection(layout.kubeconfig("controllers")), user_agent=agent) as for_controllers,
        Client(load_connection(layout.kubeconfig("scheduler")), user_agent=agent) as for_scheduler,
        asyncio.TaskGroup() as group,
    ):
        await _until_serving(layout, settings)
        fakes = FakeNodes(admin, nodes, gpus=gpus)
        certificate, key = layout.ca_file.read_bytes(), layout.key("ca").read_bytes()
        signs = ControllerSettings(certificate.decode(), signing_certificate=certificate, signing_key=key)
        group.create_task(Controllers(for_controllers, signs).run())
        group.create_task(Scheduler(for_scheduler, profiles).run())
        group.create_task(fakes.run())
        await fakes.are_ready()
        await _until_pods_are_welcome(admin)
        print("ready", flush=True)


async def _until_serving(layout: Layout, settings: Settings) -> None:
    probe = api_probe(layout, settings)
    while await asyncio.to_thread(probe.status, "/readyz") != 200:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)


async def _until_pods_are_welcome(admin: Client) -> None:
    """A pod cannot be created before its namespace has a service account."""
    accounts = Informer(admin, ServiceAccount, namespace="default", fields="metadata.name=default")
    arrived = asyncio.Event()
    accounts.subscribe(lambda _: arrived.set())
    watching = asyncio.create_task(accounts.run())
    await arrived.wait()
    watching.cancel()


if __name__ == "__main__":
    main()
