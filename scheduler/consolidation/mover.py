"""Mover: the shell around the plan of a consolidation. One at a time in the whole cluster.

The room is kept first: the pods that wait are nominated for their nodes, in their status too, so that those who
are made anew go elsewhere, also when another scheduler goes on.
Then the others are evicted, one after the other, as `kubectl drain` does it: a disruption budget may still say no, and
then nobody else goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from scheduler.chooser import Chooser
from scheduler.consolidation.plan import Moved, Regrouping, Site, consolidate
from scheduler.explaining.text import Record, record_of_moves
from scheduler.framework import Plugin
from scheduler.gangs.making_way import Clearing
from scheduler.plugins.consolidation import Consolidation
from scheduler.pods import PodView
from scheduler.preemption.preemptor import Preemptor
from scheduler.reporter import Reporter
from scheduler.snapshot import Snapshot
from wherry.api.core.pod import Pod
from wherry.client.http import Client
from wherry.client.informer import Change
from wherry.machinery.errors import ApiError, NotFound

log = structlog.get_logger()

# So long nobody moves for the same pods again, whatever came of it.
PAUSE_SECONDS = 60.0
# Who has not left by then, perhaps because his node is down, is waited for no more: others may move.
MOST_SECONDS = 600.0
# To look for moves takes time that other pods wait: where there were none, it is not done again so soon.
PAUSE_AFTER_NOTHING_SECONDS = 1.0


class Mover:
    """See the module. Runs until cancelled."""

    def __init__(
        self,
        client: Client,
        profiles: Mapping[str, Sequence[Plugin]],
        snapshot: Snapshot,
        chooser: Chooser,
        people: tuple[Reporter, Preemptor],
        try_again: Callable[[str], None],
    ) -> None:
        self._client, self._snapshot, self._chooser = client, snapshot, chooser
        self._reporter, self._preemptor = people
        self._most_moves = {name: most_moves(plugins) for name, plugins in profiles.items()}
        self._on_the_move: set[str] = set()
        self._waiting: frozenset[str] = frozenset()
        self._not_before: dict[str, float] = {}
        self._looks_again_at = 0.0
        self._try_again = try_again
        self._put_off: set[str] = set()
        # Why there is room for the pods for which others moved last, and where.
        self._reasons: dict[str, tuple[str, Record]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    @property
    def is_wanted(self) -> bool:
        """Whether any profile has others moved."""
        return any(self._most_moves.values())

    def is_under_way(self, pod: PodView) -> bool:
        """Whether others are on their way out for this pod."""
        return pod.uid in self._waiting and bool(self._on_the_move)

    def begin(self, pods: Sequence[PodView], needed: int, board: Callable[[], Clearing]) -> bool:
        """Have others move for these pods that do not fit, if that helps; whether it does."""
        most = self._most_moves[pods[0].spec.scheduler_name]
        now = asyncio.get_running_loop().time()
        if not most or self._on_the_move or self._tasks is None:
            return False
        pause_ends = max(self._looks_again_at, self._not_before.get(pods[0].uid, 0.0))
        if pause_ends > now:
            self._put_it_off(pods[0].uid, pause_ends)
            return False
        panel = self._chooser.panel(pods[0])
        found = consolidate(pods, needed, Site(self._snapshot, panel, board(), self._preemptor.known_budgets, most))
        if found is None:
            self._looks_again_at = now + PAUSE_AFTER_NOTHING_SECONDS
            return False
        self._not_before = {uid: at for uid, at in self._not_before.items() if at > now}
        self._not_before |= dict.fromkeys([pod.uid for pod in pods], now + PAUSE_SECONDS)
        self._on_the_move = leaving = {move.pod.uid for move in found.moves}
        asyncio.get_running_loop().call_later(MOST_SECONDS, leaving.clear)
        self._waiting = frozenset(pod.uid for pod, _ in found.places)
        self._reasons = {pod.uid: (node, record_of_moves(pod.key, node, _moved(found))) for pod, node in found.places}
        for pod, node in found.places:
            self._preemptor.nominations.nominate(pod, node)
        log.info("consolidate", pod=pods[0].key, moves=[f"{move.pod.key} to {move.to}" for move in found.moves])
        self._tasks.create_task(self._move(found), name=f"consolidate for {pods[0].key}")
        return True

    def reason(self, pod: PodView, node: str) -> Record | None:
        """Why there is room for the pod on the node, if others moved for it."""
        promised, record = self._reasons.get(pod.uid, ("", None))
        return record if promised == node else None

    def pod_changed(self, change: Change[Pod]) -> None:
        """Take note of pods that have left."""
        before, after = change
        if self._on_the_move and before is not None and (after is None or after.is_finished):
            self._on_the_move.discard(before.metadata.uid)

    def _put_it_off(self, uid: str, until: float) -> None:
        """What woke the pod may be the last change that does: the pod is tried once more when others may move."""
        if uid not in self._put_off:
            self._put_off.add(uid)
            asyncio.get_running_loop().call_at(until, self._look_once_more, uid)

    def _look_once_more(self, uid: str) -> None:
        self._put_off.discard(uid)
        self._try_again(uid)

    async def _move(self, found: Regrouping) -> None:
        for place in found.places:
            if not await self._preemptor.promise(*place):
                self._give_up(found, found.moves)
                return
        for number, move in enumerate(found.moves):
            if not await self._evicted(move):
                self._give_up(found, found.moves[number:])
                return
            self._reporter.moved(move.pod, found.places[0][0], move.node)

    def _give_up(self, found: Regrouping, stay: Sequence[Moved]) -> None:
        self._on_the_move -= {move.pod.uid for move in stay}
        for pod, _ in found.places:
            self._reporter.nominated(pod.pod, "")
            self._preemptor.withdraw(pod)

    async def _evicted(self, move: Moved) -> bool:
        if not self._reporter.may_act():
            return False  # whoever leads now decides who moves
        metadata = move.pod.metadata
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata.name, "namespace": metadata.namespace},
            "deleteOptions": {"preconditions": {"uid": metadata.uid}},
        }
        try:
            path = Pod.kind.path(metadata.namespace, metadata.name, "eviction")
            await self._client.request("POST", path, body=eviction)
        except NotFound:
            return True
        except ApiError as error:
            log.warning("not moved", pod=move.pod.key, error=error.message)
            return False
        return True


def most_moves(plugins: Sequence[Plugin]) -> int:
    """How many pods may move at a time in a profile."""
    return next((plugin.args.most_moves for plugin in plugins if isinstance(plugin, Consolidation)), 0)


def _moved(found: Regrouping) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for move in found.moves:
        told.setdefault(move.node, []).append(f"{move.pod.key} moved away; {move.to} had room for it")
    return told
