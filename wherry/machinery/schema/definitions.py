"""Schema nodes: Kubernetes' published definitions, and CRD schemas in the same shape.

>>> spec = schema_for("apps/v1", "Deployment").properties["spec"]
>>> spec.name
'io.k8s.api.apps.v1.DeploymentSpec'
>>> spec.properties["template"].properties["spec"].properties["containers"].merge_key
'name'

Nothing is built before it is asked for: loading parses one file (about 2 ms), and a node builds its children when
they are first read. Nodes are shared and must not be changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import orjson

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
JSON_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
TIME, MICRO_TIME = META + "Time", META + "MicroTime"

GVK = "x-kubernetes-group-version-kind"


class UnknownKind(LookupError):
    """No definition for this kind or name."""


class Schema:
    """One node of a schema: what a value at this place may look like, and how it merges.

    `name` is the definition's full name, or "" for a node that has none. `type` is one of object, array, string,
    integer, number, boolean, any. `additional` is the schema of a map's values. `nullable` is None where Kubernetes'
    Go decoding rules hold (null means unset); a CRD's node says True (null is a value) or False (null is an error).
    `default` is absent (`has_default` False) or any JSON value, which a reader must copy.

    Kubernetes: `spec.Schema` of kube-openapi, and structural schemas of apiextensions.
    """

    __slots__ = (
        "_additional",
        "_items",
        "_properties",
        "compiled",
        "default",
        "format",
        "has_default",
        "int_or_string",
        "list_map_keys",
        "list_type",
        "map_type",
        "merge_key",
        "merge_strategy",
        "name",
        "nullable",
        "preserve_unknown",
        "source",
        "topology",
        "type",
    )

    def __init__(self, source: Mapping[str, Any], name: str = "", nullable: bool | None = None) -> None:
        self.source = source
        self.name = name
        self.nullable = nullable
        self.format: str = source.get("format", "")
        self.int_or_string: bool = (
            bool(source.get("x-kubernetes-int-or-string"))
            or name.endswith(".IntOrString")
            or self.format == "int-or-string"
        )
        self.preserve_unknown: bool = bool(source.get("x-kubernetes-preserve-unknown-fields"))
        self.type: str = source.get("type") or ("object" if "properties" in source else "any")
        self.has_default: bool = "default" in source
        self.default: Any = source.get("default")
        self.merge_key: str = source.get("x-kubernetes-patch-merge-key", "")
        self.merge_strategy = frozenset(filter(None, source.get("x-kubernetes-patch-strategy", "").split(",")))
        self.list_type: str = source.get("x-kubernetes-list-type", "atomic")
        self.list_map_keys: tuple[str, ...] = tuple(source.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = source.get("x-kubernetes-map-type", "granular")
        self._properties: dict[str, Schema] | None = None
        self._items: Schema | None = None
        self._additional: Schema | None = None
        # The walker's compiled form, one for each registry of defaults; owned by walker.py.
        self.compiled: dict[Any, Any] = {}
        # How objects divide into fields that can be owned; NotImplemented until topology.py has looked.
        self.topology: Any = NotImplemented

    @classmethod
    def from_openapi(cls, source: Mapping[str, Any], *, resource: bool = False) -> Schema:
        """A CRD's `openAPIV3Schema`, or a part of one. With `resource`, apiVersion, kind and metadata are added."""
        if resource or source.get("x-kubernetes-embedded-resource"):
            source = {**source, "type": "object", "properties": source.get("properties", {}) | RESOURCE_PROPERTIES}
        return cls(source, nullable=bool(source.get("nullable")))

    @property
    def is_quantity(self) -> bool:
        return self.name == QUANTITY

    @property
    def is_time(self) -> bool:
        return self.name in (TIME, MICRO_TIME)

    @property
    def required(self) -> tuple[str, ...]:
        """Fields that must be present. Decoding does not ask for them: a built-in kind's own validation does."""
        return tuple(self.source.get("required", ()))

    @property
    def properties(self) -> dict[str, Schema]:
        """The fields of a struct; empty for maps and everything else."""
        if self._properties is None:
            self._properties = {name: self._child(node) for name, node in self.source.get("properties", {}).items()}
        return self._properties

    @property
    def items(self) -> Schema | None:
        """The schema of a list's items."""
        if self._items is None and "items" in self.source:
            self._items = self._child(self.source["items"])
        return self._items

    @property
    def additional(self) -> Schema | None:
        """The schema of a map's values; None for structs."""
        node = self.source.get("additionalProperties")
        if self._additional is None and node is not None and node is not False:
            self._additional = self._child({} if node is True else node)
        return self._additional

    def _child(self, node: Mapping[str, Any]) -> Schema:
        reference = node.get("$ref")
        if isinstance(reference, str):
            name = reference.rpartition("/")[2]
            return definition(name) if len(node) == 1 else Schema({**definition(name).source, **node}, name)
        return Schema(node) if self.nullable is None else Schema.from_openapi(node)

    def __repr__(self) -> str:
        return f"Schema({self.name or self.type})"


RESOURCE_PROPERTIES = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"$ref": "#/components/schemas/" + META + "ObjectMeta"},
}


def schema_for(api_version: str, kind: str) -> Schema:
    """The schema of a built-in kind, such as ("apps/v1", "Deployment"). Raises UnknownKind."""
    try:
        return definition(kinds()[api_version, kind])
    except KeyError:
        raise UnknownKind(f'no schema for kind "{kind}" in version "{api_version}"') from None


@cache
def definition(name: str) -> Schema:
    """The schema with this full name, such as "io.k8s.api.core.v1.Container". Raises UnknownKind."""
    try:
        return Schema(published()[name], name)
    except KeyError:
        raise UnknownKind(f'no schema definition named "{name}"') from None


@cache
def kinds() -> dict[tuple[str, str], str]:
    """Every built-in (apiVersion, kind), and the name of its definition."""
    found: dict[tuple[str, str], str] = {}
    for name, node in published().items():
        for gvk in node.get(GVK, ()):
            group, version = gvk["group"], gvk["version"]
            found[f"{group}/{version}" if group else version, gvk["kind"]] = name
    return found


@cache
def published() -> dict[str, dict[str, Any]]:
    """The raw definitions, name to OpenAPI v3 schema. Shared; must not be changed."""
    files = (resources.files(__package__).joinpath(name) for name in ("definitions.json", "own_definitions.json"))
    kubernetes, own = (orjson.loads(file.read_bytes()) for file in files)
    return {**kubernetes, **own}
