"""Asks kubelets what their nodes use: those that a question is about, many at a time, none twice within ten seconds.

Nothing happens while nobody asks, and nothing is kept but each node's last answer. A kubelet that does not answer in
time is left out, as metrics-server does, and not asked again for as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import structlog

from apiserver.metrics.readings import Reading, declared, parse_summary
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.metrics.declared import is_hollow
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

FRESH_SECONDS = 10.0
ANSWER_SECONDS = 5.0
AT_ONCE = 32


class _Answer(NamedTuple):
    """When a node was asked, and what it said or will say; None if it said nothing."""

    at: float
    reading: asyncio.Task[Reading | None]


class Gathering:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers: dict[str, _Answer] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def readings(self, names: Collection[str]) -> dict[str, Reading]:
        """What these nodes say; those that say nothing are left out."""
        now = asyncio.get_running_loop().time()
        for name in [name for name, answer in self._answers.items() if now - answer.at > FRESH_SECONDS]:
            del self._answers[name]
        nodes = {name: node for name in names if (node := self._node(name)) is not None}
        hollow = self._said([name for name, node in nodes.items() if is_hollow(node)])
        asked = {name: self._ask(name, now) for name in nodes if name not in hollow}
        found = await asyncio.gather(*(asyncio.shield(task) for task in asked.values()))
        said = {name: reading for name, reading in zip(asked, found, strict=True) if reading is not None}
        return {**hollow, **said}

    def _ask(self, name: str, now: float) -> asyncio.Task[Reading | None]:
        """The question that is under way or was answered just now, else a new one."""
        answer = self._answers.get(name)
        if answer is None:
            task = asyncio.get_running_loop().create_task(self._asked(name), name=f"usage of node {name}")
            answer = self._answers[name] = _Answer(now, task)
        return answer.reading

    async def _asked(self, name: str) -> Reading | None:
        try:
            async with self._gate, asyncio.timeout(ANSWER_SECONDS):
                kubelet = await self._server.kubelets.on(name)
                return parse_summary(await kubelet.read("/stats/summary"))
        except (ApiError, TimeoutError, ValueError) as error:
            log.warning("node does not say what it uses", node=name, error=str(error) or "no answer in time")
            return None

    def _node(self, name: str) -> Node | None:
        stored = self._server.cache.of(Node).get("", name)
        return Node.read(stored.item) if stored is not None else None

    def _said(self, hollow: Collection[str]) -> dict[str, Reading]:
        """The readings of nodes without a machine."""
        pods: dict[str, list[Pod]] = {name: [] for name in hollow}
        for stored in self._server.cache.of(Pod).objects() if hollow else ():
            if (name := stored.fields.get("spec.nodeName", "")) in pods:
                pods[name].append(Pod.read(stored.item))
        return {name: declared(on_node, self._server.now()) for name, on_node in pods.items()}
