"""The real API server in the place of FakeApi, over the simulator's network: what holds on both shows that the fake
is honest.

    api = RealApi(key_file, lag_seconds=2)
    client = api.client()

It takes the same faults. `put` and `remove` write to its store directly, as another server on the same store would.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from fake_api import Disturb, lost
from make import a_namespace, an_object

from apiserver.app import App
from apiserver.keys import folder, key
from apiserver.reading.stored import encode, with_revision
from apiserver.server import Server, Settings
from apiserver.writing.decoding import accept
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.transport import Answer, error_from
from wherry.machinery import errors
from wherry.machinery.errors import ApiError
from wherry.machinery.resource import Resource
from wherry.sim.journal import Journal
from wherry.sim.network import Faults, Line, Network

ERROR = b'{"type":"ERROR"'
NO_DELAY = Faults(delay_seconds=(0.0, 0.0))


@dataclass
class RealApi:
    """See the module, and `FakeApi` for what each of these means."""

    key_file: Path
    lag_seconds: float = 0.0
    disturb: Disturb | None = None
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._store = Journal()
        self._network = Network(None, NO_DELAY)
        self._line: Line | None = None
        self._server: asyncio.Task[None] | None = None
        self._namespaces: set[str] = set()
        self._epoch = 0

    def client(self, user_agent: str = "test") -> Client:
        return Client(Connection("https://real"), user_agent=user_agent, transport=self)

    @property
    def revision(self) -> int:
        return _at_once(self._store.revision())

    def all(self, kind: type[Resource]) -> list[Any]:
        """The stored objects of a kind, as views, by key."""
        page = _at_once(self._store.list(folder(kind.kind)))
        found = [kind.read(with_revision(entry.value, kind.kind, entry.revision)) for entry in page.entries]
        return sorted(found, key=lambda obj: obj.key)

    def writes(self, *methods: str) -> list[str]:
        """The requests that were writes, less those about events."""
        methods = methods or ("POST", "PUT", "PATCH", "DELETE")
        return [line for line in self.requests if line.split()[0] in methods and "/events" not in line]

    def cut(self) -> None:
        """Break every open stream."""
        self._epoch += 1
        if self._line is not None:
            self._line.cut()
            self._line = None

    def compact(self) -> None:
        """Forget the history; the server, which remembers the last of it, is started anew."""
        _at_once(self._store.compact(self.revision))
        if self._server is not None:
            self._server.cancel()
            self._network.cut()
            self._server = None

    def put(self, view: Resource, *, status: dict[str, Any] | None = None) -> Any:
        """Store what a builder made, or another version of it; gives it as stored."""
        if view.metadata.namespace:
            self._open(view.metadata.namespace)
        kind, draft = view.kind, view.to_wire()
        if status is not None:
            draft["status"] = status
        filled = accept(orjson.loads(encode(draft, kind)), type(view), validation="Ignore", warnings=[])
        value = encode(filled, kind)
        where = key(kind, view.metadata.namespace, view.metadata.name)
        entry = _at_once(self._store.get(where))
        written = _at_once(self._store.put(where, value, expected=entry.revision if entry else 0))
        return type(view).read(with_revision(value, kind, written.revision))

    def remove(self, view: Resource) -> None:
        """Take an object away, whatever its finalizers say."""
        where = key(view.kind, view.metadata.namespace, view.metadata.name)
        entry = _at_once(self._store.get(where))
        _at_once(self._store.delete(where, expected=entry.revision if entry else 0))

    def _open(self, namespace: str) -> None:
        """Pods are admitted where there is a namespace with a default account."""
        if namespace not in self._namespaces:
            self._namespaces.add(namespace)
            self.put(a_namespace(namespace))
            self.put(an_object("ServiceAccount", "default", namespace=namespace))

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        self.requests.append(f"{method} {path}")

        async def perform() -> Answer:
            answer = await (await self._reach()).request(method, path, query, headers, body)
            if answer.status >= 400:
                raise error_from(answer.status, answer.headers, answer.body)
            return answer

        try:
            await asyncio.sleep(0.001)
            answer = await (self.disturb(method, path, perform) if self.disturb else perform())
        except ApiError as error:
            if isinstance(error, errors.Unavailable) and error.details == {"lost": True}:
                raise
            return Answer(error.code, {}, orjson.dumps(error.to_status()))
        return answer if isinstance(answer, Answer) else Answer(200, {}, orjson.dumps(answer))

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        self.requests.append(f"WATCH {path}")

        async def perform() -> None:
            await self._reach()

        await (self.disturb("WATCH", path, perform) if self.disturb else perform())
        line, epoch = await self._reach(), self._epoch
        came: asyncio.Queue[tuple[float, bytes | ApiError | None]] = asyncio.Queue()
        pumping = asyncio.create_task(_pump(line.stream(method, path, query, headers, body), came.put_nowait))
        try:
            while True:
                at, event = await came.get()
                await self._lag(at, event, epoch)
                if self._epoch != epoch:
                    raise lost()
                if event is None:
                    return
                if isinstance(event, ApiError):
                    raise event
                yield event
        finally:
            pumping.cancel()

    async def _lag(self, at: float, event: bytes | ApiError | None, epoch: int) -> None:
        """Let what came then wait, as long as the stream holds; bad news travel at once."""
        time, is_error = asyncio.get_running_loop().time, isinstance(event, bytes) and event.startswith(ERROR)
        while not is_error and self._epoch == epoch and time() < at + self.lag_seconds:  # noqa: ASYNC110  # may change
            await asyncio.sleep(min(at + self.lag_seconds - time(), 0.1))

    async def _reach(self) -> Line:
        """The line to the server, which starts when it is first needed."""
        if self._server is None:
            self._open("default")
            server = Server(self._store, Settings(self.key_file), now=clock.now, random=clock.randomness())
            self._network.app = App(server)
            self._server = asyncio.create_task(server.run())
            while server.health.pending:  # noqa: ASYNC110  # its health has no event
                await asyncio.sleep(0)
        if self._line is None:
            self._line = self._network.transport("admin", "system:masters")
        return self._line


async def _pump(lines: AsyncIterator[bytes], tell: Callable[[tuple[float, bytes | ApiError | None]], None]) -> None:
    time = asyncio.get_running_loop().time
    try:
        async for line in lines:
            tell((time(), line))
        tell((time(), None))
    except ApiError as error:
        tell((time(), error))


def _at_once(call: Awaitable[Any]) -> Any:
    """The result of a store in memory, which never waits for anything but its watchers."""
    coroutine = call.__await__()
    while True:
        try:
            next(coroutine)
        except StopIteration as stop:
            return stop.value
