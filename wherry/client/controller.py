"""Controllers: a pure plan for the objects of one kind, and what it needs to see.

    @controller(ReplicaSet, owns=[Pod])
    def plan(rs: ReplicaSet, world: World) -> Plan: ...

    @controller(Service, reads=[Node], wakes={Pod: services_of}, absent=forget_service, workers=2)
    def plan(service: Service, world: World) -> Plan: ...

`owns`: kinds whose objects wake the object that controls them; one without a controller wakes those whose selector
matches. `wakes`: kinds whose objects wake what a function of theirs names. `notices`: what of such a kind matters; a
change that leaves it the same, as a node's heartbeats do, wakes nobody. `reads`: kinds that are read but wake nobody.
`concerns`: which objects of its own kind it is about at all, where that is few of many; others are never planned.
`component`: whose events they are, where Kubernetes has another word than the controller's name.
The decorator registers the controller and leaves the function as it is, so tests call it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wherry.client.plan import Plan
from wherry.client.world import World
from wherry.machinery.resource import Resource

PlanFunction = Callable[[Any, World], Plan]
AbsentFunction = Callable[[str, World], Plan]
WakeFunction = Callable[[Any, World], Iterable[str]]
NoticeFunction = Callable[[Any], Any]
ConcernFunction = Callable[[Any], bool]
F = TypeVar("F", bound=PlanFunction)


@dataclass(frozen=True)
class Controller:
    """A plan and its declarations. `workers` bounds how many objects are worked on at once."""

    name: str
    kind: type[Resource]
    plan: PlanFunction
    owns: tuple[type[Resource], ...] = ()
    reads: tuple[type[Resource], ...] = ()
    wakes: Mapping[type[Resource], WakeFunction] = field(default_factory=dict)
    notices: Mapping[type[Resource], NoticeFunction] = field(default_factory=dict)
    absent: AbsentFunction | None = None
    concerns: ConcernFunction | None = None
    workers: int = 16
    component: str = ""

    @property
    def reporter(self) -> str:
        """Whose events it tells."""
        return self.component or f"{self.name}-controller"

    @property
    def kinds(self) -> tuple[type[Resource], ...]:
        """Every kind its plan may read, each once."""
        return tuple(dict.fromkeys((self.kind, *self.owns, *self.wakes, *self.reads)))


_registered: dict[str, Controller] = {}


def controller(
    kind: type[Resource],
    *,
    owns: Iterable[type[Resource]] = (),
    reads: Iterable[type[Resource]] = (),
    wakes: Mapping[type[Resource], WakeFunction] | None = None,
    **options: Any,
) -> Callable[[F], F]:
    """Declare the plan that follows as a controller.

    Options are `name` (else the module's), `workers`, `absent`, `concerns`, `notices` and `component`.
    """

    def declare(plan: F) -> F:
        name = options.pop("name", "") or plan.__module__.rpartition(".")[2]
        if name in _registered:
            modules = f"{_registered[name].plan.__module__} and {plan.__module__}"
            raise TypeError(f"two controllers are called {name!r}, in {modules}: give one a `name`")
        _registered[name] = Controller(name, kind, plan, tuple(owns), tuple(reads), dict(wakes or {}), **options)
        return plan

    return declare


def all_controllers() -> tuple[Controller, ...]:
    """Every declared controller whose module is imported, by name."""
    return tuple(_registered[name] for name in sorted(_registered))


def controller_named(name: str) -> Controller:
    """One declared controller; KeyError names those there are."""
    if name not in _registered:
        raise KeyError(f"there is no controller {name!r}; there are {', '.join(sorted(_registered)) or 'none'}")
    return _registered[name]
