"""Plugins: what keeps pods off nodes (`filter`) and what makes one node better than another (`score`).

    class NodeUnschedulable(Plugin):
        order = 10
        reads = ("spec.tolerations",)
        retry_when = (Added(Node), Changed(Node, "spec.unschedulable"))

        def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
            yield Verdict(~nodes.unschedulable, "node(s) were unschedulable")

A plugin is a class in its own file in `scheduler/plugins/`, or in a folder of the user's; the class statement registers
it under its name, and the methods it defines are its extension points. Pods that agree on everything all plugins read
share one answer.

Kubernetes: the scheduling framework's PreFilter + Filter, PreScore + Score and NormalizeScore.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

import scheduler.plugins
from scheduler.columns import Columns, FloatArray, IntArray, Mask
from scheduler.columns.node_selectors import matching_any
from scheduler.columns.spot import Spot
from scheduler.pods import PodView
from scheduler.triggers import Trigger
from wherry.api.core.pod.spec import NodeSelector

HIGHEST_SCORE = 100.0
# What the modules of a user's folder are called.
USER_PLUGINS = "user_plugins."


class Verdict(NamedTuple):
    """Where a pod may go (`mask`), and why not elsewhere, in the words of `kubectl describe pod`.

    A refusal for want of something adds the numbers: how much is `wanted`, and how much each node has `free`. One
    that is about the pod, whatever the node, says so: then no nodes are counted, as after Kubernetes' PreFilter. Where
    evicting others from the node could lift a refusal, it `may_yield`; Kubernetes calls all others unresolvable.
    A `detail` is only for who asks about single nodes: events and conditions count them by reason.
    """

    mask: Mask
    reason: str
    wanted: int = 0
    free: IntArray | None = None
    is_about_pod: bool = False
    may_yield: Mask | bool = False
    detail: str = ""


class KeptScore(Protocol):
    """What a plugin's `score` would be for one pod, kept while pods come and go on the nodes."""

    def follow(self, rows: Iterable[int]) -> None:
        """Take note that something on these rows came or went."""

    def scores(self) -> FloatArray:
        """For all rows."""


class PluginArgs(BaseModel):
    """Settings of one plugin, from `pluginConfig` in the configuration; who has some declares its own `Args`."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Plugin:
    """One reason for or against a node. Pure: it reads a pod and columns, and keeps nothing.

    What it says of a row follows from that row alone, for all pods but those for which it `looks_around`; for others
    only `normalize` looks at several.
    """

    # Filters are asked in this order; a node counts under the first that refuses it.
    order: ClassVar[int] = 1000
    weight: int = 1
    # Extension points at which a configuration has no use for it.
    switched_off: frozenset[str] = frozenset()
    # Whether others may be evicted for a pod that found no node.
    evicts: ClassVar[bool] = False
    # Whether pods of a group wait until enough of them are there, and are placed together.
    gathers: ClassVar[bool] = False
    # Whether others may be moved elsewhere for a pod that found no node.
    moves: ClassVar[bool] = False
    retry_when: ClassVar[tuple[Trigger, ...]] = ()
    # Whether only what happens on a node can make it let a pod go there that it kept off before.
    judges_one_by_one: ClassVar[bool] = False
    # What of the pod it looks at. Who does not say so is assumed to look at everything, which costs sharing.
    reads: ClassVar[tuple[str, ...]] = ("metadata", "spec")
    Args: ClassVar[type[PluginArgs]] = PluginArgs

    name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__
        other = _registry.get(cls.name)
        if other and (other.__module__ != cls.__module__):
            raise TypeError(
                f"scheduler plugin {cls.name} is declared twice: in {other.__module__} and {cls.__module__}"
            )
        _registry[cls.name] = cls

    def __init__(self, args: Any = None) -> None:
        self.args: Any = args or self.Args()

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        """Yield a verdict per reason this pod could have to stay away; a node must pass all of them."""
        return iter(())

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        """How good each node is, 0 to 100 after `normalize`. None: no opinion on this pod, whatever the nodes."""
        return None

    def normalize(self, scores: FloatArray) -> FloatArray:
        """Bring the scores of the nodes that passed all filters to 0..100; only for scores that compare nodes."""
        return scores

    def looks_around(self, pod: PodView, nodes: Columns) -> bool:
        """Whether what it says of a row for this pod follows from other rows and the pod's labels too. Costs speed."""
        return False

    def least(self, pod: PodView) -> Mapping[str, int]:
        """So much of each resource must be left on a node, or could be if others left, or it keeps the pod off."""
        return {}

    def rules_out(self, pod: PodView, spot: Spot) -> bool:
        """Whether it keeps the pod off this node even if less important pods left it."""
        could_be_cleared = spot.has_below(pod.spec.priority)
        verdicts = self.filter(pod, spot.nodes)
        return any(not (each.mask.all() or (could_be_cleared and np.any(each.may_yield))) for each in verdicts)

    def kept_score(self, pod: PodView, nodes: Columns) -> KeptScore | None:
        """Its score for a pod that it looks around for and keeps off no node, if that can follow what is placed.

        It is asked anew when other nodes can be chosen, or are described otherwise. None: `score` is, for each pod.
        """
        return None

    @classmethod
    def points(cls) -> tuple[str, ...]:
        """Its extension points."""
        found = tuple(point for point in ("filter", "score") if cls.defines(point))
        return (*found, *(point for point in ("evicts", "gathers", "moves") if getattr(cls, point)))

    def acts_at(self, point: str) -> bool:
        """Whether it has this extension point, and is wanted there."""
        return point in self.points() and point not in self.switched_off

    @classmethod
    def defines(cls, method: str) -> bool:
        """Whether the class has an own `filter`, `score`, `normalize` or `looks_around`."""
        return getattr(cls, method) is not getattr(Plugin, method)


_registry: dict[str, type[Plugin]] = {}


def normalize_to_highest(scores: FloatArray, *, reverse: bool = False) -> FloatArray:
    """Scale so that the highest becomes 100, or, in reverse, 0. Kubernetes: DefaultNormalizeScore."""
    highest = scores.max(initial=0.0)
    if highest == 0:
        return np.full_like(scores, HIGHEST_SCORE if reverse else 0.0)
    scaled: FloatArray = scores * (HIGHEST_SCORE / highest)
    return HIGHEST_SCORE - scaled if reverse else scaled


def where_reached(problem: str, reachable: Iterable[NodeSelector], nodes: Columns, elsewhere: str) -> Iterator[Verdict]:
    """Nowhere, if there is a problem with what the pod claims; else where all it has by claims can be reached."""
    if problem:
        yield Verdict(np.zeros(len(nodes), dtype=np.bool_), problem, is_about_pod=True)
    for selector in reachable:
        yield Verdict(matching_any(selector, nodes), elsewhere)


def in_turn(checks: Iterable[tuple[Mask, str, bool]], nodes: Columns) -> Iterator[Verdict]:
    """A verdict for each check (where, why not elsewhere, may that yield); a node counts under the first refusal."""
    refused: Mask | None = None
    for mask, reason, may_yield in checks:
        yield Verdict(nodes.here(mask if refused is None else mask | refused), reason, may_yield=may_yield)
        refused = ~mask if refused is None else refused | ~mask


class PluginFileError(ImportError):
    """A user's file cannot be loaded; the message names the file, the line and the error."""


def culprit(error: BaseException) -> str:
    """Whose code raised it, in words."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    asked = [frame.f_locals.get("self") for frame in frames]
    names = [plugin.name for plugin in asked if isinstance(plugin, Plugin)]
    return f"plugin {names[-1]}" if names else "the scheduler's plugins"


def mistake_in_a_file(error: BaseException) -> str:
    """Where in a user's file an error arose, and which; empty if it arose nowhere in one."""
    if isinstance(error, PluginFileError):
        return str(error)
    steps = [
        (frame.f_globals.get("__name__", ""), frame, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [f"{frame.f_code.co_filename}:{line}" for name, frame, line in steps if name.startswith(USER_PLUGINS)]
    return f"{own[-1]}: {type(error).__name__}: {error}" if own else ""


def load_plugins(folder: Path | None = None) -> dict[str, type[Plugin]]:
    """The plugins of `scheduler/plugins/` and of a user's folder by name, in the order their filters are asked.

    Raises PluginFileError, also when a name is declared twice.
    """
    modules = {module.name for module in pkgutil.walk_packages(scheduler.plugins.__path__, "scheduler.plugins.")}
    for module in modules:
        importlib.import_module(module)
    if folder is not None:
        modules |= set(_import_files(folder))
    chosen = [plugin for plugin in _registry.values() if plugin.__module__ in modules]
    return {plugin.name: plugin for plugin in sorted(chosen, key=lambda plugin: (plugin.order, plugin.name))}


def _import_files(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise PluginFileError(f"{folder} is not a folder of scheduler plugins")
    for file in sorted(folder.glob("[!_]*.py")):
        name = f"{USER_PLUGINS}{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise PluginFileError(f"{file} cannot be imported as a scheduler plugin")
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except SyntaxError as error:
            raise PluginFileError(f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}") from error
        except Exception as error:
            lines = [
                line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)
            ]
            raise PluginFileError(f"{file}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}") from error
        yield name
