"""Which container's output a request for logs means. Pure; texts are Kubernetes' (validateContainerLogStatus)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from kubelet.runtime.base import LogRequest
from kubelet.seen import CONTAINER_STATUSES
from wherry.machinery.errors import BadRequest
from wherry.machinery.time import parse_time

Json = dict[str, Any]

_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


def log_container_id(pod_name: str, status: Json, container: str, *, previous: bool) -> str:
    """The engine's id of the container to read; BadRequest if there is no output of it."""
    known = [each for kind in CONTAINER_STATUSES for each in status.get(kind) or ()]
    found = next((entry for entry in known if entry["name"] == container), None)
    if found is None:
        raise BadRequest(f'container "{container}" in pod "{pod_name}" is not available')
    state, last = found.get("state") or {}, (found.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise BadRequest(f'previous terminated container "{container}" in pod "{pod_name}" not found')
        return _bare(last["containerID"])
    if "running" in state:
        return _bare(found["containerID"])
    if "terminated" in state:
        return _bare(state["terminated"]["containerID"])
    if last.get("containerID"):
        return _bare(last["containerID"])
    reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
    why = _WAITING.get(reason, reason)
    raise BadRequest(f'container "{container}" in pod "{pod_name}" is waiting to start: {why}')


def _bare(container_id: str) -> str:
    return container_id.partition("://")[2] or container_id


def log_request(query: Mapping[str, str], now: datetime) -> LogRequest:
    """What the query of a request asks for; BadRequest names the parameter that cannot be read."""
    since = None
    if query.get("sinceSeconds"):
        since = now - timedelta(seconds=number(query, "sinceSeconds") or 0)
    elif query.get("sinceTime"):
        try:
            since = parse_time(query["sinceTime"])
        except ValueError as error:
            raise BadRequest(f"sinceTime: {error}") from error
    stream = query.get("stream") or "All"
    streams = {"All": ("stdout", "stderr"), "Stdout": ("stdout",), "Stderr": ("stderr",)}
    if stream not in streams:
        raise BadRequest(f"stream: {stream!r} is unknown: allowed are All, Stdout, Stderr")
    return LogRequest(
        follow=flag(query, "follow"),
        tail=number(query, "tailLines"),
        since=since,
        timestamps=flag(query, "timestamps"),
        streams=streams[stream],
    )


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter, absent means no."""
    return query.get(name, "").lower() in ("1", "t", "true")


def number(query: Mapping[str, str], name: str) -> int | None:
    """A whole number of at least 0, or None if the parameter is absent."""
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdigit():
        raise BadRequest(f"{name}: {text!r} is not a number of at least 0")
    return int(text)


async def limited(pieces: AsyncIterator[bytes], limit: int | None) -> AsyncIterator[bytes]:
    """The first `limit` bytes; all of them if it is None."""
    left = limit
    async for piece in pieces:
        if left is None:
            yield piece
            continue
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return
