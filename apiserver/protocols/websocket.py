"""WebSocket: uvicorn's protocol on wsproto.

The `websockets` package refuses the subprotocol of `kubectl port-forward`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from apiserver.protocols.http import tls_of


class WebSocketProtocol(WSProtocol):
    """WebSocket with two extensions in the scope: `tls`, and `abort`, which ends the connection at once."""

    _tls: dict[str, Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the certificate of this connection."""
        super().connection_made(transport)
        self._tls = tls_of(transport)

    def handle_connect(self, event: Any) -> None:
        """The scope exists now; the app's task has not run yet."""
        super().handle_connect(event)
        if not hasattr(self, "scope"):
            return
        extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
        extensions["abort"] = self.transport.abort
        if self._tls is not None:
            extensions["tls"] = self._tls
