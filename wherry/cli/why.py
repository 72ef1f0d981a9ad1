"""`wherry why`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from scheduler.consolidation.mover import most_moves
from scheduler.explaining.device_hints import device_hints
from scheduler.explaining.gangs import gang_of
from scheduler.explaining.hints import gated, hints
from scheduler.explaining.holders import holders_on
from scheduler.explaining.picture import Judgement, Picture
from scheduler.explaining.regrouping import regroupings
from scheduler.explaining.text import DECISION, Record, explain
from scheduler.framework import Plugin
from scheduler.pods import PodView
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.cli.asking import admin_kubeconfig, asked, blames_plugins, rules_here, scheduling_rules
from wherry.cli.options import (
    data_dir_option,
    kubeconfig_option,
    name_option,
    namespace_option,
    says_problems,
    scheduler_options,
)
from wherry.client import clock
from wherry.client.http import Client
from wherry.cluster.problem import ClusterProblem
from wherry.machinery.errors import Forbidden, NotFound
from wherry.machinery.time import age_text

SCHEDULED = "Scheduled"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class _Told(NamedTuple):
    """What the scheduler wrote down about its last attempt, and when that was; `has_node` if it found one."""

    record: Record
    at: datetime | None
    has_node: bool


class _Known(NamedTuple):
    """What there is to know about a pod; the picture is taken only where it helps, and may be `forbidden`."""

    pod: Pod | None
    told: _Told | None = None
    picture: Picture | None = None
    forbidden: str = ""


@click.command()
@click.argument("what", metavar="pod/NAME")
@namespace_option("Of the pod.")
@click.option("--now", is_flag=True, help="Of a pod that has a node: judge all nodes anew, as they are now.")
@click.option("--nodes", type=click.IntRange(min=0), default=20, show_default=True, help="How many nodes to tell of.")
@scheduler_options
@kubeconfig_option
@name_option
@data_dir_option
@says_problems
@blames_plugins
def command(
    what: str,
    namespace: str,
    now: bool,
    nodes: int,
    config: Path | None,
    plugins: Path | None,
    kubeconfig: Path | None,
    name: str,
    data_dir: Path | None,
) -> None:
    """Explain why a pod is on its node, or why it has none and what would have to change.

    Of a pod with a node it shows what the scheduler found when it chose: who won by how much, every score, and why
    other nodes were refused. That is kept for an hour, in the event that tells of the choice. Of a pod that waits it
    judges all nodes as they are now, with the scheduler's own rules; who may not list nodes and other people's pods is
    told what the scheduler found last.
    """
    kind, slash, named = what.partition("/")
    if not slash or not named or kind not in ("pod", "pods", "po"):
        raise click.BadParameter(f"{what!r}: expected pod/NAME", param_hint="pod/NAME")
    rules = scheduling_rules(config, plugins) if kubeconfig else rules_here(config, plugins, name, data_dir)

    async def ask(client: Client) -> _Known:
        return await _known(client, named, namespace, rules, now)

    known = asked(kubeconfig or admin_kubeconfig(name, data_dir), ask, about=what)
    if known.pod is None and known.told is None:
        raise ClusterProblem(f"there is no pod {namespace}/{named}, and no event that tells of its node")
    if known.forbidden and known.told is None:
        raise ClusterProblem(f"{what}: {known.forbidden}, and no event tells what the scheduler found")
    click.echo("\n".join(_lines(known, rules, nodes)))


async def _known(
    client: Client, name: str, namespace: str, rules: Mapping[str, Sequence[Plugin]], anew: bool
) -> _Known:
    try:
        pod = await client.get(Pod, name, namespace)
    except NotFound:
        return _Known(None, await _told(client, name, namespace, ""))
    told = await _told(client, name, namespace, pod.metadata.uid)
    if told is not None and told.has_node and not anew:
        return _Known(pod, told)
    try:
        return _Known(pod, None, await Picture.taken(client, rules))
    except Forbidden as error:
        return _Known(pod, told, None, error.message)


async def _told(client: Client, name: str, namespace: str, uid: str) -> _Told | None:
    """What was kept of the last attempt with a pod of this name, and of this uid if there is one."""
    fields = f"involvedObject.kind=Pod,involvedObject.name={name}"
    events = (await client.list(Event, namespace, fields=fields)).items
    found = [each for each in events if DECISION in each.metadata.annotations and uid in ("", each.about.uid)]
    if not found:
        return None
    last = max(found, key=lambda event: (event.last_timestamp or _NEVER, event.reason == SCHEDULED, event.key))
    record = msgspec.json.decode(last.metadata.annotations[DECISION], type=Record)
    return _Told(record, last.last_timestamp, last.reason == SCHEDULED)


def _lines(known: _Known, rules: Mapping[str, Sequence[Plugin]], most: int) -> Iterator[str]:
    pod, told, picture, _ = known
    if told is not None:
        gone = "" if pod is not None else " (the pod is gone)"
        yield f"{told.record.outcome}{gone}"
        yield from list(told.record.lines())[1:]
        if not told.has_node:
            yield f"that is what the scheduler found {age_text(told.at, clock.now())} ago"
        if known.forbidden:
            yield f"what would have to change is told to those who may see the whole cluster: {known.forbidden}"
    if pod is None or picture is None:
        return
    if pod.spec.scheduler_name not in rules:
        yield f"its scheduler is {pod.spec.scheduler_name}; this is what {next(iter(rules))} would say"
    if pod.spec.node_name:
        since = age_text(pod.status.start_time or pod.metadata.created_at, clock.now())
        yield f"{pod.key} is on {pod.spec.node_name} for {since}; as the nodes are now, without it:"
        picture.forget(pod)
        # Where it is, is the answer and not what it asked for.
        anew = pod.replace(spec=pod.spec.replace(node_name=""))
        yield from explain(picture.judged(picture.view(anew), preempts=False).decision, most)
        return
    view = picture.view(pod)
    yield from gated(view)
    yield from _with_its_gang(view, picture, most)
    moves = most_moves(rules.get(pod.spec.scheduler_name) or next(iter(rules.values())))
    gang = gang_of(picture, pod)
    if gang is None or not gang.lacking:
        yield from regroupings(picture, gang.pods if gang else [view], gang.needed if gang else 1, moves)


def _with_its_gang(view: PodView, picture: Picture, most: int) -> Iterator[str]:
    """What a gang waits for is what the first of its pods lacks that would find no room beside the others."""
    gang = gang_of(picture, view.pod)
    if gang is None:
        missing = picture.groups.lacking_group(view.pod)
        if missing:
            yield f"{view.key}: {missing}"
        yield from _judged(view, picture.judged(view), picture, most)
        return
    yield from (f"{view.key}: {line}" for line in gang.lines(picture))
    if gang.lacking:
        return
    with gang.all_but_the_next(picture) as lacks:
        if lacks is not None:
            yield from _judged(*lacks, picture, most)


def _judged(view: PodView, judgement: Judgement, picture: Picture, most: int) -> Iterator[str]:
    yield from explain(judgement.decision, most)
    if judgement.preemption.message:
        yield f"preemption: {judgement.preemption.message}"
    if not judgement.decision.winner:
        yield from device_hints(view, judgement.decision, picture)
        nodes = judgement.decision.nodes
        yield from hints(view, judgement, {node: list(holders_on(picture, node, view, clock.now())) for node in nodes})
