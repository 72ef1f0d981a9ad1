"""`wherry who`"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from scheduler.devices.inventory import Inventory
from scheduler.sharing.holdings import Card, Holding, holdings_of, idle_cards
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.cli.asking import admin_kubeconfig, asked
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, says_problems
from wherry.cli.tables import as_json, output_option, table
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.time import age_text, time_text

HEAD = ("USER", "POD", "WORKLOAD", "NODE", "CARDS", "SINCE")


class _Seen(NamedTuple):
    holdings: list[Holding]
    idle: dict[str, list[Card]]


@click.command()
@click.option("-u", "--user", help="Only what this user holds.")
@output_option
@kubeconfig_option
@name_option
@data_dir_option
@says_problems
def command(user: str | None, output: str | None, kubeconfig: Path | None, name: str, data_dir: Path | None) -> None:
    """Show who holds which cards, where, and since when.

    A pod's user is its label `wherry.dev/user`, else its namespace. Cards are those that pods were granted by name and
    those of their claims; of a card in parts it says how much of its memory. `-o wide` adds uuids and models.
    """
    seen = asked(kubeconfig or admin_kubeconfig(name, data_dir), _look, about="who")
    holdings = [each for each in seen.holdings if user in (None, each.user)]
    if output == "json":
        click.echo(as_json([_item(each) for each in holdings]))
        return
    click.echo("\n".join((*_lines(holdings, user, output == "wide"), *_idle(seen.idle))))


async def _look(client: Client) -> _Seen:
    pods, claims, slices = await asyncio.gather(
        client.list(Pod), client.list(ResourceClaim), client.list(ResourceSlice)
    )
    inventory = Inventory()
    for each in slices.items:
        inventory.set_slice(None, each)
    holdings = holdings_of(pods.items, claims.items, inventory)
    return _Seen(holdings, idle_cards(holdings, inventory))


def _lines(holdings: Sequence[Holding], user: str | None, wide: bool) -> Iterator[str]:
    if not holdings:
        yield f"{user} holds no card" if user else "nobody holds a card"
        return
    head = (*HEAD, "UUIDS", "MODEL") if wide else HEAD
    yield from table(head, (_row(each, wide) for each in holdings))


def _row(holding: Holding, wide: bool) -> tuple[str, ...]:
    pod, names = holding.pod, [card.label for card in holding.cards]
    if holding.unnamed:
        names.append(f"{holding.unnamed} unnamed")
    since = age_text(holding.since, clock.now())
    row = (holding.user, pod.key, holding.workload, pod.spec.node_name, ",".join(names), since)
    if not wide:
        return row
    models = dict.fromkeys(card.product for card in holding.cards if card.product)
    return (*row, ",".join(card.uuid for card in holding.cards), ", ".join(models))


def _idle(idle: dict[str, list[Card]]) -> Iterator[str]:
    if idle:
        named = (f"{node} {','.join(card.name for card in cards)}" for node, cards in idle.items() if cards)
        yield f"free: {'; '.join(named) or 'no card'}"


def _item(holding: Holding) -> dict[str, Any]:
    pod = holding.pod
    return {
        "user": holding.user,
        "namespace": pod.metadata.namespace,
        "pod": pod.metadata.name,
        "workload": holding.workload,
        "node": pod.spec.node_name,
        "cards": [card._asdict() for card in holding.cards],
        "unnamedCards": holding.unnamed,
        "since": time_text(holding.since) if holding.since else None,
    }
