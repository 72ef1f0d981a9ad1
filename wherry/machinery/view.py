"""View: a typed, immutable window on part of an object's JSON.

    class ReplicaSetSpec(View):
        selector: Selector
        replicas: int = 1

    spec = ReplicaSetSpec.read(b'{"selector": {}, "replicas": 3, "fieldsWeDoNotKnow": 1}')

A view names only the fields that Wherry reads. Opening one costs microseconds and ignores everything else, so a view
is for reading and never for writing back: a write is an action (create from a template, a patch, a status), and no
field that Wherry does not know is ever lost. What must be written again whole, such as a pod template, is a
`Verbatim`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, dataclass_transform

import msgspec

_ACRONYMS = {"ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "id": "ID", "uid": "UID", "uuid": "UUID"}
_ACRONYMS |= {"uri": "URI", "url": "URL", "urls": "URLs"}
_ACRONYMS |= {"pid": "PID", "ipc": "IPC", "api": "API", "wwn": "WWN", "wwns": "WWNs"}


def wire_name(name: str) -> str:
    """A field's name in JSON.

    >>> wire_name("observed_generation"), wire_name("pod_ips"), wire_name("api_version"), wire_name("host_ipc")
    ('observedGeneration', 'podIPs', 'apiVersion', 'hostIPC')
    """
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


class Verbatim:
    """A part of an object kept whole, unknown fields included, because it will be written again.

    Subclasses add the readings they need as properties over `raw`. The raw value is shared by everyone who reads the
    same object: copy before changing. Two are equal when their JSON is.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: dict[str, Any] | None = None) -> None:
        self.raw: dict[str, Any] = {} if raw is None else raw

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self.raw, order="deterministic"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.raw!r})"


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ViewMeta(msgspec.StructMeta):
    """Tells type checkers that every view, not only `View` itself, is immutable and takes keywords."""


class View(msgspec.Struct, metaclass=ViewMeta, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name):
    """Base of every view: fields in snake_case here, camelCase on the wire, unknown fields ignored."""

    _decoder: ClassVar[msgspec.json.Decoder[Any] | None] = None

    @classmethod
    def read(cls, value: bytes | Mapping[str, Any]) -> Self:
        """Open a view on JSON bytes or decoded JSON; `msgspec.ValidationError` names a field that does not fit."""
        if isinstance(value, bytes):
            decoder = cls.__dict__.get("_decoder") or cls.prepare()
            return decoder.decode(value)
        return msgspec.convert(value, cls, dec_hook=_decode_custom)

    @classmethod
    def prepare(cls) -> msgspec.json.Decoder[Self]:
        """Make the decoder: msgspec looks at the types of all fields for it, and of all views in them."""
        decoder = cls._decoder = msgspec.json.Decoder(cls, dec_hook=_decode_custom)
        return decoder

    def to_wire(self) -> dict[str, Any]:
        """The fields this view knows, as JSON would have them; defaults are left out."""
        wire: dict[str, Any] = msgspec.to_builtins(self, enc_hook=_encode_custom)
        return wire

    def to_json(self) -> bytes:
        """The same as bytes: equal views have equal ones."""
        return msgspec.json.encode(self, enc_hook=_encode_custom)

    def replace(self, **changes: Any) -> Self:
        """The same view with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def _decode_custom(kind: type, value: Any) -> Any:
    if issubclass(kind, Verbatim):
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")
        return kind(value)
    parse = getattr(kind, "parse", None)
    if parse is None:
        raise NotImplementedError(f"a view field of type {kind.__name__} needs a `parse` class method")
    return parse(value)


def _encode_custom(value: Any) -> Any:
    return value.raw if isinstance(value, Verbatim) else str(value)
