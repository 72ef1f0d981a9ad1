"""Measures of a replay: how full the nodes were, how broken up what was free, and how long pods waited. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from scheduler.pods.requests import amount
from wherry.machinery.time import duration_text
from wherry.sim.replay import History

# How many jobs are named.
_MOST = 5


@dataclass(frozen=True)
class Moment:
    """What is so from an instant on: pods that wait, nodes without pods, and each resource's shares."""

    at: float
    waiting: int
    empty: int
    # Of all there is of a resource.
    used: dict[str, float]
    # Of what is free of a resource: what lies on nodes that have too little left for the largest pod.
    broken: dict[str, float]


def course(history: History) -> list[Moment]:
    """The moments at which something changed, in order."""
    return list(_Course(history).moments())


class _Course:
    def __init__(self, history: History) -> None:
        self._history = history
        views = {stay.pod.uid: stay.pod for stay in history.stays}
        self._resources = sorted({name for view in views.values() for name in view.requests if name != "pods"})
        self._largest = {
            name: max((view.requests.get(name, 0) for view in views.values()), default=0) for name in self._resources
        }
        self._offers = {
            node.metadata.name: {
                name: amount(name, node.status.allocatable[name])
                for name in self._resources
                if name in node.status.allocatable
            }
            for node in history.nodes
        }
        self._held: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._pods: defaultdict[str, int] = defaultdict(int)

    def moments(self) -> Iterator[Moment]:
        """See `course`."""
        changes: defaultdict[float, list[tuple[int, int]]] = defaultdict(list)
        waiting: defaultdict[float, int] = defaultdict(int)
        for task in self._history.tasks.values():
            waiting[task.at] += 1
        for index, stay in enumerate(self._history.stays):
            changes[stay.begun_at].append((index, 1))
            changes[stay.ended_at].append((index, -1))
            waiting[stay.begun_at] -= 1
            waiting[stay.ended_at] += stay.was_evicted
        now_waiting = 0
        for at in sorted(changes.keys() | waiting.keys()):
            for index, sign in changes[at]:
                self._count(index, sign)
            now_waiting += waiting[at]
            empty = sum(not self._pods[name] for name in self._offers)
            yield Moment(at, now_waiting, empty, *self._shares())

    def _count(self, index: int, sign: int) -> None:
        stay = self._history.stays[index]
        self._pods[stay.node] += sign
        for name, size in stay.pod.requests.items():
            self._held[stay.node][name] += sign * size

    def _shares(self) -> tuple[dict[str, float], dict[str, float]]:
        used, broken = dict[str, float](), dict[str, float]()
        for name in self._resources:
            offered = {node: offers[name] for node, offers in self._offers.items() if name in offers}
            free = {node: size - self._held[node][name] for node, size in offered.items()}
            total, left = sum(offered.values()), sum(free.values())
            used[name] = 1 - left / total if total else 0.0
            broken[name] = sum(size for size in free.values() if size < self._largest[name]) / left if left else 0.0
        return used, broken


def table(histories: dict[str, History]) -> Iterator[str]:
    """The policies side by side."""
    columns = {name: dict(_facts(history)) for name, history in histories.items()}
    names = list(dict.fromkeys(fact for column in columns.values() for fact in column))
    width = max(map(len, names), default=0)
    cells = [max(len(name), 12) for name in columns]
    yield " " * width + "".join(f"  {name:>{cell}}" for name, cell in zip(columns, cells, strict=True))
    for fact in names:
        values = (column.get(fact, "") for column in columns.values())
        yield f"{fact:<{width}}" + "".join(f"  {value:>{cell}}" for value, cell in zip(values, cells, strict=True))


def left_over(history: History) -> str:
    """The jobs whose pods never got a node, and how many of each."""
    jobs = Counter(pod.metadata.name.rpartition("-")[0] or pod.metadata.name for pod in history.pending)
    named = ", ".join(f"{job} ({number} pod{'s' if number > 1 else ''})" for job, number in list(jobs.items())[:_MOST])
    return named + (f" and {len(jobs) - _MOST} more jobs" if len(jobs) > _MOST else "")


def _facts(history: History) -> Iterator[tuple[str, str]]:
    waits, moments = history.waits, course(history)
    yield "pods placed", f"{len(waits)} of {len(history.tasks)}"
    yield "all done after", duration_text(history.ended_at)
    if waits:
        yield "waiting, mean", duration_text(fmean(waits))
        yield "waiting, median", duration_text(median(waits))
        yield "waiting, 95th of 100", duration_text(waits[min(len(waits) * 95 // 100, len(waits) - 1)])
        yield "waiting, longest", duration_text(waits[-1])
    yield "evictions", str(sum(stay.was_evicted for stay in history.stays))
    yield "nodes without pods, mean", f"{_mean([moment.empty for moment in moments], moments):.1f}"
    for name in moments[0].used if moments else ():
        yield f"{name} in use, mean", f"{_mean([moment.used[name] for moment in moments], moments):.0%}"
    for name in moments[0].broken if moments else ():
        yield f"{name} free, but broken up", f"{_mean([moment.broken[name] for moment in moments], moments):.0%}"


def _mean(values: Sequence[float], moments: Sequence[Moment]) -> float:
    """Weighed by how long each was so."""
    spans = [after.at - before.at for before, after in pairwise(moments)]
    total = sum(spans)
    return sum(value * span for value, span in zip(values, spans, strict=False)) / total if total else 0.0
