"""One call: what came of its answer so far, and who waits for the rest.

CallError
├── NoAnswer     nobody knows whether the server did it
└── CallFailed   the server says, in words and with a code, why it did not
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

_LONGEST_CODE = 9  # digits: more are no code, and many would be no number to Python
_HEAD_BYTES = 5  # of a message: whether it is compressed, and how long it is
# What an answer may have where nobody says less.
LONGEST = 2**31 - 1


class CallError(Exception):
    """Why a call has no answer."""


class NoAnswer(CallError):
    """The connection or the call ended before the answer did."""


class CallFailed(CallError):
    """The server's own words; `code` is one of `codes.Code`, or a number of the server's own."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details or f"code {code}")
        self.code = code
        self.details = details or f"code {code}"


class Stream:
    """The client's side of a call; `window` is what it may send still, `owed` what it has received unacknowledged."""

    __slots__ = (
        *("_body", "_error", "_news", "headers", "is_over", "is_unary"),
        *("longest", "number", "owed", "unsent", "window"),
    )

    def __init__(self, number: int, window: int, *, is_unary: bool) -> None:
        self.number, self.window, self.is_unary = number, window, is_unary
        self.unsent = memoryview(b"")
        self.owed = 0
        self.longest = LONGEST
        self.headers: dict[str, str] = {}
        self.is_over = False
        self._body = bytearray()
        self._error = ""
        self._news: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for more."""
        return self._news is not None

    def take(self, data: bytes) -> None:
        """More of the answer."""
        self._body += data
        # Half an answer is nothing to somebody who waits for one.
        if self.is_unary and len(self._body) > self.longest + _HEAD_BYTES:
            self._body.clear()
            self.fail(f"the answer is longer than {self.longest} bytes")
        elif not self.is_unary:
            self._wake()

    def fail(self, why: str) -> None:
        """There will be no answer; what has come before may be read still."""
        self._error = self._error or why
        self._wake()

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self._wake()

    async def news(self) -> None:
        """Return when there is more to read, or the end."""
        if not self.is_over and not self._error:
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None

    def message(self) -> bytes | None:
        """The next whole message, or None as long as there is none. Raises CallError at the end."""
        body = self._body
        if len(body) >= _HEAD_BYTES:
            if body[0]:
                raise NoAnswer("the answer is compressed, which nobody asked for")
            end = _HEAD_BYTES + int.from_bytes(body[1:_HEAD_BYTES], "big")
            if len(body) >= end and (self.is_over or not self.is_unary):
                message = bytes(body[_HEAD_BYTES:end])
                if self.is_unary:
                    self._check()
                del body[:end]
                return message
        if self.is_over or self._error:
            self._check()
            raise NoAnswer("the answer ended early")
        return None

    def _check(self) -> None:
        """Raise CallError unless the server says that the call went well."""
        if self._error:
            raise NoAnswer(self._error)
        status = self.headers.get("grpc-status")
        if status is None or not (status.isdecimal() and len(status) <= _LONGEST_CODE):
            raise NoAnswer(f"HTTP status {self.headers.get(':status')} without a status of gRPC")
        if status != "0":
            raise CallFailed(int(status), unquote(self.headers.get("grpc-message", "")))

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
