"""The chain of admission plugins, and what a plugin is."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Awaitable, Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from apiserver.admission.durations import ADMIT, TIMED_EVERY, VALIDATE, Durations, Took
from apiserver.tracing.trace import part
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.server import Server
    from apiserver.writing.rest import Write

Draft = dict[str, Any]
_Counted = tuple[Callable[[Draft, "Draft | None", "Write"], Awaitable[None]], Took]


class AdmissionPlugin:
    """One rule. `kinds` are resources such as `pods`; empty means every kind. `old` is None at creation.

    At a deletion draft and old are the same; at a connection (CONNECT) the draft is its options.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE")
    order: ClassVar[int] = 100
    # Whether it is asked unless an operator leaves it out; else only if an operator asks for it.
    is_on: ClassVar[bool] = True

    registry: ClassVar[list[type[AdmissionPlugin]]] = []

    def __init_subclass__(cls) -> None:
        AdmissionPlugin.registry.append(cls)

    def __init__(self, server: Server) -> None:
        self.server = server

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Change the draft, or raise an ApiError."""

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Raise an ApiError if the write must not happen."""


@cache
def load() -> None:
    """Import every plugin: to add one, add its file."""
    package = importlib.import_module("apiserver.admission")
    for module in pkgutil.walk_packages(package.__path__, "apiserver.admission."):
        importlib.import_module(module.name)


class Admission:
    """Every plugin, asked in order about the writes it cares for."""

    def __init__(self, server: Server, disabled: Collection[str] = (), enabled: Collection[str] = ()) -> None:
        load()
        known = {plugin.__name__: plugin for plugin in AdmissionPlugin.registry}
        for name in (*disabled, *enabled):
            if name not in known:
                raise ValueError(f"no admission plugin {name!r}; there are {', '.join(sorted(known))}")
        wanted = [each for name, each in known.items() if (each.is_on or name in enabled) and name not in disabled]
        ordered = sorted(wanted, key=lambda plugin: (plugin.order, plugin.__name__))
        self._plugins = [plugin(server) for plugin in ordered]
        self.durations = Durations()
        self._mutating: dict[tuple[str, str], _Step] = {}
        self._validating: dict[tuple[str, str], _Step] = {}

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Let every plugin that changes such objects do so."""
        step = self._step(self._mutating, "mutate", write)
        write.rounds = None
        with part("mutating admission"):
            await _ask(step, draft, old, write)
            if write.rounds is not None and write.rounds.has_changed:
                write.rounds.is_second = True
                await _ask(step, draft, old, write)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Ask every plugin that judges such objects."""
        with part("validating admission"):
            await _ask(self._step(self._validating, "validate", write), draft, old, write)

    def _step(self, known: dict[tuple[str, str], _Step], method: str, write: Write) -> _Step:
        place = resource, operation = (write.cls.kind.resource, write.operation)
        if place not in known:
            type = ADMIT if method == "mutate" else VALIDATE
            concerned = [
                (getattr(plugin, method), self.durations.of(plugin.__class__.__name__, operation, type))
                for plugin in self._plugins
                if getattr(plugin.__class__, method) is not getattr(AdmissionPlugin, method)
                and (not plugin.kinds or resource in plugin.kinds)
                and operation in plugin.operations
            ]
            known[place] = _Step(tuple(concerned), self.durations.of("", operation, type))
        return known[place]


class _Step:
    """The plugins that care for certain writes, in order, and where it is counted how long they take."""

    __slots__ = ("asked", "plugins", "together")

    def __init__(self, plugins: tuple[_Counted, ...], together: Took) -> None:
        self.plugins, self.together = plugins, together
        self.asked = 0

    def stands_for(self) -> int:
        """For how many writes the next one is timed plugin by plugin; 0 if another one stands for it."""
        self.asked += 1
        return 1 if self.asked <= TIMED_EVERY else 0 if self.asked % TIMED_EVERY else TIMED_EVERY


async def _ask(step: _Step, draft: Draft, old: Draft | None, write: Write) -> None:
    times = step.stands_for()
    plugin = None
    began = last = time.perf_counter()
    try:
        for plugin in step.plugins:
            await plugin[0](draft, old, write)
            if times:
                now = time.perf_counter()
                plugin[1].passed.observe(now - last, times)
                last = now
        now = time.perf_counter()
    except ApiError:
        now = time.perf_counter()
        if plugin is not None:
            plugin[1].rejected.observe(now - last)
        step.together.rejected.observe(now - began)
        raise
    step.together.passed.observe(now - began)
