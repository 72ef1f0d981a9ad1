"""A client that speaks SPDY/3.1 itself, as kubectl before 1.31 does."""

import base64
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Self

import yaml

from wherry.machinery.spdy import Data, Spdy


class SpdyClient:
    """One connection: `open` streams, `say` something, `hear` all that comes until every stream has ended."""

    def __init__(self, kubeconfig: Path, path: str, protocol: str) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        plain = socket.create_connection((host, int(port)), timeout=30)
        self._socket = _context(cluster, user).wrap_socket(plain, server_hostname=host)
        self._spdy, self._streams = Spdy(), dict[int, str]()
        lines = (
            f"POST {path} HTTP/1.1",
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: SPDY/3.1",
            "Content-Length: 0",
        )
        versions = (f"X-Stream-Protocol-Version: {each}" for each in (protocol, "channel.k8s.io"))
        self._socket.sendall("\r\n".join((*lines, *versions, "", "")).encode())
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self._socket.recv(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def open(self, **headers: str) -> int:
        """A stream of that type."""
        number = 2 * len(self._streams) + 1
        self._streams[number] = headers["streamtype"]
        self._socket.sendall(self._spdy.open(number, headers))
        return number

    def say(self, stream: int, data: bytes) -> None:
        """All that there is to say on a stream."""
        self._socket.sendall(self._spdy.data(stream, data, is_last=True))

    def hear(self, *types: str) -> dict[str, bytes]:
        """All that comes on the streams of these types."""
        heard, open_ = dict.fromkeys(types, b""), set(types)
        while open_:
            for frame in self._spdy.feed(self._socket.recv(65536)):
                if isinstance(frame, Data):
                    kind = self._streams[frame.stream_id]
                    heard[kind] = heard.get(kind, b"") + frame.data
                    open_ -= {kind} if frame.is_last else set()
        return heard


def _context(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as file:
        for entry in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[entry]))
        file.flush()
        context.load_cert_chain(file.name)
    return context
