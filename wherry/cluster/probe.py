"""Asking the API server from outside its clients: small and quick to import, for those who wait for it to be ready."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 5


class Probe:
    """One HTTPS connection with a client certificate; opened when first needed, and again when it broke.

    Paths are added to the URL's own.
    """

    def __init__(self, url: str, ca_file: Path, cert_file: Path, key_file: Path) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._root = parts.hostname or "", parts.port, parts.path
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._tls.load_cert_chain(cert_file, key_file)
        self._connection: http.client.HTTPSConnection | None = None

    def is_listening(self) -> bool:
        """Whether somebody takes connections there; nothing is asked."""
        with suppress(OSError), socket.create_connection((self._host, self._port or http.client.HTTPS_PORT), _SECONDS):
            return True
        return False

    def status(self, path: str) -> int:
        """The status of a GET, 0 where nobody answers."""
        return self._get(path)[0]

    def json(self, path: str) -> Any:
        """What a GET brought, None unless it was a success."""
        status, body = self._get(path)
        return json.loads(body) if status == http.client.OK else None

    def delete(self, path: str) -> int:
        """The status of a DELETE, 0 where nobody answers."""
        return self._ask("DELETE", path)[0]

    def _get(self, path: str) -> tuple[int, bytes]:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=_SECONDS)
        try:
            self._connection.request(method, self._root + path)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            return 0, b""
