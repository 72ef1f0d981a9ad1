"""An API server in memory, as honest as clients can tell: versions, compare-and-swap, pages, watches, finalizers.

    api = FakeApi()
    client = Client(Connection("http://fake"), user_agent="test", transport=api)

Its faults: `lag_seconds` (watches tell late), `disturb` (wraps each request: fail, delay, lose the answer), `cut()`
(breaks the streams), `compact()`. It validates nothing and knows merge patches only. No network; time is the
loop's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.patches import merged
from wherry.client.transport import Answer
from wherry.machinery import errors
from wherry.machinery.errors import ApiError
from wherry.machinery.names import generate_name
from wherry.machinery.resource import Resource, kind_at
from wherry.machinery.selectors import parse_field_selector, parse_label_selector
from wherry.machinery.time import time_text

Object = dict[str, Any]
Perform = Callable[[], Awaitable[Any]]
Disturb = Callable[[str, str, Perform], Awaitable[Any]]

BOOKMARK_SECONDS = 60.0


class Place(NamedTuple):
    """What a path points to."""

    kind: type[Resource]
    namespace: str
    name: str
    subresource: str


class Entry(NamedTuple):
    """One change: what the object was before and is after."""

    revision: int
    at: float
    kind: type[Resource]
    before: Object | None
    after: Object | None
    last: Object


def place_of(path: str) -> Place:
    parts = path.strip("/").split("/")
    group, rest = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
    version, *rest = rest
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        _, namespace, *rest = rest
    kind = kind_at(group, version, rest[0])
    if kind is None:
        raise errors.NotFound("the server could not find the requested resource")
    name, subresource = [*rest[1:], "", ""][:2]
    return Place(kind, namespace, name, subresource)


@dataclass
class FakeApi:
    """See the module. `objects` may be read by tests; write through `put` and the API."""

    lag_seconds: float = 0.0
    disturb: Disturb | None = None
    revision: int = 0
    objects: dict[tuple[type[Resource], str, str], Object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    history: list[Entry] = field(default_factory=list)
    compacted: int = 0
    budget_allows: bool = True

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._epoch = 0
        self._pages: dict[str, list[Object]] = {}
        self._numbers = itertools.count(1)

    def client(self, user_agent: str = "test") -> Client:
        return Client(Connection("http://fake"), user_agent=user_agent, transport=self)

    def all(self, kind: type[Resource]) -> list[Any]:
        """The stored objects of a kind, as views, by key."""
        found = [kind.read(obj) for (of, _, _), obj in self.objects.items() if of is kind]
        return sorted(found, key=lambda obj: obj.key)

    def writes(self, *methods: str) -> list[str]:
        """The requests that were writes, less those about events."""
        methods = methods or ("POST", "PUT", "PATCH", "DELETE")
        return [line for line in self.requests if line.split()[0] in methods and "/events" not in line]

    def cut(self) -> None:
        """Break every open stream."""
        self._epoch += 1
        self._ring()

    def compact(self) -> None:
        """Forget the history."""
        self.compacted = self.revision
        self.history = []

    def put(self, view: Resource, *, status: Object | None = None) -> Any:
        """Store what a builder made, or another version of it; gives it as stored."""
        key = (type(view), view.metadata.namespace, view.metadata.name)
        obj = {"apiVersion": view.kind.api_version, "kind": view.kind.name, **view.to_wire()}
        if status is not None:
            obj["status"] = status
        return type(view).read(self._store(key, obj))

    def remove(self, view: Resource) -> None:
        """Take an object away, whatever its finalizers say."""
        self._store((type(view), view.metadata.namespace, view.metadata.name), None)

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        self.requests.append(f"{method} {path}")

        async def perform() -> Any:
            return self._answer(method, place_of(path), query, json.loads(body) if body else None)

        try:
            # A round trip takes time: without it, nothing would ever overlap.
            await asyncio.sleep(0.001)
            content = await (self.disturb(method, path, perform) if self.disturb else perform())
            return Answer(200, {}, json.dumps(content).encode())
        except ApiError as error:
            if isinstance(error, errors.Unavailable) and error.details == {"lost": True}:
                raise
            return Answer(error.code, {}, json.dumps(error.to_status()).encode())

    def _answer(self, method: str, place: Place, query: Mapping[str, str], body: Any) -> Any:
        key = (place.kind, place.namespace, place.name)
        if method == "GET":
            return deepcopy(self._existing(key)) if place.name else self._list(place, query)
        if method == "POST":
            if place.kind.kind.name == "Pod" and not place.namespace:
                return {"items": [self._outcome(place, item) for item in body["items"]]}
            if place.kind.kind.namespaced and not place.namespace:
                raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
            return self._evict(key, body) if place.subresource == "eviction" else self._create(place, body)
        if method == "DELETE":
            return self._delete(key, body or {})
        old = self._existing(key)
        new = merged(old, body) if method == "PATCH" else body
        return self._update(key, old, new, place.subresource, body.get("metadata") or {})

    def _existing(self, key: tuple[type[Resource], str, str]) -> Object:
        if key not in self.objects:
            raise errors.not_found(key[0].kind.resource, key[2])
        return self.objects[key]

    def _list(self, place: Place, query: Mapping[str, str]) -> Object:
        token = query.get("continue", "")
        items = self._pages.pop(token) if token else self._selected(place, query)
        limit = int(query.get("limit") or 0) or len(items)
        metadata = {"resourceVersion": token.partition("-")[0] or str(self.revision)}
        if len(items) > limit:
            metadata["continue"] = f"{metadata['resourceVersion']}-{next(self._numbers)}"
            self._pages[metadata["continue"]] = items[limit:]
        return {"kind": f"{place.kind.kind.name}List", "metadata": metadata, "items": deepcopy(items[:limit])}

    def _selected(self, place: Place, query: Mapping[str, str]) -> list[Object]:
        keys = sorted((key for key in self.objects if key[0] is place.kind), key=lambda key: key[1:])
        return [self.objects[key] for key in keys if _is_selected(self.objects[key], place, query)]

    def _create(self, place: Place, body: Object) -> Object:
        obj = deepcopy(body)
        metadata = obj.setdefault("metadata", {})
        metadata["name"] = metadata.get("name") or generate_name(metadata["generateName"], clock.randomness())
        key = (place.kind, place.namespace, metadata["name"])
        if key in self.objects:
            raise errors.already_exists(place.kind.kind.resource, metadata["name"])
        metadata |= {"uid": f"uid-{next(self._numbers)}", "creationTimestamp": time_text(clock.now()), "generation": 1}
        if place.kind.kind.namespaced:
            metadata["namespace"] = place.namespace
        return self._store(key, obj)

    def _outcome(self, place: Place, item: Object) -> Object:
        """What became of one of several pods that came together."""
        try:
            created = self._create(place._replace(namespace=item["metadata"]["namespace"]), item)
        except ApiError as error:
            return error.to_status()
        return {"status": "Success", "metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}

    def _update(
        self, key: tuple[type[Resource], str, str], old: Object, new: Object, subresource: str, conditions: Object
    ) -> Object:
        name, version = key[2], conditions.get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise errors.conflict(key[0].kind.resource, name)
        if conditions.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise errors.conflict(key[0].kind.resource, name, "Precondition failed: UID in precondition")
        new = deepcopy(new)
        if subresource == "status":
            new = {**old, "status": new.get("status") or {}}
        elif "status" in key[0].kind.subresources and "status" in old:
            new["status"] = old["status"]
        new["metadata"] = {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}
        if new == old:
            return deepcopy(old)
        if (
            new["metadata"].get("deletionTimestamp")
            and not new["metadata"].get("finalizers")
            and key[0].kind.name != "Pod"
        ):
            return self._store(key, None)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        return self._store(key, new)

    def _delete(self, key: tuple[type[Resource], str, str], options: Object) -> Object:
        old = self._existing(key)
        if (options.get("preconditions") or {}).get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise errors.conflict(key[0].kind.resource, key[2], "Precondition failed: UID in precondition")
        has_grace = key[0].kind.name == "Pod" and old.get("spec", {}).get("nodeName")
        if old["metadata"].get("finalizers") or (has_grace and options.get("gracePeriodSeconds") != 0):
            if old["metadata"].get("deletionTimestamp"):
                return deepcopy(old)
            marked = {**old, "metadata": {**old["metadata"], "deletionTimestamp": time_text(clock.now())}}
            return self._store(key, marked)
        self._store(key, None)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _evict(self, key: tuple[type[Resource], str, str], body: Object) -> Object:
        if not self.budget_allows:
            raise errors.TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.")
        return self._delete(key, body.get("deleteOptions") or {})

    def _store(self, key: tuple[type[Resource], str, str], obj: Object | None) -> Object:
        self.revision += 1
        before = self.objects.pop(key, None)
        last = deepcopy(obj if obj is not None else before)
        if last is None:
            raise KeyError(key)
        last["metadata"]["resourceVersion"] = str(self.revision)
        if obj is not None:
            self.objects[key] = last
        now = asyncio.get_running_loop().time()
        self.history.append(Entry(self.revision, now, key[0], before, last if obj is not None else None, last))
        self._ring()
        return deepcopy(last)

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        self.requests.append(f"WATCH {path}")

        async def perform() -> Any:
            return place_of(path)

        place: Place = await (self.disturb("WATCH", path, perform) if self.disturb else perform())
        loop, epoch, position = asyncio.get_running_loop(), self._epoch, int(query["resourceVersion"])
        ends_at = loop.time() + float(query["timeoutSeconds"])
        told_at = loop.time()
        while True:
            if self._epoch != epoch:
                raise errors.Unavailable("connection reset", {"lost": True})
            if position < self.compacted and not any(entry.revision == position + 1 for entry in self.history):
                yield _line("ERROR", errors.Expired(f"too old resource version: {position}").to_status())
                return
            for entry in [
                entry
                for entry in self.history
                if entry.revision > position and entry.at + self.lag_seconds <= loop.time()
            ]:
                position, told_at = entry.revision, loop.time()
                if event := _event(entry, place, query):
                    yield event
            if loop.time() >= ends_at:
                return
            if loop.time() >= told_at + BOOKMARK_SECONDS:
                told_at = loop.time()
                yield _line("BOOKMARK", {"kind": place.kind.kind.name, "metadata": {"resourceVersion": str(position)}})
            unripe = [entry.at for entry in self.history if entry.revision > position]
            next_at = min([ends_at, told_at + BOOKMARK_SECONDS, *(at + self.lag_seconds for at in unripe[:1])])
            await self._wait_until(next_at)

    async def _wait_until(self, at: float) -> None:
        try:
            async with asyncio.timeout_at(at):
                await self._news.wait()
        except TimeoutError:
            return


class Link:
    """One client's way to a FakeApi, which can be down; requests that are under way then never get an answer."""

    def __init__(self, api: FakeApi) -> None:
        self._api, self.up = api, True

    def client(self) -> Client:
        return Client(Connection("http://fake"), user_agent="test", transport=self)

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        if not self.up:
            await asyncio.sleep(0.5)
            raise lost()
        answer = await self._api.request(method, path, query, headers, body)
        if not self.up:
            raise lost()
        return answer

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        if not self.up:
            raise lost()
        async for line in self._api.stream(method, path, query, headers, body):
            if not self.up:
                raise lost()
            yield line


def lost() -> ApiError:
    """The connection broke: nobody knows what became of the request."""
    return errors.Unavailable("connection reset", {"lost": True})


def _is_selected(obj: Object | None, place: Place, query: Mapping[str, str]) -> bool:
    if obj is None or (place.namespace and obj["metadata"].get("namespace") != place.namespace):
        return False
    terms = parse_field_selector(query.get("fieldSelector", ""))
    values = {name: _at(obj, name) for name in terms.names}
    labels = parse_label_selector(query.get("labelSelector", ""))
    return terms.matches(values) and labels.matches(obj["metadata"].get("labels") or {})


def _at(obj: Object, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = (value or {}).get(part)
    return str(value or "")


def _event(entry: Entry, place: Place, query: Mapping[str, str]) -> bytes | None:
    if entry.kind is not place.kind:
        return None
    was, now = _is_selected(entry.before, place, query), _is_selected(entry.after, place, query)
    if was and not now:
        last = {**(entry.before or {}), "metadata": {**(entry.before or {})["metadata"]}}
        last["metadata"]["resourceVersion"] = str(entry.revision)
        return _line("DELETED", last if entry.after else entry.last)
    return _line("MODIFIED" if was else "ADDED", entry.last) if now else None


def _line(type: str, obj: Object) -> bytes:
    return json.dumps({"type": type, "object": obj}).encode()
