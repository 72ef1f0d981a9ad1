"""The forms in which objects leave: themselves, rows of a Table, metadata only; one at a time, in lists and in
watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import orjson

from apiserver.fairness.slices import others_first
from apiserver.reading.conversion import is_converted, whole_to_client
from apiserver.reading.negotiation import Representation
from apiserver.reading.stored import Stored, head_of, metadata_of
from apiserver.reading.table import partial, table_columns, table_rows
from apiserver.reading.watchers import Frame, json_frame
from wherry.machinery import protobuf
from wherry.machinery.resource import Resource

Item = TypeVar("Item")

# Objects of a list that are encoded before others get their turn: a millisecond.
ENCODED_AT_A_TIME = 16
# The same for those of which a part is taken, and for those that are there as they are.
SHORTENED_AT_A_TIME = 512
LISTED_AT_A_TIME = 4096
# From here on the body of a list stays in pieces. Those that need not be encoded are the cache's own, so that slow
# readers of lists take no memory. No audit log takes one that is as long.
LONG_BYTES = 4 * 1024 * 1024


def one(cls: type[Resource], whole: bytes, representation: Representation, now: datetime, include: str = "") -> bytes:
    """One object in the wanted form."""
    if representation.form == "Table":
        metadata = orjson.loads(metadata_of(whole))
        rows = table_rows(cls, [whole], representation, now, include)
        return _table(cls, rows, {"resourceVersion": metadata.get("resourceVersion", "")}, representation)
    return partial(whole, representation) if representation.is_partial else whole


def many(
    cls: type[Resource],
    items: Iterable[bytes],
    metadata: dict[str, Any],
    representation: Representation,
    now: datetime,
    include: str = "",
) -> bytes:
    """A list in the wanted form. Items are the stored bytes, joined, not decoded; custom ones say what they are."""
    if representation.form == "Table":
        return _table(cls, table_rows(cls, items, representation, now, include), metadata, representation)
    items = _shown(cls, items, representation)
    return b"".join((_head(cls, metadata, representation), b",".join(items), b"]}"))


async def many_in_pieces(
    cls: type[Resource],
    items: Iterable[bytes],
    metadata: dict[str, Any],
    representation: Representation,
    now: datetime,
    include: str = "",
) -> list[bytes]:
    """The same, and others get their turn while it is made: a head, some values, a comma, some values ..., an end."""
    if representation.form != "Table":
        at_a_time = SHORTENED_AT_A_TIME if representation.is_partial or cls.kind.is_custom else LISTED_AT_A_TIME
        return await _listed(_head(cls, metadata, representation), _shown(cls, items, representation), at_a_time)
    pieces = [_table(cls, [], metadata, representation)[:-2]]
    for some in some_at_a_time(items, ENCODED_AT_A_TIME):
        rows = orjson.dumps(table_rows(cls, some, representation, now, include))[1:-1]
        if len(pieces) > 1:
            pieces.append(b",")
            await others_first()
        pieces.append(rows)
    pieces.append(b"]}")
    return pieces


async def _listed(head: bytes, items: Iterable[bytes], at_a_time: int) -> list[bytes]:
    pieces = [head]
    for some in some_at_a_time(items, at_a_time):
        if len(some) == at_a_time or len(pieces) > 1:
            await others_first()
        for item in some:
            pieces += (item, b",")
    if len(pieces) > 1:
        pieces.pop()
    pieces.append(b"]}")
    return pieces


def some_at_a_time(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """The items, at most `count` of them together."""
    left = iter(items)
    while some := list(islice(left, count)):
        yield some


def _shown(cls: type[Resource], items: Iterable[bytes], representation: Representation) -> Iterable[bytes]:
    """The items as they stand in a list; those of custom kinds say what they are."""
    if representation.is_partial:
        return (partial(item, representation) for item in items)
    if cls.kind.is_custom:
        opening = head_of(cls.kind)[:-12]
        return (opening + item[1:] for item in items)
    return items


def _head(cls: type[Resource], metadata: dict[str, Any], representation: Representation) -> bytes:
    kind, version = cls.kind.list_kind, cls.kind.api_version
    if representation.is_partial:
        kind, version = "PartialObjectMetadataList", representation.api_version
    head = b'{"kind":"%s","apiVersion":"%s","metadata":' % (kind.encode(), version.encode())
    return b'%b%b,"items":[' % (head, orjson.dumps(metadata))


async def many_in_protobuf(
    cls: type[Resource], items: Iterable[bytes], metadata: dict[str, Any], representation: Representation
) -> list[bytes]:
    """The same as a protobuf body. Others get their turn while it is made: it takes longer than to join JSON."""
    kind, version = cls.kind.name, cls.kind.api_version
    if representation.is_partial:
        kind, version = "PartialObjectMetadata", representation.api_version
        items = (partial(item, representation) for item in items)
    pieces: list[bytes] = []
    for some in some_at_a_time(items, ENCODED_AT_A_TIME):
        if pieces:
            await others_first()
        pieces.append(b"".join(protobuf.listed(protobuf.contents(version, kind, orjson.loads(item))) for item in some))
    head, end = protobuf.around_list(version, f"{kind}List", metadata, sum(map(len, pieces)))
    return in_one_if_short([head, *pieces, end])


def in_one_if_short(pieces: list[bytes]) -> list[bytes]:
    """The pieces of a body, or one piece if it is not long."""
    return pieces if sum(map(len, pieces)) > LONG_BYTES else [b"".join(pieces)]


def _table(
    cls: type[Resource], rows: list[dict[str, Any]], metadata: dict[str, Any], representation: Representation
) -> bytes:
    return orjson.dumps(
        {
            "kind": "Table",
            "apiVersion": representation.api_version,
            "metadata": metadata,
            "columnDefinitions": table_columns(cls),
            "rows": rows,
        }
    )


def watch_frame(cls: type[Resource], representation: Representation, now: Any, include: str = "") -> Frame:
    """How events are framed for a watch in this form. `now` is a function: rows say how old things are."""
    if representation.form == "Table":
        return _TableFrame(cls, representation, now, include)
    if representation.is_partial:
        return lambda type, stored: event_of(type, partial(stored.item, representation), representation)
    if is_converted(cls) or representation.is_protobuf:

        def converted(type: str, stored: Stored) -> bytes:
            return event_of(type, whole_to_client(stored.whole(cls.kind), cls), representation)

        return converted
    return json_frame(cls.kind)


def event_of(type: str, body: bytes, representation: Representation) -> bytes:
    """One event of a watch; `body` is the JSON of its object in the wanted form."""
    if representation.is_protobuf:
        return protobuf.event(type, protobuf.encode(orjson.loads(body)))
    return b'{"type":"%s","object":%s}\n' % (type.encode(), body)


class _TableFrame:
    """Events as one-row Tables; only the first of a stream names the columns, so frames are not shared."""

    def __init__(self, cls: type[Resource], representation: Representation, now: Any, include: str) -> None:
        self.cls, self.representation, self.now, self.include = cls, representation, now, include
        self._first = True

    def __call__(self, type: str, stored: Stored) -> bytes:
        whole = whole_to_client(stored.whole(self.cls.kind), self.cls)
        table = {
            "kind": "Table",
            "apiVersion": self.representation.api_version,
            "metadata": {"resourceVersion": str(stored.revision)},
            "columnDefinitions": table_columns(self.cls) if self._first else None,
            "rows": table_rows(self.cls, [whole], self.representation, self.now(), self.include),
        }
        self._first = False
        return orjson.dumps({"type": type, "object": table}) + b"\n"


def bookmark(cls: type[Resource], revision: int, representation: Representation, *, initial: bool = False) -> bytes:
    """A BOOKMARK event: everything up to `revision` has been sent; `initial` marks the end of the initial events."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    if representation.form == "Table":
        row = {"kind": "PartialObjectMetadata", "apiVersion": representation.api_version, "metadata": metadata}
        shown: dict[str, Any] = {"kind": "Table", "apiVersion": representation.api_version}
        shown |= {"metadata": {"resourceVersion": str(revision)}, "columnDefinitions": None}
        shown["rows"] = [{"cells": [], "object": row}] if initial else []
    elif representation.is_partial:
        shown = {"kind": "PartialObjectMetadata", "apiVersion": representation.api_version, "metadata": metadata}
    else:
        shown = {"kind": cls.kind.name, "apiVersion": cls.kind.api_version, "metadata": metadata}
    return event_of("BOOKMARK", orjson.dumps(shown), representation)
