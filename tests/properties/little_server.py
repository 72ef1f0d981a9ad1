"""A server so small that thousands of lives fit into a test: objects, versions, watches, and whatever a network does.

The runner, its informers and the controllers run as they are over `LittleLine`; what is little is what they talk to.
It does to objects what the API server does as far as controllers notice: uids, versions, generations, conflicts,
deletion that waits for finalizers or for a kubelet, history that is forgotten.
"""

import asyncio
import bisect
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import orjson

from wherry.client.patches import merged
from wherry.client.transport import Answer
from wherry.machinery.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    InternalError,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from wherry.machinery.time import time_text
from wherry.sim.network import Faults
from wherry.sim.virtual_time import VirtualTimeLoop

Object = dict[str, Any]


class Written(NamedTuple):
    """One write: by whom ("" is the world outside the controllers), and the object before and after."""

    at: float
    actor: str
    plural: str
    key: str
    before: Object | None
    after: Object | None


class Place(NamedTuple):
    """What a path means; `key` is empty for a collection."""

    plural: str
    key: str
    subresource: str


def now_text() -> str:
    """What the server's clock says, whoever asks: a manager's may be off."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("little worlds live in virtual time")
    return time_text(loop.wall_clock())


def place_of(path: str) -> Place:
    """Where a path leads: /apis/apps/v1/namespaces/shop/deployments/web/status."""
    parts = path.strip("/").split("/")[2 if path.startswith("/api/") else 3 :]
    namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
    parts = parts[2:] if namespace else parts
    name = parts[1] if len(parts) > 1 else ""
    key = f"{namespace}/{name}" if namespace and name else name
    return Place(parts[0], key, parts[2] if len(parts) > 2 else "")


class LittleServer:
    """See the module. `is_up` False is a server that nobody reaches; `subscribers` are told of each write."""

    def __init__(self, chance: random.Random) -> None:
        self.faults = Faults()
        self._chance = chance
        self.objects: dict[tuple[str, str], Object] = {}
        self.revision, self.forgotten = 1, 0
        self.is_up = True
        self.subscribers: list[Callable[[Written], None]] = []
        # By kind: revisions, and for each of them when it was and the line that watches get.
        self.revisions: dict[str, list[int]] = {}
        self.lines: dict[str, list[tuple[float, bytes]]] = {}
        self.news: dict[str, asyncio.Event] = {}

    def of(self, plural: str) -> list[Object]:
        """All objects of a kind, by key."""
        return [obj for (found, _), obj in sorted(self.objects.items()) if found == plural]

    def get(self, plural: str, key: str) -> Object:
        """One object; raises `NotFound`."""
        if (plural, key) not in self.objects:
            raise NotFound(f'{plural} "{key}" not found')
        return self.objects[plural, key]

    def create(self, plural: str, obj: Object, actor: str = "") -> Object:
        """Store a new object."""
        key = "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))
        if (plural, key) in self.objects:
            raise AlreadyExists(f'{plural} "{key}" already exists')
        uid = f"uid-{self.revision + 1}"
        at = now_text()
        metadata = {**obj["metadata"], "uid": uid, "generation": 1, "creationTimestamp": at}
        return self._put(plural, key, _with_own_selector({**obj, "metadata": metadata}), actor)

    def change(self, plural: str, key: str, patch: Object, *, subresource: str = "", actor: str = "") -> Object:
        """Merge a patch into an object, if uid and version in it are right."""
        before = self.get(plural, key)
        meant = patch.get("metadata", {})
        for name in ("uid", "resourceVersion"):
            if name in meant and meant[name] != before["metadata"][name]:
                raise Conflict(f'{plural} "{key}": {name} is {before["metadata"][name]}, not {meant[name]}')
        part = ("metadata", "status") if subresource == "status" else ("metadata", "spec")
        after = merged(before, {field: value for field, value in patch.items() if field in part or not actor})
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"] = {**after["metadata"], "generation": before["metadata"]["generation"] + 1}
        if after["metadata"].get("deletionTimestamp") and self._may_go(plural, after):
            return self.remove(plural, key, actor)
        return self._put(plural, key, after, actor)

    def delete(self, plural: str, key: str, uid: str = "", actor: str = "") -> Object:
        """Ask for the end of an object: at once, or when nothing holds it any more."""
        before = self.get(plural, key)
        if uid and uid != before["metadata"]["uid"]:
            raise Conflict(f'{plural} "{key}" is another one')
        if before["metadata"].get("deletionTimestamp"):
            return before
        after = {**before, "metadata": {**before["metadata"], "deletionTimestamp": now_text()}}
        return self.remove(plural, key, actor) if self._may_go(plural, after) else self._put(plural, key, after, actor)

    def _may_go(self, plural: str, obj: Object) -> bool:
        """Whether nobody holds it: no finalizer, and no kubelet that ends its containers first."""
        runs = plural == "pods" and obj["spec"].get("nodeName") and obj.get("status", {}).get("phase") == "Running"
        return not obj["metadata"].get("finalizers") and not runs

    def remove(self, plural: str, key: str, actor: str = "") -> Object:
        """It is gone."""
        before = self.objects.pop((plural, key))
        self.revision += 1
        gone = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.revision)}}
        self._tell("DELETED", plural, gone)
        self._told(actor, plural, key, before, None)
        return gone

    def _put(self, plural: str, key: str, obj: Object, actor: str) -> Object:
        before = self.objects.get((plural, key))
        self.revision += 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self.revision)}
        self.objects[plural, key] = obj
        self._tell("ADDED" if before is None else "MODIFIED", plural, obj)
        self._told(actor, plural, key, before, obj)
        return obj

    def _tell(self, type: str, plural: str, obj: Object) -> None:
        self.revisions.setdefault(plural, []).append(self.revision)
        line = orjson.dumps({"type": type, "object": obj})
        self.lines.setdefault(plural, []).append((asyncio.get_running_loop().time(), line))
        if plural in self.news:
            self.news[plural].set()

    def _told(self, actor: str, plural: str, key: str, before: Object | None, after: Object | None) -> None:
        written = Written(asyncio.get_running_loop().time(), actor, plural, key, before, after)
        for subscriber in self.subscribers:
            subscriber(written)

    def transport(self, actor: str, *groups: str) -> "LittleLine":
        """The way here of one life of one process, as `wherry.sim.part` asks for it."""
        return LittleLine(self, actor, self._chance)

    def stop(self) -> None:
        """Nobody is answered, and every watch breaks."""
        self.is_up = False
        for event in self.news.values():
            event.set()

    def start(self) -> None:
        """Answer again."""
        self.is_up = True

    def forget(self) -> None:
        """As a store that compacts: whoever watched must list again."""
        self.forgotten = self.revision

    def first_after(self, plural: str, revision: int) -> int:
        """The place of the first line that is newer; raises `Expired`."""
        if revision < self.forgotten:
            raise Expired(f"too old resource version: {revision} ({self.forgotten})")
        return bisect.bisect_right(self.revisions.get(plural, []), revision)


def _with_own_selector(obj: Object) -> Object:
    """A Job's pods are found by its uid."""
    if obj["kind"] != "Job":
        return obj
    labels = {"batch.kubernetes.io/controller-uid": obj["metadata"]["uid"]}
    more = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    return merged(obj, {"spec": more})


REFUSALS: tuple[type[ApiError], ...] = (TooManyRequests, InternalError, Unavailable)


class LittleLine:
    """`wherry.client.transport.Transport` to a little server, for one life of one process."""

    def __init__(self, server: LittleServer, actor: str, chance: random.Random) -> None:
        self._server, self._actor, self._chance = server, actor, chance
        self._is_mute = False

    @property
    def faults(self) -> Faults:
        """What goes wrong now."""
        return self._server.faults

    def mute(self) -> None:
        """Nobody at this end is heard any more, and nobody hears."""
        self._is_mute = True

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Carry a request there, and its answer back."""
        await self._delay()
        if self._is_mute or not self._server.is_up or self._happens(self.faults.lose_requests):
            raise Unavailable(f"{method} {path}: connection refused")
        if self._happens(self.faults.refuse_requests):
            raise self._chance.choice(REFUSALS)(f"{method} {path}: the server is under strain")
        answer = self._served(method, place_of(path), orjson.loads(body) if body else {})
        await self._delay()
        if self._is_mute or self._happens(self.faults.lose_answers):
            raise Unavailable(f"{method} {path}: connection reset")
        return Answer(200, {}, answer)

    def _served(self, method: str, place: Place, body: Object) -> bytes:
        server, (plural, key, subresource) = self._server, place
        if plural == "events":
            items = [{"status": "Success"} for _ in body.get("items", ())]
            return orjson.dumps({"items": items})
        if method == "GET" and not key:
            listed = {"metadata": {"resourceVersion": str(server.revision)}, "items": server.of(plural)}
            return orjson.dumps(listed)
        if method == "GET":
            return orjson.dumps(server.get(plural, key))
        if method == "POST" and body["kind"] == "List":
            return orjson.dumps({"items": [self._outcome(plural, item) for item in body["items"]]})
        if method == "POST":
            return orjson.dumps(server.create(plural, body, self._actor))
        if method == "PATCH":
            return orjson.dumps(server.change(plural, key, body, subresource=subresource, actor=self._actor))
        if method == "DELETE":
            return orjson.dumps(server.delete(plural, key, body.get("preconditions", {}).get("uid", ""), self._actor))
        raise InternalError(f"{method} {place}: nobody asks for that")

    def _outcome(self, plural: str, item: Object) -> Object:
        """What became of one object of several that came together."""
        try:
            made = self._server.create(plural, item, self._actor)
        except ApiError as error:
            return error.to_status()
        return {"status": "Success", "metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        """What changes, later by what this watch lags; it breaks when chance says so."""
        loop, server, plural = asyncio.get_running_loop(), self._server, place_of(path).plural
        await self._delay()
        if self._is_mute or not server.is_up:
            raise Unavailable(f"{method} {path}: connection refused")
        lag = self._chance.uniform(0, self.faults.watch_lag_seconds)
        mean = self.faults.cut_watches_after_seconds
        ends = loop.time() + (self._chance.expovariate(1 / mean) if mean else 1e6)
        news = server.news.setdefault(plural, asyncio.Event())
        at = server.first_after(plural, int(query["resourceVersion"]))
        while not self._is_mute and server.is_up:
            lines = server.lines.get(plural, [])
            due = lines[at][0] + lag if at < len(lines) else ends
            if due > loop.time():
                if at < len(lines) and due < ends:
                    await asyncio.sleep(due - loop.time())
                else:
                    await _first(news, ends - loop.time())
            if loop.time() >= ends:
                break
            if at < len(lines) and lines[at][0] + lag <= loop.time():
                at += 1
                yield lines[at - 1][1]
                if self._happens(self.faults.repeat_events):
                    yield lines[at - 1][1]
        raise Unavailable(f"{method} {path}: connection reset")

    async def _delay(self) -> None:
        await asyncio.sleep(self._chance.uniform(*self.faults.delay_seconds))

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share


async def _first(news: asyncio.Event, seconds: float) -> None:
    """Wait for news, or so long."""
    news.clear()
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await news.wait()
    except TimeoutError:
        return
