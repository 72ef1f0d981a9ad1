"""`wherry queue`"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scheduler.explaining.picture import shelf_of
from scheduler.explaining.text import amount_text
from scheduler.pods import PodView
from scheduler.sharing.holdings import cards_by_claim
from scheduler.sharing.limits import Limits
from scheduler.sharing.overview import QueueUse, Waiting, line_up, order_of, uses_of
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.fair_share import FairShare
from wherry.api.sharing.queue import Queue
from wherry.api.sharing.user import user_of
from wherry.cli.asking import admin_kubeconfig, asked
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, says_problems
from wherry.cli.tables import as_json, output_option, table
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.time import age_text, time_text

HEAD = ("PLACE", "POD", "USER", "QUEUE", "PRIORITY", "WAITS", "WHY")
QUEUES_HEAD = ("QUEUE", "RESOURCE", "NOMINAL", "USED", "BORROWED", "WAITING")
WIDEST = 100


class _Seen(NamedTuple):
    """The line, the queue of each pod in it by uid, and what queues have and hold."""

    line: Sequence[Waiting]
    queue_of: Mapping[str, str]
    queues: Sequence[QueueUse]


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
    place is not tried at all. Where there are Queues, it shows what each has, holds and borrows. `-o wide` shows
    reasons in full, and `wherry why` what would have to change.
    """
    seen = asked(kubeconfig or admin_kubeconfig(name, data_dir), _look, about="queue")
    line = [each for each in seen.line if user in (None, user_of(each.pod))]
    if output == "json":
        click.echo(as_json([_item(each, seen) for each in line], queues=[each._asdict() for each in seen.queues]))
    else:
        click.echo("\n".join((*_lines(line, user, seen, output == "wide"), *_queues(seen.queues))))


async def _look(client: Client) -> _Seen:
    kinds: tuple[type[Any], ...] = (Pod, ResourceClaim, FairShare, Queue, Namespace)
    pods, claims, shares, queues, places = [each.items for each in await asyncio.gather(*map(client.list, kinds))]
    line = line_up(pods, order_of(pods, claims, shares, clock.now()))
    claimed = cards_by_claim(claims)
    limits = Limits(shelf_of(queues), shelf_of(places), lambda: pods, lambda pod: claimed.get(pod.uid, {}))
    queue_of = {each.pod.metadata.uid: limits.queue_of(PodView(each.pod)) for each in line}
    return _Seen(line, queue_of, list(uses_of(limits.book, queue_of.values())))


def _lines(line: Sequence[Waiting], user: str | None, seen: _Seen, wide: bool) -> Iterator[str]:
    if not line:
        yield f"no pod of {user} waits for a node" if user else "nobody waits for a node"
        return
    yield from table(HEAD, (_row(each, seen, wide) for each in line))


def _row(waiting: Waiting, seen: _Seen, wide: bool) -> tuple[str, ...]:
    pod, why = waiting.pod, waiting.why
    queue = seen.queue_of[pod.metadata.uid] or "-"
    age = age_text(pod.metadata.created_at, clock.now())
    shown = why if wide or len(why) <= WIDEST else why[: WIDEST - 1] + "…"
    return str(waiting.place or "-"), pod.key, user_of(pod), queue, str(pod.spec.priority), age, shown


def _queues(queues: Sequence[QueueUse]) -> Iterator[str]:
    if queues:
        yield ""
        rows = ((use.queue, use.resource, *_amounts(use), str(use.waiting)) for use in queues)
        yield from table(QUEUES_HEAD, rows)


def _amounts(use: QueueUse) -> list[str]:
    return [amount_text(use.resource, each) for each in (use.nominal, use.used, use.borrowed)]


def _item(waiting: Waiting, seen: _Seen) -> dict[str, Any]:
    pod = waiting.pod
    return {
        "place": waiting.place or None,
        "namespace": pod.metadata.namespace,
        "pod": pod.metadata.name,
        "user": user_of(pod),
        "queue": seen.queue_of[pod.metadata.uid] or None,
        "priority": pod.spec.priority,
        "since": time_text(pod.metadata.created_at) if pod.metadata.created_at else None,
        "why": waiting.why,
    }
