"""`python -m controllers`: all controllers, as a process. Kubernetes: kube-controller-manager."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from itertools import chain
from pathlib import Path

import click
import structlog

from controllers.options import Options
from wherry.client.logs import log_to_stderr
from wherry.client.serving.port import serving_options
from wherry.machinery.garbage import look_seldom

log = structlog.get_logger()

LEASE = "kube-controller-manager"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--kubeconfig", type=FILE, required=True, help="How to reach the API server.")
@click.option("--context", default="", help="The kubeconfig's current context if not given.")
@click.option("--root-ca", type=FILE, help="Certificate (PEM) of the API server's CA, published in every namespace.")
@click.option("--cluster-signing-cert-file", type=FILE, help="Certificate (PEM) of the CA that signs users and nodes.")
@click.option("--cluster-signing-key-file", type=FILE, help="Its private key (PEM).")
@click.option("--leader-elect/--no-leader-elect", default=True, help="Take turns with other processes like this one.")
@click.option(
    "--node-monitor-grace-seconds",
    type=click.FloatRange(min=1),
    default=50.0,
    help="How long a node may be silent before it counts as dead.",
)
@click.option("--cluster-cidr", default="", help="Range from which each node gets one for its pods; none by default.")
@click.option("--node-cidr-mask-size", default=24, help="How large a node's range is.")
@serving_options
def main(**values: object) -> None:
    """Make the cluster what its objects say."""
    import uvloop

    options = Options(**values)  # type: ignore[arg-type]
    log_to_stderr()
    # The copies of what there is stay: looking through them for garbage all the time costs more than many plans.
    look_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_until_told(options)))


async def _until_told(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; the lead is given back before the process ends. Gives the exit status."""
    serving = asyncio.create_task(_serve(options))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await serving
    return 0


async def _serve(options: Options) -> int:
    from controllers.assembly import Controllers
    from controllers.options import settings_of
    from wherry.client.http import Client
    from wherry.client.kubeconfig import KubeconfigError, load_connection
    from wherry.client.leader import Leader, LostLead
    from wherry.client.serving.access import Access
    from wherry.client.serving.port import serving
    from wherry.client.serving.requests import of_requests

    try:
        connection = load_connection(options.kubeconfig, options.context)
    except KubeconfigError as error:
        raise click.ClickException(str(error)) from None
    settings = settings_of(options)
    async with Client(connection, user_agent="wherry-controllers") as client:
        identity = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
        leader = Leader(client, LEASE, identity=identity) if options.leader_elect else None
        controllers = Controllers(client, settings, may_act=leader.holds if leader else lambda: True)
        try:
            async with serving(
                options.place, Access(client), lambda: chain(controllers.metrics(), of_requests(client))
            ):
                await (leader.lead(controllers.run) if leader else controllers.run())
        except LostLead as error:
            # What was learned as leader is old: the supervisor starts this process afresh.
            log.error("ending", error=str(error))
            return 1
    return 0


if __name__ == "__main__":
    main(prog_name="python -m controllers")
