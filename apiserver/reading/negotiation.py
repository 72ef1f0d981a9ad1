"""Which representation of an object the client wants: itself, a Table row, or only its metadata.

Kubernetes: apiserver `endpoints/handlers/negotiation`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wherry.machinery.errors import NotAcceptable

JSON_TYPES = ("application/json", "application/*", "*/*")


class Representation(NamedTuple):
    """`form` is "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList"; `version` v1 or v1beta1 of
    meta.k8s.io.
    """

    form: str = ""
    version: str = "v1"
    media_type: str = "application/json"

    @property
    def api_version(self) -> str:
        """apiVersion of Tables and partial objects."""
        return f"meta.k8s.io/{self.version}"

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


@lru_cache(maxsize=1024)
def negotiate(accept: str, *, forms: bool = True) -> Representation:
    """The first clause of an Accept header that can be served; raises `NotAcceptable`.

    `forms` is False where no Table or partial object is possible: such clauses are passed over.

    >>> negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").form
    'Table'
    """
    for media_type, parameters, quality in _clauses(accept or "*/*"):
        form, version = parameters.get("as", ""), parameters.get("v", "v1")
        if quality <= 0 or media_type not in (*JSON_TYPES, "application/yaml"):
            continue
        if not form:
            return Representation(media_type="application/yaml" if media_type.endswith("yaml") else "application/json")
        known = form in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList") and version in ("v1", "v1beta1")
        if forms and known and parameters.get("g", "meta.k8s.io") == "meta.k8s.io":
            return Representation(form, version)
    raise NotAcceptable("only the following media types are accepted: application/json, application/yaml")


@lru_cache(maxsize=256)
def aggregated_discovery(accept: str) -> str:
    """The version of aggregated discovery asked for before plain JSON, or an empty string."""
    for media_type, parameters, _ in _clauses(accept or "*/*"):
        if media_type not in JSON_TYPES:
            continue
        if parameters.get("g") != "apidiscovery.k8s.io":
            return ""
        if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("v") in ("v2", "v2beta1"):
            return parameters["v"]
    return ""
