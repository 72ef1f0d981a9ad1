"""Which representation of an object the client wants: itself, a Table row, or only its metadata; in JSON, YAML or
protobuf.

Kubernetes: apiserver `endpoints/handlers/negotiation`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wherry.machinery.errors import NotAcceptable

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
JSON_TYPES = (JSON, "application/*", "*/*")

_FORM_VERSIONS = ("v1", "v1beta1")


# As much of an Accept header is read: it may be a megabyte long, and what was read is remembered.
LONGEST_ACCEPT = 4096


class Representation(NamedTuple):
    """`form` is "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; `version` v1 or v1beta1 of
    meta.k8s.io.
    """

    form: str = ""
    version: str = "v1"
    media_type: str = JSON

    @property
    def api_version(self) -> str:
        """apiVersion of Tables and partial objects."""
        return f"meta.k8s.io/{self.version}"

    @property
    def is_protobuf(self) -> bool:
        """Whether bodies are protobuf messages."""
        return self.media_type == PROTOBUF

    @property
    def is_partial(self) -> bool:
        """Metadata only."""
        return self.form.startswith("PartialObjectMetadata")


class _Clause(NamedTuple):
    media_type: str
    parameters: dict[str, str]
    quality: float


def _clauses(accept: str) -> list[_Clause]:
    clauses = []
    for text in accept.split(","):
        media_type, *rest = [part.strip() for part in text.split(";")]
        parameters = dict(part.partition("=")[::2] for part in rest)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        clauses.append(_Clause(media_type.lower(), parameters, quality))
    return sorted(clauses, key=lambda clause: -clause.quality)


def negotiate(accept: str, *, forms: bool = True, offered: tuple[str, ...] = (JSON, YAML, PROTOBUF)) -> Representation:
    """The first clause of an Accept header that can be served; raises `NotAcceptable`.

    `forms` is False where no Table or partial object is possible: such clauses are passed over. `offered` are the media
    types of objects as they are. Tables have no protobuf form; metadata alone has, whatever the kind.

    >>> negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").form
    'Table'
    >>> negotiate("application/vnd.kubernetes.protobuf,application/json").is_protobuf
    True
    """
    return _negotiated(accept[:LONGEST_ACCEPT], forms, offered)


@lru_cache(maxsize=1024)
def _negotiated(accept: str, forms: bool, offered: tuple[str, ...]) -> Representation:
    for media_type, parameters, quality in _clauses(accept or "*/*"):
        form, version = parameters.get("as", ""), parameters.get("v", "v1")
        media_type = JSON if media_type in JSON_TYPES else media_type
        if quality <= 0 or media_type not in (JSON, YAML, PROTOBUF):
            continue
        if not form:
            if media_type in offered:
                return Representation(media_type=media_type)
            continue
        whole = form == "Table" and media_type != PROTOBUF
        known = (whole or form in ("PartialObjectMetadata", "PartialObjectMetadataList")) and version in _FORM_VERSIONS
        if forms and known and parameters.get("g", "meta.k8s.io") == "meta.k8s.io":
            return Representation(form, version, media_type)
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(offered)}")


def aggregated_discovery(accept: str) -> tuple[str, str] | None:
    """The version of aggregated discovery asked for before the legacy form, and the media type; None if none is."""
    return _discovery_asked_for(accept[:LONGEST_ACCEPT])


@lru_cache(maxsize=256)
def _discovery_asked_for(accept: str) -> tuple[str, str] | None:
    for media_type, parameters, _ in _clauses(accept or "*/*"):
        if media_type not in (*JSON_TYPES, PROTOBUF):
            continue
        if parameters.get("g") != "apidiscovery.k8s.io":
            return None
        if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("v") in ("v2", "v2beta1"):
            return parameters["v"], PROTOBUF if media_type == PROTOBUF else JSON
    return None
