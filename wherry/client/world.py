"""World: all that a plan may see. Plans read it, never change it, and never see it change.

    world = World(rs, a_pod(owner=rs))                                  # in a test
    pods = yield from world.claim(rs, Pod, rs.spec.selector)            # in a plan
    slices = world.list(EndpointSlice, namespace="shop", labels={SERVICE_NAME: "web"})

The runner's world lies over the shelves that informers fill, and holds only the kinds that the controller declares:
reading another raises `UndeclaredRead`, because nothing would wake the controller when that kind changes. A plan
runs in one go, without awaiting, so nothing moves on the shelves meanwhile.

Kubernetes: listers over shared informers; `claim` follows PodControllerRefManager.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from wherry.client.plan import Action, Update
from wherry.machinery.errors import ApiError
from wherry.machinery.meta import controller_reference
from wherry.machinery.resource import Resource

R = TypeVar("R", bound=Resource)

TEST_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Matcher(Protocol):
    """Whatever selects by labels: a `Selector` of the API or compiled `Requirements`."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""


class UndeclaredRead(Exception):
    """A plan reads a kind that its controller does not declare in `owns`, `reads` or `wakes`."""


class Shelf(Generic[R]):
    """The objects of one kind by key, by namespace, by the uid of their controller ("" for none), and by their node.

    `version` is another one after each change.
    """

    def __init__(self) -> None:
        self.version = 0
        self._objects: dict[str, R] = {}
        self._namespaces: dict[str, dict[str, R]] = {}
        self._controlled: dict[str, dict[str, R]] = {}
        self._orphans: dict[str, dict[str, R]] = {}
        self._nodes: dict[str, dict[str, R]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> R | None:
        """The object, if it is there."""
        return self._objects.get(key)

    def put(self, obj: R) -> None:
        """Set down an object, in place of an older version of it."""
        key = obj.metadata.key
        self.remove(key)
        self.version += 1
        self._objects[key] = obj
        for index, value in self._places(obj):
            index.setdefault(value, {})[key] = obj

    def remove(self, key: str) -> None:
        """Take an object away, if it is there."""
        obj = self._objects.pop(key, None)
        if obj is None:
            return
        self.version += 1
        for index, value in self._places(obj):
            del index[value][key]
            if not index[value]:
                del index[value]

    def _places(self, obj: R) -> Iterator[tuple[dict[str, dict[str, R]], str]]:
        controller = obj.metadata.controller
        yield self._namespaces, obj.metadata.namespace
        if controller:
            yield self._controlled, controller.uid
        else:
            yield self._orphans, obj.metadata.namespace
        node = getattr(getattr(obj, "spec", None), "node_name", "")
        if node:
            yield self._nodes, node

    def all(self) -> Iterable[R]:
        """Everything, in no order."""
        return self._objects.values()

    def in_namespace(self, namespace: str) -> Iterable[R]:
        """What is in one namespace, in no order."""
        return self._namespaces.get(namespace, {}).values()

    def controlled_by(self, uid: str) -> Iterable[R]:
        """What has this controller, in no order."""
        return self._controlled.get(uid, {}).values()

    def on_node(self, name: str) -> Iterable[R]:
        """What names this node in its spec, in no order."""
        return self._nodes.get(name, {}).values()

    def orphans_in(self, namespace: str) -> Iterable[R]:
        """What has no controller, in one namespace, in no order."""
        return self._orphans.get(namespace, {}).values()


# `World.list` hides the type of that name inside the class.
Found = list[R]


def _sorted(objects: Iterable[R]) -> Found[R]:
    return sorted(objects, key=lambda obj: obj.metadata.key)


class World:
    """What a plan sees. `now` is in UTC, whole seconds, and stands still.

    `failure` is the error that ended the last plan of this object before all was done, None when all went well.
    """

    def __init__(self, *objects: Resource, now: datetime = TEST_NOW, failure: ApiError | None = None) -> None:
        self._now: datetime | Callable[[], datetime] = now.replace(microsecond=0)
        self.failure = failure
        self._shelves: Mapping[type[Resource], Shelf[Any]] = _shelved(objects)
        self._holds_every_kind = True

    @classmethod
    def over(
        cls, shelves: Mapping[type[Resource], Shelf[Any]], now: Callable[[], datetime], failure: ApiError | None = None
    ) -> World:
        """The world that consists of these kinds and no others; `now` tells the time in whole seconds already."""
        # One for every change that wakes somebody: nothing is made here that is thrown away at once.
        world = cls.__new__(cls)
        world._now, world.failure = now, failure
        world._shelves, world._holds_every_kind = shelves, False
        return world

    @property
    def now(self) -> datetime:
        """The time of this world: that at which it was first asked for."""
        if not isinstance(self._now, datetime):
            self._now = self._now()
        return self._now

    def get(self, kind: type[R], name: str, namespace: str = "") -> R | None:
        """One object, if it is there."""
        return self._shelf(kind).get(f"{namespace}/{name}" if namespace else name)

    def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        selector: Matcher | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Found[R]:
        """The objects of a kind, sorted by key; those in a namespace, selected, or with at least these labels."""
        shelf = self._shelf(kind)
        found: Iterable[R] = shelf.all() if namespace is None else shelf.in_namespace(namespace)
        if selector is not None:
            found = [obj for obj in found if selector.matches(obj.metadata.labels)]
        if labels is not None:
            found = [obj for obj in found if labels.items() <= obj.metadata.labels.items()]
        return _sorted(found)

    def on_node(self, kind: type[R], name: str) -> Found[R]:
        """The objects whose spec names this node, sorted by key."""
        return _sorted(self._shelf(kind).on_node(name))

    def version(self, kind: type[R]) -> int:
        """Another number after each change of an object of this kind: what was made of them can be kept until then."""
        return self._shelf(kind).version

    def owned(self, owner: Resource, kind: type[R]) -> Found[R]:
        """The objects whose controller is `owner` (by uid), sorted by key."""
        return _sorted(self._shelf(kind).controlled_by(owner.metadata.uid))

    def claim(
        self, owner: Resource, kind: type[R], selector: Matcher, accepts: Callable[[R], bool] = lambda _: True
    ) -> Generator[Action, None, Found[R]]:
        """The objects that `owner` controls from now on, sorted by key; yields what makes it so.

        Orphans that match are adopted, unless they or the owner are being deleted; owned ones that match no more
        are released. `accepts` says what else than labels must be right.
        """
        claimed = []
        for obj in self.owned(owner, kind):
            if selector.matches(obj.metadata.labels) and accepts(obj):
                claimed.append(obj)
            elif owner.metadata.deleted_at is None:
                yield _release(obj, owner)
        if owner.metadata.deleted_at is None:
            for obj in _sorted(self._shelf(kind).orphans_in(owner.metadata.namespace)):
                if obj.metadata.deleted_at is None and selector.matches(obj.metadata.labels) and accepts(obj):
                    claimed.append(obj)
                    yield _adopt(obj, owner)
        return _sorted(claimed)

    def _shelf(self, kind: type[R]) -> Shelf[R]:
        shelf = self._shelves.get(kind)
        if shelf is None and not self._holds_every_kind:
            declared = ", ".join(sorted(known.kind.name for known in self._shelves))
            raise UndeclaredRead(f"{kind.kind.name} is read but not declared; this controller declares {declared}")
        return shelf if shelf is not None else Shelf()


def _shelved(objects: Iterable[Resource]) -> dict[type[Resource], Shelf[Any]]:
    shelves: dict[type[Resource], Shelf[Any]] = {}
    for obj in objects:
        shelf = shelves.setdefault(type(obj), Shelf())
        if shelf.get(obj.metadata.key) is not None:
            raise ValueError(f"two objects of kind {obj.kind.name} are called {obj.metadata.key!r}")
        shelf.put(obj)
    return shelves


def _adopt(obj: Resource, owner: Resource) -> Update:
    references = [reference.to_wire() for reference in obj.metadata.owner_references]
    return Update(obj, {"metadata": {"ownerReferences": [*references, controller_reference(owner)]}})


def _release(obj: Resource, owner: Resource) -> Update:
    uid = owner.metadata.uid
    rest = [reference.to_wire() for reference in obj.metadata.owner_references if reference.uid != uid]
    return Update(obj, {"metadata": {"ownerReferences": rest or None}})
