"""How requests reach an etcd cluster: one member at a time, the next one when it does not answer.

Each endpoint has a channel of its own, so that names, IPv6 addresses and TLS server names work as in any URL. All
requests go to the same member until that fails: then a stopped member costs one timeout, not a share of all requests.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from apiserver.storage import etcd_messages as messages
from apiserver.storage.feed import closed
from apiserver.storage.opening import EtcdOptions
from apiserver.storage.store import StoreUnavailable

# One attempt at one member; longer than an fsync on a bad day, shorter than clients wait.
ATTEMPT_SECONDS = 3.0
# All attempts of one request: etcd elects a new leader within about 2 s.
REQUEST_SECONDS = 12.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.25

_CHANNEL_OPTIONS = [
    # Answers are bounded by our own page sizes, not by gRPC's 4 MiB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # etcd closes connections that ping more often than every 5 s (--grpc-keepalive-min-time).
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    # Members are told apart by address: no proxy from the environment, no connection shared with another store.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]

# The member refuses what it has no leader for, at once, rather than keep us waiting in a minority.
_REQUIRE_LEADER = ("hasleader", "true")

# After these nobody knows what became of the request.
_UNANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}
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
        credentials = _credentials(options) if options.is_encrypted else None
        self._channels = [_channel(endpoint, credentials) for endpoint in options.endpoints]
        self._watches: list[set[Any]] = [set() for _ in self._channels]
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
        call = self._channels[member].stream_stream(
            _WATCH.path, _WATCH.request.SerializeToString, _WATCH.answer.FromString
        )(_kept_open(messages.WatchRequest(create_request=request)), metadata=self._metadata())
        responses = aiter(call)
        watches = self._watches[member]
        watches.add(call)

        async def read() -> Any:
            with self._translated(member):
                return await anext(responses)

        try:
            yield read
        finally:
            watches.discard(call)
            call.cancel()

    def log_out(self) -> None:
        """Use another token next time: a watch does not always tell that ours is the reason why it ended."""
        self._token = ""

    def leave(self, member: int | None = None) -> None:
        """Turn to the next member, unless somebody else did so already; watches on the old one end Unanswered."""
        if member not in (None, self._member) or len(self._channels) == 1:
            return
        # A stopped member holds its streams open and silent; to resume them elsewhere is cheap.
        for call in self._watches[self._member]:
            call.cancel()
        self._member = (self._member + 1) % len(self._channels)

    async def close(self) -> None:
        self._closed = True
        for channel in self._channels:
            await channel.close()

    async def _ask(self, method: Method, request: Any) -> Any:
        self._check_open()
        member = self._member
        call = self._channels[member].unary_unary(
            method.path, method.request.SerializeToString, method.answer.FromString
        )
        with self._translated(member):
            return await call(request, timeout=ATTEMPT_SECONDS, metadata=self._metadata())

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

    @contextlib.contextmanager
    def _translated(self, member: int) -> Iterator[None]:
        endpoint = self._options.endpoints[member]
        try:
            yield
        except grpc.aio.AioRpcError as error:
            details = error.details() or error.code().name
            if error.code() not in _UNANSWERED:
                raise Refused(endpoint, details) from error
            self.leave(member)
            raise Unanswered(f"{endpoint}: {details}") from error
        except StopAsyncIteration:
            self.leave(member)
            raise Unanswered(f"{endpoint}: the watch was ended") from None
        except asyncio.CancelledError:
            # gRPC says the same when the call was cancelled, by `leave` or `close`, and the task was not.
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            self._check_open()
            raise Unanswered(f"{endpoint}: given up for another member") from None

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


async def _kept_open(request: Any) -> AsyncIterator[Any]:
    """A stream of one request that is not finished after it, as etcd might take that for the end of the watch."""
    yield request
    await asyncio.Event().wait()


def _channel(endpoint: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    target = endpoint.split("://")[1].rstrip("/")
    if credentials:
        return grpc.aio.secure_channel(target, credentials, _CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(target, _CHANNEL_OPTIONS)


def _credentials(options: EtcdOptions) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_content(options.ca_file),
        private_key=_content(options.key_file),
        certificate_chain=_content(options.cert_file),
    )


def _content(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise StoreUnavailable(f"etcd: {file}: {error.strerror}") from error
