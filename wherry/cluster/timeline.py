"""Timeline: what happened to a pod or a node, in order, and which timer fired when.

    for moment in pod_timeline(story):
        print(moment.at, moment.who, moment.what)

Everything is read from objects as they are: conditions, taints, deletion times, container states, events. Times are
whole seconds there, so things of one second stand in the order in which they usually cause each other. Of a pod that is
gone its events are left, for an hour. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from wherry.api.coordination.lease import Lease
from wherry.api.core.node import Node, Taint
from wherry.api.core.pod import Pod, Toleration
from wherry.api.core.pod.status import ContainerStatus
from wherry.api.events.event import Event
from wherry.api.meta import Condition, find_condition

TIMER = "timer"
# What usually comes before what, of things of one second.
(CREATED, DECIDED, BOUND, TAKEN, SANDBOX, PREPARING, PREPARED, INITIALIZED, PULLING, STARTED, ENDED) = range(11)
(READY, HEARD, TAINTED, NOTED, LEAVING, LEFT) = range(11, 17)
_OF_CONDITION = {
    "PodScheduled": DECIDED,
    "PodReadyToStartContainers": SANDBOX,
    "Initialized": INITIALIZED,
    "ContainersReady": READY,
    "Ready": HEARD,
}
_OF_EVENT = {
    "FailedScheduling": DECIDED,
    "Scheduled": BOUND,
    "Pulling": PULLING,
    "Pulled": PULLING,
    "Created": PULLING,
    "Started": STARTED,
    "Killing": LEAVING,
}


class Moment(NamedTuple):
    """Something that happened. `who` is `timer` where time alone was the cause."""

    at: datetime
    rank: int
    who: str
    what: str


@dataclass(frozen=True)
class Story:
    """What a timeline is made of; what does not exist (any more) is None."""

    pod: Pod | None = None
    node: Node | None = None
    lease: Lease | None = None
    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
    # Of all pods that made way for others.
    preempted: tuple[Event, ...] = ()


def pod_timeline(story: Story) -> list[Moment]:
    """The life of a pod, with what its node went through meanwhile."""
    found = [*_events(_of_one_life(story))]
    if story.pod is not None:
        found += _life(story.pod)
        found += _victims(story.pod, story.preempted)
        since = story.pod.metadata.created_at
        if story.node is not None and since is not None:
            node = [*_silence(story.node, story.lease), *_taints(story.node), *_waits(story.pod, story.node)]
            found += (moment for moment in node if moment.at >= since)
    return sorted(found)


def node_timeline(story: Story) -> list[Moment]:
    """The life of a node, with the pods that left it."""
    found = [*_events(story.events)]
    if story.node is not None:
        found += [*_created(story.node.metadata.created_at, "node"), *_silence(story.node, story.lease)]
        found += [*_conditions(story.node.status.conditions, "node"), *_taints(story.node)]
        for pod in story.pods:
            left = [*_waits(pod, story.node), *_deletion(pod)]
            found += (moment._replace(what=f"pod {pod.key}: {moment.what}") for moment in left)
    return sorted(found)


def _of_one_life(story: Story) -> Iterator[Event]:
    """The events of the pod that there is, or of the last one of its name; an earlier one is another pod."""
    dated = [(event.last_timestamp or event.event_time, event) for event in story.events]
    latest = (
        max((at, event.about.uid) for at, event in dated if at is not None)[1] if any(at for at, _ in dated) else ""
    )
    uid = story.pod.metadata.uid if story.pod is not None else latest
    return (event for event in story.events if event.about.uid in ("", uid))


def table(moments: Iterable[Moment], now: datetime) -> Iterator[str]:
    """Lines of plain text: when, how long after the first, who, what. A timer that has not fired yet is still ahead."""
    moments = list(moments)
    width = max((len(moment.who) for moment in moments), default=0)
    yield f"{'TIME (UTC)':<19}  {'AFTER':>8}  {'WHO':<{width}}  WHAT"
    for moment in moments:
        after = f"+{(moment.at - moments[0].at).total_seconds():.0f}s"
        # What has happened is past, even if our own clock is slow.
        ahead = " (still ahead)" if moment.who == TIMER and moment.at > now else ""
        yield f"{moment.at:%Y-%m-%d %H:%M:%S}  {after:>8}  {moment.who:<{width}}  {moment.what}{ahead}"


def _created(at: datetime | None, what: str) -> Iterator[Moment]:
    if at is not None:
        yield Moment(at, CREATED, "api", f"{what} created")


def _life(pod: Pod) -> Iterator[Moment]:
    yield from _created(pod.metadata.created_at, "pod")
    yield from _conditions(pod.status.conditions, "pod")
    if pod.status.start_time is not None:
        yield Moment(pod.status.start_time, TAKEN, "kubelet", f"node {pod.spec.node_name} took the pod")
    yield from _containers(pod.status.init_container_statuses, PREPARING, PREPARED)
    yield from _containers(pod.status.container_statuses, STARTED, ENDED)
    yield from _deletion(pod)


def _containers(statuses: Iterable[ContainerStatus], starting: int, ending: int) -> Iterator[Moment]:
    for status in statuses:
        for state in (status.last_state, status.state):
            ended, started = state.terminated, state.running or state.terminated
            if started is not None and started.started_at is not None:
                yield Moment(started.started_at, starting, "kubelet", f"container {status.name} started")
            if ended is not None and ended.finished_at is not None:
                why = f"container {status.name} ended with {ended.exit_code}: {ended.reason}"
                yield Moment(ended.finished_at, ending, "kubelet", why)


def _deletion(pod: Pod) -> Iterator[Moment]:
    ends_at, grace = pod.metadata.deleted_at, pod.metadata.deletion_grace_seconds or 0
    if ends_at is not None:
        yield Moment(ends_at - timedelta(seconds=grace), LEAVING, "api", f"deletion asked for, with {grace} s of grace")
        yield Moment(ends_at, LEFT, TIMER, f"terminationGracePeriodSeconds of {grace} s ends; the kubelet must confirm")


def _conditions(conditions: Iterable[Condition], what: str) -> Iterator[Moment]:
    for condition in conditions:
        if condition.last_transition_time is not None:
            reason = f" ({condition.reason})" if condition.reason else ""
            rank = _OF_CONDITION.get(condition.type, NOTED)
            yield Moment(condition.last_transition_time, rank, what, f"{condition.type} {condition.status}{reason}")


def _silence(node: Node, lease: Lease | None) -> Iterator[Moment]:
    """The grace after which a silent node counted as down: what its last heartbeat and its condition lie apart."""
    ready = find_condition(node.status.conditions, "Ready")
    since = ready.last_transition_time if ready is not None and ready.status == "Unknown" else None
    heard = lease.spec.renew_time if lease is not None else None
    if since is None or heard is None:
        return
    heard = heard.replace(microsecond=0)
    yield Moment(heard, HEARD, "kubelet", f"last heartbeat of node {node.metadata.name}")
    silent = (since - heard).total_seconds()
    yield Moment(since, HEARD, TIMER, f"node-monitor-grace-period: node {node.metadata.name} silent for {silent:.0f} s")


def _taints(node: Node) -> Iterator[Moment]:
    for taint in node.spec.taints:
        if taint.time_added is not None:
            what = f"node {node.metadata.name} tainted {taint.key}:{taint.effect}"
            yield Moment(taint.time_added, TAINTED, "controllers", what)


def _waits(pod: Pod, node: Node) -> Iterator[Moment]:
    """When the pod's patience with the node's taints ends, or ended."""
    for taint in node.spec.taints:
        if taint.effect == "NoExecute" and taint.time_added is not None:
            seconds = [one.toleration_seconds for one in pod.spec.tolerations if _is_about(one, taint)]
            limits = [limit for limit in seconds if limit is not None]
            if limits:
                ends_at = taint.time_added + timedelta(seconds=min(limits))
                yield Moment(ends_at, TAINTED, TIMER, f"tolerationSeconds of {min(limits)} s for {taint.key} ends")


def _is_about(toleration: Toleration, taint: Taint) -> bool:
    return toleration.key in ("", taint.key) and toleration.effect in ("", taint.effect)


def _victims(pod: Pod, events: Iterable[Event]) -> Iterator[Moment]:
    for event in events:
        at = event.first_timestamp or event.event_time
        if at is not None and event.message.startswith(f"Preempted by pod {pod.metadata.uid} "):
            victim = f"{event.about.namespace}/{event.about.name}"
            yield Moment(
                at.replace(microsecond=0), DECIDED, event.reporter or "event", f"pod {victim} makes way for it"
            )


def _events(events: Iterable[Event]) -> Iterator[Moment]:
    for event in events:
        first, last = event.first_timestamp or event.event_time, event.last_timestamp
        who, what = event.reporter or "event", f"{event.reason}: {event.message}"
        rank = _OF_EVENT.get(event.reason, NOTED)
        if first is not None:
            yield Moment(first.replace(microsecond=0), rank, who, what)
        if last is not None and first is not None and last > first:
            yield Moment(last, rank, who, f"{what} (x{event.count})")
