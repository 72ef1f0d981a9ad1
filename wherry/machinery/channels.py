"""The channel protocol: several streams in the messages of one WebSocket, for exec, attach and port-forward.

    encode(STDOUT, b"hello") == b"\\x01hello"

Every message is binary: one byte that names the channel, then data. Exec and attach use the channels below and end with
exactly one status on `ERROR`. A port-forward of the i-th port has data on channel 2i and error text on 2i+1; the first
message of each tells the port. v5 differs from v4 in `CLOSE`, by which a client says that its stdin is at its end.

The first version, `channel.k8s.io`, has no status: a command that ends well says nothing more, and what went wrong is
plain text.

Kubernetes: `channel.k8s.io`, `v4.channel.k8s.io`, `v5.channel.k8s.io`. Differs: base64 in text messages is not spoken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
V1 = "channel.k8s.io"
EXEC_PROTOCOLS = (V5, V4, V1)
# No channels: the concatenated messages of each direction are a SPDY/3.1 connection.
SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255

# A terminal's size is 16 bits wide in every kernel.
_MAX_SIZE = 0xFFFF


class Message(NamedTuple):
    """A decoded message."""

    channel: int
    data: bytes


class TerminalSize(NamedTuple):
    """Columns and rows; zero when the client does not know."""

    width: int
    height: int


def choose_exec_protocol(offered: Iterable[str]) -> str | None:
    """The subprotocol to answer with; "" (v4 without naming it) for a client that offers none, None if none is known.

    >>> choose_exec_protocol(["v4.channel.k8s.io", "v5.channel.k8s.io"]), choose_exec_protocol([])
    ('v5.channel.k8s.io', '')
    """
    return _choose(offered, EXEC_PROTOCOLS)


def choose_port_forward_protocol(offered: Iterable[str]) -> str | None:
    """The same for port-forward, where v5 has no meaning of its own."""
    return _choose(offered, (SPDY_TUNNEL, V4))


def _choose(offered: Iterable[str], known: tuple[str, ...]) -> str | None:
    wanted = set(offered)
    return next((protocol for protocol in known if protocol in wanted), None) if wanted else ""


def encode(channel: int, data: bytes) -> bytes:
    """One message."""
    return bytes([channel]) + data


def decode(message: bytes) -> Message:
    """Channel and data of one message; ValueError for an empty one."""
    if not message:
        raise ValueError("a message of the channel protocol begins with its channel, this one is empty")
    return Message(message[0], message[1:])


def encode_close(channel: int) -> bytes:
    """What a v5 peer sends when a channel, such as stdin, is at its end."""
    return bytes([CLOSE, channel])


def closed_channel(message: Message) -> int | None:
    """The channel that a message closes; None for every other message.

    >>> closed_channel(decode(b"\\xff\\x00")), closed_channel(decode(b"\\x00data"))
    (0, None)
    """
    if message.channel != CLOSE:
        return None
    if len(message.data) != 1:
        raise ValueError(f"a CLOSE message names one channel, this one has {len(message.data)} bytes")
    return message.data[0]


def decode_resize(data: bytes) -> TerminalSize:
    """The size in a message on `RESIZE`; ValueError if there is none.

    >>> decode_resize(b'{"Width":80,"Height":24}\\n')
    TerminalSize(width=80, height=24)
    """
    size = orjson.loads(data)
    if not isinstance(size, dict):
        raise ValueError("a terminal size is an object with Width and Height")
    return TerminalSize(_side(size, "Width"), _side(size, "Height"))


def _side(size: dict[str, Any], name: str) -> int:
    cells = size.get(name, 0)
    if not isinstance(cells, int) or isinstance(cells, bool) or not 0 <= cells <= _MAX_SIZE:
        raise ValueError(f"{name} of a terminal: a number from 0 to {_MAX_SIZE} is expected, not {str(cells)[:64]!r}")
    return cells


def encode_resize(size: TerminalSize) -> bytes:
    """The data of a message on `RESIZE`."""
    return orjson.dumps({"Width": size.width, "Height": size.height}) + b"\n"


def last_words(protocol: str, status: bytes) -> bytes:
    """What stands on `ERROR` at the end of an exec in that protocol; nothing where success is not told.

    >>> last_words(V1, success_status()), last_words(V1, failure_status("it broke"))
    (b'', b'Internal error occurred: it broke')
    """
    if protocol != V1:
        return status
    told = orjson.loads(status)
    return str(told["message"]).encode() if told["status"] == "Failure" else b""


def success_status() -> bytes:
    """The end of a command that exited with 0."""
    return _status(status="Success")


def exit_status(code: int) -> bytes:
    """The end of a command that exited with `code`: success for 0, otherwise the code for the client to exit with."""
    if code == 0:
        return success_status()
    return _status(
        status="Failure",
        message=f"command terminated with non-zero exit code: exit status {code}",
        reason="NonZeroExitCode",
        details={"causes": [{"reason": "ExitCode", "message": str(code)}]},
    )


def failure_status(why: str) -> bytes:
    """The end of a command that could not be run or watched; the client shows the text and exits with 1."""
    message = f"Internal error occurred: {why}"
    details = {"causes": [{"message": why}]}
    return _status(status="Failure", message=message, reason="InternalError", details=details, code=500)


def _status(**fields: Any) -> bytes:
    return orjson.dumps({"metadata": {}, **fields})


class Outcome(NamedTuple):
    """How a command ended: its exit code, None if it could not be run, and what a failure says."""

    exit_code: int | None
    message: str = ""


def decode_status(data: bytes) -> Outcome:
    """The status that ends an exec; ValueError if the data is none.

    >>> decode_status(exit_status(7)).exit_code, decode_status(success_status())
    (7, Outcome(exit_code=0, message=''))
    """
    status = orjson.loads(data)
    if not isinstance(status, dict) or status.get("status") not in ("Success", "Failure"):
        raise ValueError("the end of an exec is a Status with Success or Failure")
    if status["status"] == "Success":
        return Outcome(0)
    message = str(status.get("message") or "")
    if status.get("reason") != "NonZeroExitCode":
        return Outcome(None, message)
    try:
        causes = {cause["reason"]: cause["message"] for cause in status["details"]["causes"]}
        return Outcome(int(causes["ExitCode"]), message)
    except (KeyError, TypeError, ValueError):
        raise ValueError("the status of a failed command does not tell its exit code") from None


def data_channel(index: int) -> int:
    """Where the data of the index-th forwarded port goes."""
    return 2 * index


def error_channel(index: int) -> int:
    """Where errors of the index-th forwarded port go."""
    return 2 * index + 1


def encode_port(port: int) -> bytes:
    """The first data on both channels of a forwarded port.

    >>> encode_port(8080)
    b'\\x90\\x1f'
    """
    return port.to_bytes(2, "little")
