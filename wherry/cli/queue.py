"""`wherry queue`"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scheduler.sharing.overview import Waiting, line_up, order_of
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.fair_share import FairShare
from wherry.api.sharing.user import user_of
from wherry.cli.asking import admin_kubeconfig, asked
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, says_problems
from wherry.cli.tables import as_json, output_option, table
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.time import age_text, time_text

HEAD = ("PLACE", "POD", "USER", "PRIORITY", "WAITS", "WHY")
WIDEST = 100


class _Seen(NamedTuple):
    line: Sequence[Waiting]


@click.command()
@click.option("-u", "--user", help="Only the pods of this user; their places are those among all.")
@output_option
@kubeconfig_option
@name_option
@data_dir_option
@says_problems
def command(user: str | None, output: str | None, kubeconfig: Path | None, name: str, data_dir: Path | None) -> None:
    """Show the pods that wait for a node, in the order in which they are tried, and why each waits.

    First by priority; then, where there is fair share, by how much their users have had; then by age. A pod without a
    place is not tried at all. `-o wide` shows reasons in full, and `wherry why` what would have to change.
    """
    seen = asked(kubeconfig or admin_kubeconfig(name, data_dir), _look, about="queue")
    line = [each for each in seen.line if user in (None, user_of(each.pod))]
    if output == "json":
        click.echo(as_json([_item(each) for each in line]))
    else:
        click.echo("\n".join(_lines(line, output == "wide")))


async def _look(client: Client) -> _Seen:
    pods, claims, shares = await asyncio.gather(client.list(Pod), client.list(ResourceClaim), client.list(FairShare))
    return _Seen(line_up(pods.items, order_of(pods.items, claims.items, shares.items, clock.now())))


def _lines(line: Sequence[Waiting], wide: bool) -> Iterator[str]:
    if not line:
        yield "nobody waits for a node"
        return
    yield from table(HEAD, (_row(each, wide) for each in line))


def _row(waiting: Waiting, wide: bool) -> tuple[str, ...]:
    pod, why = waiting.pod, waiting.why
    age = age_text(pod.metadata.created_at, clock.now())
    shown = why if wide or len(why) <= WIDEST else why[: WIDEST - 1] + "…"
    return str(waiting.place or "-"), pod.key, user_of(pod), str(pod.spec.priority), age, shown


def _item(waiting: Waiting) -> dict[str, Any]:
    pod = waiting.pod
    return {
        "place": waiting.place or None,
        "namespace": pod.metadata.namespace,
        "pod": pod.metadata.name,
        "user": user_of(pod),
        "priority": pod.spec.priority,
        "since": time_text(pod.metadata.created_at) if pod.metadata.created_at else None,
        "why": waiting.why,
    }
