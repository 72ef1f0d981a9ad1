"""The classes of custom kinds, one for each version, made of a CustomResourceDefinition.

They are `Resource` classes like all others, so custom objects go the way of built-in ones; what a
kind's file says elsewhere, the definition says here. Kubernetes: apiextensions `customresource` strategy and table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import orjson

from wherry.api.extensions.conversions import Conversions
from wherry.api.extensions.custom_columns import columns_of_version
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.api.extensions.definition_views import ScalePaths, Version
from wherry.machinery import jsonpath
from wherry.machinery.field_errors import FieldError
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.resource import ALL_VERBS, Kind, Resource
from wherry.machinery.schema import Schema
from wherry.machinery.schema.rules import Judge, judging
from wherry.machinery.schema.values import NOTHING, Check, checker

Json = dict[str, Any]
# After these errors a value need not be what rules in CEL take it for. Kubernetes: hasBlockingErr.
BLOCKING = frozenset(f"FieldValue{each}" for each in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"))
UNCHECKED = FieldError(
    "<nil>",
    "FieldValueInvalid",
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
)
# What discovery still offers of a kind that is going.
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")


class Declared:
    """What the definition says about one version, computed when first asked for."""

    def __init__(self, definition: CustomResourceDefinition, version: Version, conversions: Conversions | None) -> None:
        self.definition, self.version = definition, version
        # What a webhook has converted; None where versions differ in nothing but their schemas.
        self.conversions = conversions

    @cached_property
    def schema(self) -> Schema:
        """The structural schema with apiVersion, kind and metadata, for the walker."""
        return Schema.from_openapi(self.source, resource=True)

    @property
    def source(self) -> Json:
        """The schema as it was written."""
        if self.definition.spec.preserve_unknown_fields:
            return {**self.version.open_schema, "x-kubernetes-preserve-unknown-fields": True}
        return self.version.open_schema

    @cached_property
    def check(self) -> Check:
        """The rules for values."""
        return checker(self.source)

    @cached_property
    def judge(self) -> Judge | None:
        """The rules in CEL, if there are any."""
        return judging(self.source)


class CustomResource(Resource):
    """A custom object, whole. Made by `read` only, by the class of its kind and version."""

    raw: Json = {}

    declared: ClassVar[Declared]
    # The class in whose form objects are stored: that of the storage version.
    stored_as: ClassVar[type[CustomResource]]
    # Every version of the kind, by its apiVersion.
    versions: ClassVar[Mapping[str, type[CustomResource]]] = {}
    scale_paths: ClassVar[ScalePaths | None] = None
    is_terminating: ClassVar[bool] = False
    counts_generations = True
    unconditional_update = False
    kept_by_status_writes = ("labels", "annotations", "finalizers", "ownerReferences")

    @classmethod
    def read(cls, value: bytes | Mapping[str, Any]) -> Self:
        """Open an object."""
        raw: Json = orjson.loads(value) if isinstance(value, bytes) else dict(value)
        return cls(metadata=ObjectMeta.read(raw.get("metadata") or {}), raw=raw)

    @classmethod
    def schema(cls) -> Schema:
        """The structural schema of the version."""
        return cls.declared.schema

    @classmethod
    def sibling(cls, api_version: str) -> type[Resource] | None:
        """The class of another version."""
        return cls.versions.get(api_version)

    def validate(self, old: Self | None) -> Iterator[FieldError]:
        """What the schema says about values; and unless what its rules in CEL would look at is wrong, those."""
        before = old.raw if old is not None else NOTHING
        broken = list(self.declared.check(self.raw, "", before))
        yield from broken
        if self.declared.judge is None:
            return
        if any(error.reason in BLOCKING for error in broken):
            yield UNCHECKED
        else:
            yield from self.declared.judge(self.raw, "", before)

    def validate_status(self, old: Self) -> Iterator[FieldError]:
        """The same: a schema describes objects whole."""
        return self.validate(old)


def custom_kinds(definition: CustomResourceDefinition) -> list[type[CustomResource]]:
    """The classes of all versions, served or not."""
    spec = definition.spec
    webhook = spec.conversion.webhook if spec.conversion.strategy == "Webhook" else None
    conversions = Conversions(webhook) if webhook is not None else None
    made = {version.name: _class_of(definition, version, conversions) for version in spec.versions}
    stored = made[spec.storage_version]
    for cls in made.values():
        cls.stored_as = stored
        cls.versions = {each.kind.api_version: each for each in made.values()}
    return list(made.values())


def _class_of(
    definition: CustomResourceDefinition, version: Version, conversions: Conversions | None
) -> type[CustomResource]:
    spec, names = definition.spec, definition.status.accepted_names
    if not names.plural:
        names = spec.names
    under = version.subresources
    subresources = tuple(name for name in ("status", "scale") if under and getattr(under, name) is not None)
    kind = Kind(
        spec.group,
        version.name,
        names.kind,
        spec.names.plural,
        spec.scope == "Namespaced",
        names.short_names,
        names.categories,
        subresources,
        ALL_VERBS,
        singular=names.singular,
        list_name=names.list_kind,
        is_custom=True,
    )
    metaclass: Any = type(CustomResource)
    cls: type[CustomResource] = metaclass(names.kind, (CustomResource,), {"__module__": __name__})
    cls.kind = kind
    cls.declared = Declared(definition, version, conversions)
    cls.is_terminating = definition.is_terminating
    cls.columns = columns_of_version(version)
    cls.selectable = {_field(each.json_path): _reader(each.json_path) for each in version.selectable_fields}
    cls.scale_paths = under.scale if under else None
    if version.deprecated:
        cls.deprecation = version.deprecation_warning or f"{spec.group}/{version.name} {names.kind} is deprecated"
    return cls


def _field(path: str) -> str:
    return path.removeprefix(".")


def _reader(path: str) -> Callable[[Any], str]:
    steps = jsonpath.parse(path)

    def read(obj: CustomResource) -> str:
        value = jsonpath.first(steps, obj.raw)
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(value)

    return read
