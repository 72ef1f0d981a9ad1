"""The chain of admission plugins, and what a plugin is."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from apiserver.tracing.trace import part

if TYPE_CHECKING:
    from apiserver.server import Server
    from apiserver.writing.rest import Write

Draft = dict[str, Any]


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
        self._mutating: dict[tuple[str, str], list[AdmissionPlugin]] = {}
        self._validating: dict[tuple[str, str], list[AdmissionPlugin]] = {}

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Let every plugin that changes such objects do so."""
        plugins = self._concerned(self._mutating, "mutate", write)
        write.rounds = None
        with part("mutating admission"):
            for plugin in plugins:
                await plugin.mutate(draft, old, write)
            if write.rounds is not None and write.rounds.has_changed:
                write.rounds.is_second = True
                for plugin in plugins:
                    await plugin.mutate(draft, old, write)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Ask every plugin that judges such objects."""
        with part("validating admission"):
            for plugin in self._concerned(self._validating, "validate", write):
                await plugin.validate(draft, old, write)

    def _concerned(
        self, known: dict[tuple[str, str], list[AdmissionPlugin]], method: str, write: Write
    ) -> list[AdmissionPlugin]:
        place = (write.cls.kind.resource, write.operation)
        if place not in known:
            known[place] = [
                plugin
                for plugin in self._plugins
                if getattr(type(plugin), method) is not getattr(AdmissionPlugin, method)
                and (not plugin.kinds or place[0] in plugin.kinds)
                and place[1] in plugin.operations
            ]
        return known[place]
