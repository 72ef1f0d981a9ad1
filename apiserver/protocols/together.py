"""A head waits for its body, so that a short answer is one TLS record and one packet.

uvicorn writes them one after the other. Each write costs a record and a call of the kernel: a fifth of a small GET.
"""

from __future__ import annotations

import asyncio
from typing import Any

# The longest record of TLS: what is longer fills several anyway.
RECORD_BYTES = 16 * 1024


class Together:
    """A transport on which the first write after `expect_head` waits for the next one, or for the end of the turn.

    All else is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.is_closing = transport.is_closing
        self._loop = loop
        self._is_head_next = False
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def expect_head(self) -> None:
        """The next that is written begins an answer."""
        self._is_head_next = True

    def write(self, data: bytes) -> None:
        """Write at once, except for a head."""
        if self._is_head_next:
            self._is_head_next = False
            self._head = data
            self._loop.call_soon(self._wait_no_longer)
        elif self._head and len(data) < RECORD_BYTES:
            head, self._head = self._head, b""
            self.transport.write(head + data)
        else:
            self._wait_no_longer()
            self.transport.write(data)

    def close(self) -> None:
        """Write what waits, and close."""
        self._wait_no_longer()
        self.transport.close()

    def _wait_no_longer(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.transport.write(head)
