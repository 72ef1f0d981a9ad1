"""`wherry fairshare`"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scheduler.sharing.overview import Order, is_waiting, order_of
from scheduler.sharing.standing import Account, shares
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.fair_share import FairShare
from wherry.api.sharing.user import user_of
from wherry.cli.asking import admin_kubeconfig, asked
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, says_problems
from wherry.cli.tables import as_json, output_option, table
from wherry.client import clock
from wherry.client.http import Client

OFF = "fair share is off: pods of equal priority go in the order in which they came; a FairShare turns it on"
HEAD = ("TURN", "USER", "GPU-HOURS", "CPU-HOURS", "SHARE", "WEIGHT", "HOLDS", "WAITING")


class _Seen(NamedTuple):
    order: Order
    waiting: Counter[str]


@click.command()
@output_option
@kubeconfig_option
@name_option
@data_dir_option
@says_problems
def command(output: str | None, kubeconfig: Path | None, name: str, data_dir: Path | None) -> None:
    """Show what everybody has used, which share that is, and whose turn it is.

    Use counts half after the half-life that the FairShare `default` names. What somebody holds now counts ten minutes
    ahead. The user whose turn is 1 goes first among pods of equal priority.
    """
    seen = asked(kubeconfig or admin_kubeconfig(name, data_dir), _look, about="fairshare")
    rules = seen.order.share
    if rules is None:
        click.echo(as_json([]) if output == "json" else OFF)
        return
    weight = rules.spec.cpu_weight.nanos / 1e9
    parts = shares(seen.order.accounts, weight)
    rows = [(turn, account, parts[account.user]) for turn, account in enumerate(seen.order.accounts, 1)]
    if output == "json":
        click.echo(as_json([_item(*row, seen.waiting) for row in rows]))
        return
    if not rows:
        click.echo("nobody has used, holds or waits for anything yet")
        return
    click.echo("\n".join(_lines(rows, seen.waiting, rules, output == "wide")))


async def _look(client: Client) -> _Seen:
    pods, claims, found = await asyncio.gather(client.list(Pod), client.list(ResourceClaim), client.list(FairShare))
    waiting = Counter(user_of(pod) for pod in pods.items if is_waiting(pod))
    return _Seen(order_of(pods.items, claims.items, found.items, clock.now()), waiting)


def _lines(
    rows: Sequence[tuple[int, Account, float]], waiting: Counter[str], rules: FairShare, wide: bool
) -> Iterator[str]:
    weight = rules.spec.cpu_weight.nanos / 1e9
    cells = (
        (
            *(str(turn), account.user, _hours(account.used.gpu), _hours(account.used.cpu), f"{part:.0%}"),
            *(str(account.weight), f"{account.holds.gpu / 1000:g}", str(waiting[account.user])),
            *((f"{account.standing(weight):.0f}",) if wide else ()),
        )
        for turn, account, part in rows
    )
    yield from table((*HEAD, "STANDING") if wide else HEAD, cells)
    yield f"use counts half after {rules.spec.half_life}; a core counts {rules.spec.cpu_weight.canonical()} of a card"


def _hours(milliseconds: float) -> str:
    return f"{milliseconds / 3_600_000:.2f}"


def _item(turn: int, account: Account, part: float, waiting: Counter[str]) -> dict[str, Any]:
    return {
        "turn": turn,
        "user": account.user,
        "gpuSeconds": round(account.used.gpu / 1000, 3),
        "cpuSeconds": round(account.used.cpu / 1000, 3),
        "share": round(part, 4),
        "weight": account.weight,
        "holdsCards": account.holds.gpu / 1000,
        "waiting": waiting[account.user],
    }
