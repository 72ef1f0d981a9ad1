"""Run pods until so many have succeeded. Kubernetes: the Job controller.

The status is written first: a finalizer goes only after its pod's end is noted there (`ledger.py`), and what failed
must still be told.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from controllers.job import status as told
from controllers.job.failures import is_terminating, is_tracked
from controllers.job.filling import Filling, filling
from controllers.job.indexed import Board, board_of
from controllers.job.ledger import Ledger, counted
from controllers.job.making import indexed_pod, tracked_pod
from controllers.job.verdict import Verdict, completed, seconds_left, verdict_on
from wherry.api.batch.job import TRACKING, Job
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import Action, CheckAgain, Create, Delete, Plan, SetStatus, Update
from wherry.client.world import World


@controller(Job, owns=[Pod], name="job")
def plan(job: Job, world: World) -> Plan:
    """Count, judge, report; then free what is counted, and make or take away what is missing or too many."""
    if job.is_finished or not job.spec.is_ours:
        return
    pods = yield from _claimed(job, world)
    board = board_of(job, pods)
    ledger = counted(job, pods, board)
    verdict = verdict_on(job, pods, board, ledger, world)
    if verdict is not None:
        yield from _winding_up(job, pods, board, verdict, world)
    elif job.metadata.deleted_at is not None:
        yield SetStatus(job.replace(status=told.counts(job, pods, board, ledger, world)))
        yield from freed(ledger.settled)
    else:
        yield from _going_on(job, pods, board, ledger, world)


def _claimed(job: Job, world: World) -> Generator[Action, None, list[Pod]]:
    """The Job's pods. One that it adopts is counted if it still runs; one that it lets go is not."""
    owned = {pod.metadata.uid for pod in world.owned(job, Pod)}
    pods = yield from world.claim(job, Pod, job.spec.selector)
    mine = {pod.metadata.uid for pod in pods}
    if job.metadata.deleted_at is None:
        yield from freed(pod for pod in world.owned(job, Pod) if pod.metadata.uid not in mine)
    seen = []
    for pod in pods:
        if pod.metadata.uid not in owned and not is_tracked(pod) and not pod.is_finished:
            finalizers = (*pod.metadata.finalizers, TRACKING)
            yield Update(pod, {"metadata": {"finalizers": list(finalizers)}})
            pod = pod.replace(metadata=pod.metadata.replace(finalizers=finalizers))
        seen.append(pod)
    return seen


def freed(pods: Iterable[Pod]) -> Plan:
    """Take the finalizer off pods that are counted, or not to be counted."""
    for pod in pods:
        if is_tracked(pod):
            rest: list[Any] = [finalizer for finalizer in pod.metadata.finalizers if finalizer != TRACKING]
            yield Update(pod, {"metadata": {"finalizers": rest or None}})


def _winding_up(job: Job, pods: list[Pod], board: Board, verdict: Verdict, world: World) -> Plan:
    """The Job ends early: what still runs is counted and taken away, and the end is told when nothing is left."""
    ledger = counted(job, pods, board, gives_up=verdict.type)
    status = told.counts(job, pods, board, ledger, world)
    is_over = not status.active and not status.terminating and ledger.is_closed and not ledger.settled
    status = told.ended(job, status, verdict, is_over, world)
    yield SetStatus(job.replace(status=status))
    yield from told.news(job, status)
    yield from freed(ledger.settled)
    for pod in pods:
        if pod.is_active:
            yield Delete(pod)


def _going_on(job: Job, pods: list[Pod], board: Board, ledger: Ledger, world: World) -> Plan:
    step = filling(job, pods, board, ledger, world.now)
    status = told.counts(job, pods, board, ledger, world)
    verdict = completed(job, ledger, status.active)
    if verdict is not None:
        terminating = any(is_terminating(pod) for pod in pods)
        is_over = not terminating and ledger.is_closed and not ledger.settled
        status = told.ended(job, status, verdict, is_over, world)
    else:
        status = told.paused(job, status, world)
    yield SetStatus(job.replace(status=status))
    yield from told.news(job, status)
    yield from freed(ledger.settled)
    yield from _filled(job, board, step)
    left = seconds_left(job.replace(status=status), world)
    if left is not None and verdict is None:
        yield CheckAgain(max(left, 1.0))


def _filled(job: Job, board: Board, step: Filling) -> Plan:
    yield from freed(step.surplus)
    for pod in step.surplus:
        yield Delete(pod)
    for _ in range(step.missing):
        yield Create(tracked_pod(job))
    for index in step.indexes:
        yield Create(indexed_pod(job, index, board.waiting.get(index)))
    if step.wait_seconds is not None:
        yield CheckAgain(max(step.wait_seconds, 1.0))
