"""One connection of HTTP/2 and the calls that share it, from the side of the client.

What is sent in one turn of the event loop leaves in one write. Headers that come are remembered by their bytes, since
we ask the server to keep no table of them: all answers but refusals have the same ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from hpack import Decoder
from hpack.exceptions import HPACKError

from wherry.client.grpc import frames
from wherry.client.grpc.frames import LAST_STREAM, ProtocolError
from wherry.client.grpc.stream import NoAnswer, Stream

# Who reads slower than a server sends holds no more than this in memory, of each stream.
STREAM_WINDOW = 4 * 1024 * 1024
# The connection's own window limits nothing; it is filled up when half of it is gone.
_HALF_WINDOW = frames.LARGEST_WINDOW // 2
# etcd closes connections that ping more often than every 5 s (--grpc-keepalive-min-time).
QUIET_SECONDS, PING_SECONDS = 6.0, 2.0
_LONGEST_HEADERS = 65_536
_MOST_BLOCKS = 64
_TABLE_SIZE_UPDATE = 0x20
_CLOSED, _LEAVING = "the connection was closed", "the server is going away"

_HELLO = (
    frames.PREFACE
    + frames.settings({frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW})
    + frames.window_update(0, frames.LARGEST_WINDOW - frames.FIRST_WINDOW)
)


class Connection(asyncio.Protocol):
    """Frames in and out. Whoever opens a stream closes it with `forget`, however the call ended."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, Stream] = {}
        self._next_stream = 1
        self._is_leaving = False
        self._ended_why = _CLOSED
        self._unread = b""
        self._unsent: list[bytes] = []
        # Streams whose data waits for a window, and calls that wait for a stream.
        self._held: dict[int, Stream] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._window = self._first_window = frames.FIRST_WINDOW
        self._longest_frame = frames.LONGEST_FRAME
        self._most_streams = frames.LAST_STREAM
        self._received = 0
        self._headers_of: Stream | None = None
        self._block = b""
        self._block_flags = 0
        self._decoder = Decoder()
        self._known_blocks: dict[bytes, dict[str, str]] = {}
        self._heard_at = self._pinged_at = self._loop.time()
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def is_usable(self) -> bool:
        """Whether new calls may begin here."""
        return not self._is_leaving and not self.lost.done()

    async def open(self, block: bytes, message: bytes, *, is_unary: bool, seconds: float) -> Stream:
        """Begin a call: its headers and its one message. Raises NoAnswer, also if its turn does not come in time."""
        if self._is_full:
            try:
                async with asyncio.timeout(seconds):
                    while self._is_full:
                        await self._turn()
            except TimeoutError:
                raise NoAnswer(f"the server took no further call within {seconds:g} s") from None
        if not self.is_usable:
            raise NoAnswer(self._ended_why)
        number = self._next_stream
        self._next_stream += 2
        self._is_leaving = self._next_stream > LAST_STREAM
        stream = self._streams[number] = Stream(number, self._first_window, is_unary=is_unary)
        self._send(frames.frame(frames.HEADERS, frames.END_HEADERS, number, block))
        stream.unsent = memoryview(b"\0" + len(message).to_bytes(4, "big") + message)
        self._push(stream)
        return stream

    @property
    def _is_full(self) -> bool:
        return len(self._streams) >= self._most_streams and self.is_usable

    async def _turn(self) -> None:
        """Wait until a call is over: the server does not want more of them at once."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._let_next_begin()
            raise

    def forget(self, stream: Stream) -> None:
        """The call is over for us; the server is told unless it is over there as well."""
        if self._streams.pop(stream.number, None) is None:
            return
        self._held.pop(stream.number, None)
        if not stream.is_over and not self.lost.done():
            self._send(frames.frame(frames.RESET, 0, stream.number, frames.NUMBER.pack(frames.CANCEL)))
        self._let_next_begin()

    def read_on(self, stream: Stream) -> None:
        """What came on the stream has been read: more may come."""
        if stream.owed >= STREAM_WINDOW // 2 and not stream.is_over:
            self._send(frames.window_update(stream.number, stream.owed))
            stream.owed = 0

    def close(self, why: str = _CLOSED) -> None:
        """End it at once, and all its calls."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_HELLO)
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._unread:
            data = self._unread + data
        at, end = 0, len(data)
        try:
            while end - at >= frames.HEAD_BYTES:
                length, kind, flags, number = frames.head_at(data, at)
                if length > frames.LONGEST_FRAME:
                    raise ProtocolError("what it says is no HTTP/2")
                begin, after = at + frames.HEAD_BYTES, at + frames.HEAD_BYTES + length
                if after > end:
                    break
                self._take(kind, flags, number, data[begin:after])
                at = after
        except (ProtocolError, HPACKError) as error:
            self.close(str(error))
        self._unread = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error) if error else _CLOSED)
        if self._watchdog is not None:
            self._watchdog.cancel()

    # What comes

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if (kind == frames.CONTINUATION) != (self._headers_of is not None):
            raise ProtocolError("headers that were not finished, or not begun")
        if kind == frames.DATA:
            self._take_data(flags, self._streams.get(number), payload)
        elif kind == frames.HEADERS:
            self._block_flags = flags
            self._take_headers(flags, number, frames.content(payload, flags))
        elif kind == frames.CONTINUATION:
            self._take_headers(flags, number, self._block + payload)
        elif number:
            self._take_of_stream(kind, self._streams.get(number), payload)
        else:
            self._take_of_connection(kind, flags, payload)

    def _take_data(self, flags: int, stream: Stream | None, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > _HALF_WINDOW:
            self._send(frames.window_update(0, self._received))
            self._received = 0
        if stream is None:
            return
        stream.owed += len(payload)
        stream.take(frames.content(payload, flags & frames.PADDED) if flags & frames.PADDED else payload)
        if flags & frames.END_STREAM:
            self._finish(stream)
        elif stream.is_awaited:
            self.read_on(stream)

    def _take_headers(self, flags: int, number: int, block: bytes) -> None:
        stream = self._headers_of = self._headers_of or self._streams.get(number) or Stream(number, 0, is_unary=True)
        if stream.number != number or len(block) > _LONGEST_HEADERS:
            raise ProtocolError("headers without an end")
        self._block = block
        if not flags & frames.END_HEADERS:
            return
        self._headers_of, self._block = None, b""
        # Decompressed even where nobody waits for them: the next ones may lean on these.
        stream.headers |= self._headers_in(block)
        if self._block_flags & frames.END_STREAM:
            self._finish(stream)

    def _headers_in(self, block: bytes) -> dict[str, str]:
        known = self._known_blocks.get(block)
        if known is None:
            known = cast(dict[str, str], dict(self._decoder.decode(block)))
            # A server that keeps a table all the same may mean something else by the same bytes next time.
            if block and block[0] & 0xE0 != _TABLE_SIZE_UPDATE and not self._decoder.header_table.dynamic_entries:
                if len(self._known_blocks) >= _MOST_BLOCKS:
                    self._known_blocks.clear()
                self._known_blocks[block] = known
        return known

    def _take_of_stream(self, kind: int, stream: Stream | None, payload: bytes) -> None:
        if kind == frames.PUSH_PROMISE:
            raise ProtocolError("a push that was not allowed")
        if stream is None:
            return
        if kind == frames.RESET:
            (code,) = frames.NUMBER.unpack(payload[:4].rjust(4, b"\0"))
            stream.fail(f"the call was ended with code {code}")
            self._finish(stream)
        elif kind == frames.WINDOW_UPDATE:
            stream.window += _number(payload)
            if stream.number in self._held:
                self._push(stream)

    def _take_of_connection(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == frames.PING and not flags & frames.ACK:
            self._send(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE:
            self._window += _number(payload)
            self._push_all()
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._obey(payload)
            self._send(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif kind == frames.GOAWAY:
            self._is_leaving, self._ended_why = True, _LEAVING
            last, why = _number(payload), payload[8:].decode(errors="replace")
            for stream in [stream for number, stream in self._streams.items() if number > last]:
                stream.fail(why or _LEAVING)
                self._finish(stream)
            self._let_all_begin()  # to be told so
            self._close_if_left()

    def _obey(self, payload: bytes) -> None:
        if len(payload) % frames.SETTING.size:
            raise ProtocolError("half a setting")
        for name, value in frames.SETTING.iter_unpack(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._first_window
                self._first_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self._longest_frame = value
            elif name == frames.MAX_CONCURRENT_STREAMS:
                self._most_streams = value
                for _ in range(min(value, len(self._waiting))):
                    self._let_next_begin()
        self._push_all()

    def _finish(self, stream: Stream) -> None:
        """The server has said its last word on the stream."""
        stream.end()
        self._held.pop(stream.number, None)
        if self._streams.pop(stream.number, None) is not None:
            # It refused before it had heard everything: what it has not heard it need not wait for.
            if stream.unsent and not self.lost.done():
                self._send(frames.frame(frames.RESET, 0, stream.number, frames.NUMBER.pack(frames.CANCEL)))
            self._let_next_begin()

    def _let_next_begin(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        self._close_if_left()

    def _let_all_begin(self) -> None:
        while self._waiting:
            self._let_next_begin()

    def _close_if_left(self) -> None:
        if self._is_leaving and not self._streams and not self.lost.done():
            self.close()

    def _end(self, why: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(None)
        self._ended_why = why
        for stream in list(self._streams.values()):
            stream.fail(why)
            self._finish(stream)
        self._let_all_begin()

    # What goes

    def _send(self, data: bytes) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(data)

    def _flush(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _push_all(self) -> None:
        for stream in list(self._held.values()):
            self._push(stream)

    def _push(self, stream: Stream) -> None:
        """Send as much of its message as the windows allow."""
        while stream.unsent:
            size = min(len(stream.unsent), stream.window, self._window, self._longest_frame)
            if size <= 0:
                self._held[stream.number] = stream
                return
            data, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            stream.window -= size
            self._window -= size
            # A stream of answers is not finished after the question, which might be taken for the end of it.
            flags = frames.END_STREAM if stream.is_unary and not stream.unsent else 0
            self._send(frames.frame(frames.DATA, flags, stream.number, data))
        self._held.pop(stream.number, None)

    # Whether anybody is there

    def _watch(self) -> None:
        """Ask a server that has been quiet for long, and leave one that does not answer."""
        now = self._loop.time()
        pause = self._heard_at + QUIET_SECONDS - now
        if not self._streams:
            pause = QUIET_SECONDS
        elif pause <= 0 and self._pinged_at > self._heard_at:
            self.close("no answer to a ping")
            return
        elif pause <= 0:
            self._send(frames.frame(frames.PING, 0, 0, bytes(8)))
            self._pinged_at, pause = now, PING_SECONDS
        self._watchdog = self._loop.call_later(pause, self._watch)


def _number(payload: bytes) -> int:
    if len(payload) < 4:
        raise ProtocolError("a number that is cut short")
    return int(frames.NUMBER.unpack_from(payload)[0]) & frames.LAST_STREAM
