"""`python -m scheduler`: chooses nodes for pods until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop

from scheduler.config import ConfigError, plugins_of, read_config
from scheduler.framework import Plugin, PluginFileError, load_plugins
from scheduler.metrics import families
from scheduler.queue import Pauses
from scheduler.runner import Scheduler
from scheduler.settings import LeaderElection, SchedulerConfig
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection, KubeconfigError, load_connection
from wherry.client.leader import Leader, LostLead
from wherry.client.logs import log_to_stderr
from wherry.client.serving.access import Access
from wherry.client.serving.port import NOWHERE, Place, serving, serving_options
from wherry.client.serving.requests import of_requests
from wherry.machinery.garbage import look_seldom

if TYPE_CHECKING:
    from prometheus_client.core import Metric

EXAMPLES = """\b
Examples:
  python -m scheduler --kubeconfig ~/.kube/config
  python -m scheduler --kubeconfig scheduler.conf --config packing.yaml --leader-elect
  python -m scheduler --kubeconfig scheduler.conf --scheduler-name gpu-scheduler --plugins ./my-plugins

The configuration file has the shape of KubeSchedulerConfiguration. SIGTERM ends the work and gives the lead back.
"""

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", type=FILE, help="Where the API server is, and who we are to it. Wins over --config.")
@click.option("--config", type=FILE, help="A KubeSchedulerConfiguration: plugins, their weights and settings.")
@click.option("--scheduler-name", help="Schedule pods whose spec.schedulerName is this, with one default profile.")
@click.option("--plugins", type=FOLDER, help="A folder of plugins of your own, one per file.")
@click.option("--leader-elect/--no-leader-elect", default=None, help="Work only while holding the lease (default).")
@serving_options
def main(
    kubeconfig: Path | None,
    config: Path | None,
    scheduler_name: str | None,
    plugins: Path | None,
    leader_elect: bool | None,
    place: Place,
) -> None:
    """Choose a node for every pod that has none."""
    if config and scheduler_name:
        raise click.UsageError("--scheduler-name: the profiles of --config have names already; give one of the two")
    try:
        settings = read_config(config) if config else SchedulerConfig()
        if scheduler_name:
            profile = settings.profiles[0].model_copy(update={"scheduler_name": scheduler_name})
            settings = settings.model_copy(update={"profiles": (profile,)})
        known = load_plugins(plugins)
        profiles = {profile.scheduler_name: plugins_of(profile, known) for profile in settings.profiles}
        connection = load_connection(kubeconfig or _named_in(settings))
    except (ConfigError, KubeconfigError, PluginFileError) as error:
        raise click.ClickException(str(error)) from None
    log_to_stderr()
    # What is known of pods and nodes stays: looking through it for garbage all the time costs more than placing pods.
    look_seldom()
    election = settings.leader_election
    if leader_elect is not None:
        election = election.model_copy(update={"leader_elect": leader_elect})
    pauses = Pauses(settings.pod_initial_backoff_seconds, settings.pod_max_backoff_seconds)
    try:
        uvloop.run(serve(connection, profiles, election, pauses, place))
    except LostLead as error:
        # What we know may be old: whoever watches over this process starts it afresh.
        click.echo(str(error), err=True)
        sys.exit(1)


def _named_in(settings: SchedulerConfig) -> Path:
    named = settings.client_connection.kubeconfig
    if not named:
        raise click.UsageError("--kubeconfig is needed, or clientConnection.kubeconfig in the file of --config")
    return Path(named)


async def serve(
    connection: Connection,
    profiles: Mapping[str, Sequence[Plugin]],
    election: LeaderElection,
    pauses: Pauses,
    place: Place = NOWHERE,
) -> None:
    """Schedule until SIGTERM or SIGINT."""
    async with Client(connection, user_agent="wherry-scheduler") as client:
        leader = _leader(client, election) if election.leader_elect else None
        scheduler = Scheduler(client, profiles, may_act=leader.holds if leader else lambda: True, pauses=pauses)
        working = asyncio.ensure_future(leader.lead(scheduler.run) if leader else scheduler.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.cancel)

        def told() -> Iterable[Metric]:
            return chain(families(scheduler.queue, scheduler.counts), of_requests(client))

        try:
            async with serving(place, Access(client), told):
                await working
        except asyncio.CancelledError:
            return


def _leader(client: Client, election: LeaderElection) -> Leader:
    return Leader(
        client,
        election.resource_name,
        identity=f"{socket.gethostname()}_{os.getpid()}",
        namespace=election.resource_namespace,
        timing=election.timing,
    )


if __name__ == "__main__":
    main(prog_name="python -m scheduler")
