"""Clients that work on a few objects at once, through one server or several, and write down every answer."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import Any, NamedTuple

import aiohttp

from tests.faults.api_process import MAPS, ApiProcess, call
from tests.faults.linearisability import Operation

VERBS = {"get": 30, "list": 2, "create": 15, "update": 40, "delete": 13}
_REFUSALS = {(409, "AlreadyExists"): "exists", (409, "Conflict"): "conflict", (404, "NotFound"): "absent"}


class Door(NamedTuple):
    """A way to a server. `ask` takes method, path and body and gives status and body, or None without an answer;
    `opens` returns when the server answers again.
    """

    ask: Callable[[str, str, Any], Awaitable[Any]]
    opens: Callable[[], Awaitable[None]]

    @classmethod
    def to(cls, server: ApiProcess, session: aiohttp.ClientSession) -> Door:
        async def ask(method: str, path: str, body: Any) -> Any:
            return await call(session, method, server.url + path, body)

        return cls(ask, lambda: server.ready(session))


class Historians:
    """All of them, and the history of each object."""

    def __init__(self, doors: list[Door], names: int, seed: int) -> None:
        self._doors = doors
        self._names = [f"object-{number}" for number in range(names)]
        self._chance = Random(seed)
        self._revisions: dict[str, int] = {}  # the last that anybody saw
        self.histories: dict[str, list[Operation]] = defaultdict(list)
        self.operations = 0

    async def work(self, clients: int, operations: int) -> None:
        """Until so many operations are done."""

        async def client(number: int) -> None:
            while self.operations < operations:
                self.operations += 1
                await self._one(number)

        await asyncio.gather(*map(client, range(clients)))

    async def _one(self, client: int) -> None:
        verb = self._chance.choices(list(VERBS), list(VERBS.values()))[0]
        door, name = self._chance.choice(self._doors), self._chance.choice(self._names)
        if verb == "list":
            return await self._list(door, client)
        value = f"{client}-{self.operations}" if verb in ("create", "update") else ""
        expected = 0
        if verb in ("update", "delete") and self._chance.random() < 0.8:
            expected = self._revisions.get(name, 0)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await _asked(door, verb, name, value, expected)
        asked = Operation(begun, loop.time(), verb, "done", value, 0, expected, client)
        if verb != "get" or _is_answer(answer):
            self.histories[name].append(self._told(asked, name, answer))
        if not _is_answer(answer):
            # One doubt per client is enough: each doubles what may have happened.
            await door.opens()
        return None

    def _told(self, asked: Operation, name: str, answer: Any) -> Operation:
        if not _is_answer(answer):
            return asked._replace(ended=inf, outcome="unknown")
        status, body = answer
        if status not in (200, 201):
            return asked._replace(outcome=_REFUSALS[status, body["reason"]], value="")
        if asked.verb == "delete":
            return asked
        value, self._revisions[name] = _seen(body)
        return asked._replace(value=value, revision=self._revisions[name])

    async def _list(self, door: Door, client: int) -> None:
        """A read of every object at once."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await door.ask("GET", MAPS, None)
        ended = loop.time()
        if not _is_answer(answer):
            return
        items = (item for item in answer[1]["items"] if item["metadata"]["name"] in self._names)
        present = {item["metadata"]["name"]: _seen(item) for item in items}
        for name in self._names:
            read = Operation(begun, ended, "get", "done" if name in present else "absent", client=client)
            value, revision = present.get(name, ("", 0))
            self.histories[name].append(read._replace(value=value, revision=revision))


async def _asked(door: Door, verb: str, name: str, value: str, expected: int) -> Any:
    version = {"resourceVersion": str(expected)} if expected else {}
    body = {"metadata": {"name": name, **version}, "data": {"value": value}}
    if verb == "create":
        return await door.ask("POST", MAPS, body)
    if verb == "update":
        return await door.ask("PUT", f"{MAPS}/{name}", body)
    if verb == "delete":
        return await door.ask("DELETE", f"{MAPS}/{name}", {"preconditions": version})
    return await door.ask("GET", f"{MAPS}/{name}", None)


def _seen(body: Any) -> tuple[str, int]:
    return body["data"]["value"], int(body["metadata"]["resourceVersion"])


def _is_answer(answer: Any) -> bool:
    """Whether somebody said what happened: no connection says nothing, and a 5xx may have written all the same."""
    return answer is not None and answer[0] < 500
