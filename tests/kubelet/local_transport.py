"""A client's way to an API server inside the test, without a socket."""

from collections.abc import AsyncIterator, Mapping

from tests.apiserver.local_api import Api
from wherry.client.transport import Answer, error_from
from wherry.machinery.errors import Unavailable


class LocalTransport:
    """Implements `wherry.client.transport.Transport` for one user. Differs: watches are an administrator's."""

    def __init__(self, api: Api, user: str, groups: tuple[str, ...]) -> None:
        self._api, self._user, self._groups = api, user, groups
        self.is_cut = False

    def _check(self) -> None:
        if self.is_cut:
            raise Unavailable("the API server is away")

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        self._check()
        answer = await self._api.request(
            method, path, body, query=dict(query), headers=dict(headers), user=self._user, groups=self._groups
        )
        return Answer(answer.status, dict(answer.headers), answer.body)

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        self._check()
        wanted = {key: value for key, value in query.items() if key != "watch"}
        async with self._api.watch(path, user=self._user, **wanted) as stream:
            started = await stream.started
            rest = b""
            while chunk := await stream.chunks.get():
                self._check()
                if started.status >= 400:
                    raise error_from(started.status, dict(started.headers), chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
