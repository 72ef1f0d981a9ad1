"""A cluster small enough for properties: objects as JSON, plans carried out on them one action at a time.

It does to objects what the API server does as far as controllers notice: names, uids, versions, generations, and
deletion that waits for finalizers. `settle` runs the plans until none has anything to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from wherry.client.patches import merged, status_patch
from wherry.client.plan import Action, CheckAgain, Create, Delete, Event, Evict, SetStatus, Update
from wherry.client.world import TEST_NOW, World
from wherry.machinery.resource import Resource, kind_named
from wherry.machinery.time import time_text

Planner = Callable[[Any, World], Iterable[Action]]
Key = tuple[type[Resource], str]


class Cluster:
    """Objects by kind and key; `events` collects what plans told."""

    def __init__(self, *objects: Resource) -> None:
        self.now, self.revision, self.events = TEST_NOW, 1, list[str]()
        self._objects: dict[Key, dict[str, Any]] = {}
        for obj in objects:
            self._objects[type(obj), obj.key] = obj.to_wire()

    def list(self, kind: type[Any]) -> list[Any]:
        """The objects of a kind, by key."""
        return [kind.read(raw) for (found, _), raw in sorted(self._objects.items(), key=str) if found is kind]

    def get(self, kind: type[Any], key: str) -> Any:
        """One object."""
        return kind.read(self._objects[kind, key])

    def world(self) -> World:
        """What plans see now."""
        return World(*(kind.read(raw) for (kind, _), raw in self._objects.items()), now=self.now)

    def change(self, obj: Resource, patch: dict[str, Any]) -> None:
        """What a user or a kubelet would do to an object."""
        self._write(type(obj), obj.key, patch)

    def remove(self, obj: Resource) -> None:
        """The object is gone."""
        self._objects.pop((type(obj), obj.key), None)

    def passes(self, seconds: float) -> None:
        """Time goes on."""
        self.now += timedelta(seconds=seconds)

    def run(self, kind: type[Resource], plan: Planner, key: str) -> bool:
        """Plan one object and act; says whether anything changed."""
        world, before = self.world(), self.revision
        for action in list(plan(self.get(kind, key), world)):
            self._act(action, world)
        return self.revision != before

    def _act(self, action: Action, world: World) -> None:
        match action:
            case Create(manifest):
                self._create(manifest)
            case Update(obj, patch):
                self._write(type(obj), obj.key, patch)
            case SetStatus(obj):
                before = world.get(type(obj), obj.metadata.name, obj.metadata.namespace)
                assert before is not None
                self._write(type(obj), obj.key, status_patch(before, obj))
            case Delete(obj) | Evict(obj):
                self.revision += 1
                self.remove(obj)
            case Event(_, reason, message):
                self.events.append(f"{reason}: {message}")
            case CheckAgain():
                pass

    def _create(self, manifest: dict[str, Any]) -> None:
        self.revision += 1
        metadata = dict(manifest["metadata"])
        metadata.setdefault("name", f"{metadata.get('generateName', '')}{self.revision}")
        metadata |= {"uid": f"uid-{self.revision}", "resourceVersion": str(self.revision), "generation": 1}
        metadata["creationTimestamp"] = time_text(self.now)
        kind = kind_named(manifest["apiVersion"], manifest["kind"])
        assert kind is not None
        obj = kind.read({**manifest, "metadata": metadata})
        assert (kind, obj.key) not in self._objects, f"{obj.key} is there already"
        self._objects[kind, obj.key] = {**manifest, "metadata": metadata}

    def _write(self, kind: type[Resource], key: str, patch: dict[str, Any]) -> None:
        before = self._objects[kind, key]
        after = merged(before, patch)
        if after == before:
            return
        self.revision += 1
        generation = before["metadata"].get("generation", 1) + (after.get("spec") != before.get("spec"))
        after["metadata"] = {**after["metadata"], "resourceVersion": str(self.revision), "generation": generation}
        self._objects[kind, key] = after
