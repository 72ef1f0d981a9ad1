"""An object at rest: JSON bytes in canonical order, and the few facts that selectors ask for.

In the store the bytes begin `{"kind":K,"apiVersion":V,"metadata":{` and carry no resourceVersion, which is the store's
own revision. Reading splices the revision in; nothing is decoded to be passed on. An item of a list has no kind and
apiVersion, so that is the form kept in memory, and the other forms are one concatenation away.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import orjson

from wherry.machinery.resource import Kind, Resource


class _Labels(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}


class _Labelled(msgspec.Struct):
    metadata: _Labels = _Labels()


class _WithMetadata(msgspec.Struct):
    metadata: msgspec.Raw


_labels_of = msgspec.json.Decoder(_Labelled).decode
_metadata_of = msgspec.json.Decoder(_WithMetadata).decode


def metadata_of(value: bytes) -> bytes:
    """The JSON of an object's metadata."""
    return bytes(_metadata_of(value).metadata)


@lru_cache(maxsize=256)
def head_of(kind: Kind) -> bytes:
    """How the bytes of every object of a kind begin, up to the opening brace of its metadata."""
    return b'{"kind":"%s","apiVersion":"%s","metadata":{' % (kind.name.encode(), kind.api_version.encode())


def encode(draft: dict[str, Any], kind: Kind) -> bytes:
    """The bytes to store; the draft's own kind, apiVersion and resourceVersion do not matter."""
    metadata = {key: value for key, value in draft["metadata"].items() if key != "resourceVersion"}
    rest = {key: value for key, value in draft.items() if key not in ("kind", "apiVersion", "metadata")}
    return orjson.dumps({"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata, **rest})


def with_revision(value: bytes, kind: Kind, revision: int) -> bytes:
    """Stored bytes as a client gets them, with kind, apiVersion and resourceVersion."""
    head = head_of(kind)
    return b'%s"resourceVersion":"%d",%s' % (head, revision, value[len(head) :])


class Stored:
    """One object in the watch cache."""

    __slots__ = ("fields", "item", "key", "labels", "name", "namespace", "revision")

    def __init__(self, cls: type[Resource], key: str, value: bytes, revision: int) -> None:
        head = head_of(cls.kind)
        self.key = key
        self.revision = revision
        self.item = b'{"metadata":{"resourceVersion":"%d",%s' % (revision, value[len(head) :])
        *_, self.namespace, self.name = key.split("/")
        if not cls.kind.namespaced:
            self.namespace = ""
        self.labels = _labels_of(value).metadata.labels
        self.fields: dict[str, str] = {}
        if cls.selectable:
            view = (cls.selectable_view or cls).read(value)
            self.fields = {path: read(view) for path, read in cls.selectable.items()}

    def field(self, name: str) -> str:
        """The value of a field that a selector names; nothing for one that is not there."""
        return self.fields.get(name, "")

    @property
    def all_fields(self) -> dict[str, str]:
        """What field selectors may ask for."""
        return {"metadata.name": self.name, "metadata.namespace": self.namespace, **self.fields}

    def whole(self, kind: Kind) -> bytes:
        """The object as a GET answers it."""
        return head_of(kind)[:-12] + self.item[1:]

    def draft(self, kind: Kind) -> dict[str, Any]:
        """A fresh decoded copy, to be changed."""
        decoded: dict[str, Any] = orjson.loads(self.item)
        return {"kind": kind.name, "apiVersion": kind.api_version, **decoded}

    def at(self, revision: int) -> Stored:
        """The same content under another revision: the last state of a deleted object carries the deletion's."""
        moved = Stored.__new__(Stored)
        for slot in Stored.__slots__:
            setattr(moved, slot, getattr(self, slot))
        moved.revision = revision
        old = b'{"metadata":{"resourceVersion":"%d"' % self.revision
        moved.item = b'{"metadata":{"resourceVersion":"%d"%s' % (revision, self.item[len(old) :])
        return moved
