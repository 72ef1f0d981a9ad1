"""How requests reach an etcd cluster: one member at a time, the next one when it does not answer.

Each endpoint has a channel of its own, so that names, IPv6 addresses and TLS server names work as in any URL. All
requests go to the same member until that fails: then a stopped member costs one timeout, not a share of all requests.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from apiserver.storage import etcd_messages as messages
from apiserver.storage.feed import closed
from apiserver.storage.opening import EtcdOptions
from apiserver.storage.store import StoreUnavailable
from wherry.client.grpc.channel import Answers, Channel
from wherry.client.grpc.codes import Code
from wherry.client.grpc.stream import CallError, CallFailed

# One attempt at one member; longer than an fsync on a bad day, shorter than clients wait.
ATTEMPT_SECONDS = 3.0
# All attempts of one request: etcd elects a new leader within about 2 s.
REQUEST_SECONDS = 12.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.25

# The member refuses what it has no leader for, at once, rather than keep us waiting in a minority.
_REQUIRE_LEADER = ("hasleader", "true")

# After these nobody knows what became of the request.
_UNANSWERED = {Code.CANCELED, Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNAVAILABLE}
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


class Unanswered(StoreUnavailable):
    """The request may have been carried out, or not, or may still be."""


class Refused(StoreUnavailable):
    """etcd said no, and did nothing; `details` are its words."""

    def __init__(self, endpoint: str, details: str) -> None:
        super().__init__(f"{endpoint}: {details}")
        self.details = details


class Method(NamedTuple):
    """A call of etcd's API."""

    path: str
    request: Any
    answer: Any


RANGE = Method("/etcdserverpb.KV/Range", messages.RangeRequest, messages.RangeResponse)
TXN = Method("/etcdserverpb.KV/Txn", messages.TxnRequest, messages.TxnResponse)
COMPACT = Method("/etcdserverpb.KV/Compact", messages.CompactionRequest, messages.CompactionResponse)
STATUS = Method("/etcdserverpb.Maintenance/Status", messages.StatusRequest, messages.StatusResponse)
_WATCH = Method("/etcdserverpb.Watch/Watch", messages.WatchRequest, messages.WatchResponse)
_AUTHENTICATE = Method("/etcdserverpb.Auth/Authenticate", messages.AuthenticateRequest, messages.AuthenticateResponse)


class Patience:
    """How long one request goes on trying, with longer and longer pauses."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + REQUEST_SECONDS
        self._pause_seconds = FIRST_PAUSE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether another attempt might end after the deadline."""
        return self._loop.time() + ATTEMPT_SECONDS > self._deadline

    async def pause(self) -> None:
        await asyncio.sleep(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)


class EtcdConnection:
    """Channels to all members, the one in use, and the token that says who we are."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        tls = _tls(options) if options.is_encrypted else None
        self._channels = [Channel(endpoint, tls, seconds=ATTEMPT_SECONDS) for endpoint in options.endpoints]
        self._watches: list[set[Answers]] = [set() for _ in self._channels]
        self._member = 0
        self._token = ""
        self._renewal = asyncio.Lock()
        self._closed = False

    async def attempt(self, method: Method, request: Any) -> Any:
        """Ask the current member once. Raises Unanswered and turns to the next member, or Refused."""
        await self._log_in()
        token = self._token
        try:
            return await self._ask(method, request)
        except Refused as refusal:
            if not token or not any(reason in refusal.details for reason in _STALE_TOKEN):
                raise
        # Refused for its token, so nothing was done: the same request may be sent again.
        await self._log_in(stale=token)
        return await self._ask(method, request)

    async def ask(self, method: Method, request: Any) -> Any:
        """Ask one member after the other, for requests that may be repeated. Raises Unanswered, Refused."""
        patience = Patience()
        while True:
            try:
                return await self.attempt(method, request)
            except Unanswered:
                if patience.is_over:
                    raise
            await patience.pause()

    @contextlib.asynccontextmanager
    async def watching(self, request: Any) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
        """Open a watch on the current member; the value reads its next response. Raises Unanswered, Refused."""
        await self._log_in()
        self._check_open()
        member = self._member
        question = messages.WatchRequest(create_request=request).SerializeToString()
        try:
            answers = await self._channels[member].listen(_WATCH.path, question, self._metadata())
        except CallError as error:
            raise self._problem(member, error) from error
        watches = self._watches[member]
        watches.add(answers)

        async def read() -> Any:
            try:
                return _WATCH.answer.FromString(await answers.read())
            except CallError as error:
                raise self._problem(member, error) from error

        try:
            yield read
        finally:
            watches.discard(answers)
            answers.close()

    def log_out(self) -> None:
        """Use another token next time: a watch does not always tell that ours is the reason why it ended."""
        self._token = ""

    def leave(self, member: int | None = None) -> None:
        """Turn to the next member, unless somebody else did so already; watches on the old one end Unanswered."""
        if member not in (None, self._member) or len(self._channels) == 1:
            return
        # A stopped member holds its streams open and silent; to resume them elsewhere is cheap.
        for answers in self._watches[self._member]:
            answers.give_up("given up for another member")
        self._member = (self._member + 1) % len(self._channels)

    async def close(self) -> None:
        self._closed = True
        for channel in self._channels:
            await channel.close()

    async def _ask(self, method: Method, request: Any) -> Any:
        self._check_open()
        member = self._member
        channel = self._channels[member]
        try:
            answer = await channel.ask(method.path, request.SerializeToString(), self._metadata())
        except CallError as error:
            raise self._problem(member, error) from error
        return method.answer.FromString(answer)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (_REQUIRE_LEADER, ("token", self._token)) if self._token else (_REQUIRE_LEADER,)

    async def _log_in(self, stale: str = "") -> None:
        """Get a token if we need one, or another one than `stale`; who comes meanwhile waits and shares it."""
        if not self._options.user or self._token not in ("", stale):
            return
        async with self._renewal:
            if self._token not in ("", stale):
                return
            request = messages.AuthenticateRequest(name=self._options.user, password=self._options.password)
            self._token = ""
            self._token = (await self._ask(_AUTHENTICATE, request)).token

    def _problem(self, member: int, error: CallError) -> StoreUnavailable:
        """What a call without an answer means; without any, the next calls go to the next member."""
        if self._closed:
            return closed()
        endpoint = self._options.endpoints[member]
        if isinstance(error, CallFailed) and error.code not in _UNANSWERED:
            return Refused(endpoint, error.details)
        self.leave(member)
        return Unanswered(f"{endpoint}: {error}")

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


def _tls(options: EtcdOptions) -> ssl.SSLContext:
    """What we trust and who we are; read once."""
    try:
        tls = ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        raise StoreUnavailable(f"etcd: {options.ca_file}: {error.strerror or error}") from error
    tls.set_alpn_protocols(["h2"])
    if options.cert_file and options.key_file:
        try:
            tls.load_cert_chain(options.cert_file, options.key_file)
        except OSError as error:
            files = f"{options.cert_file}, {options.key_file}"
            raise StoreUnavailable(f"etcd: {files}: {error.strerror or error}") from error
    return tls
