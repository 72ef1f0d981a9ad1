"""A custom object at rest: its bytes may be older than the schema by which it is read today.

Defaults that came later, fields that are gone and another storage version are applied when the object is first looked
at, and again after the definition changed. Kubernetes: decoding from etcd in the apiextensions apiserver.
"""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.reading.stored import Stored, _labels_of, encode, head_of
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults, walk
from wherry.machinery.selectors import FieldTerms

Draft = dict[str, Any]


def in_form_of(draft: Draft, cls: type[Resource]) -> Draft:
    """An object as `cls` has it: fields that its version does not know are dropped, its defaults are filled."""
    metadata = draft.get("metadata")
    walked = walk({**draft, "kind": cls.kind.name, "apiVersion": cls.kind.api_version}, cls.schema(), defaults=defaults)
    result: Draft = walked.value
    result["metadata"] = metadata
    return result


def fields_in_version(fields: FieldTerms, cls: type[CustomResource]) -> FieldTerms:
    """A selector of one version, for objects that may be at rest in another one; the metadata is the same in all."""
    if cls is cls.stored_as:
        return fields
    own = (term for term in fields.terms if term.name in cls.selectable)
    named = {term.name: f"{cls.kind.api_version} {term.name}" for term in own}
    return FieldTerms(tuple(term._replace(name=named.get(term.name, term.name)) for term in fields.terms))


class Family:
    """The class in whose form the objects of a kind are at rest; another one after the definition changed."""

    __slots__ = ("cls",)

    def __init__(self, cls: type[Resource]) -> None:
        self.cls = cls


class CustomStored(Stored):
    """See the module. Reads like any other stored object."""

    __slots__ = ("_elsewhere", "_family", "_fields", "_item", "_made_by", "_value")

    def __init__(self, family: Family, key: str, value: bytes, revision: int) -> None:
        self.key, self.revision = key, revision
        *_, self.namespace, self.name = key.split("/")
        if not family.cls.kind.namespaced:
            self.namespace = ""
        self.labels = _labels_of(value).metadata.labels
        self._family, self._value = family, value
        self._made_by: type[Resource] | None = None
        self._item = b""
        self._fields: dict[str, str] = {}
        self._elsewhere: dict[str, tuple[type[Resource], dict[str, str]]] = {}

    @property
    def item(self) -> bytes:  # type: ignore[override]
        """The object as an item of a list."""
        self._make()
        return self._item

    @property
    def fields(self) -> dict[str, str]:  # type: ignore[override]
        """What field selectors may ask for beyond name and namespace."""
        if not self._family.cls.selectable:
            return {}
        self._make()
        return self._fields

    def field(self, name: str) -> str:
        """The value of a field, perhaps in another version; raises NotConverted."""
        version, _, path = name.rpartition(" ")
        return (self._fields_in(version) if version else self.fields).get(path, "")

    @property
    def all_fields(self) -> dict[str, str]:
        """What field selectors may ask for, in all versions that need no webhook."""
        fields = super().all_fields
        cls = self._family.cls
        if issubclass(cls, CustomResource) and cls.declared.conversions is None:
            for version, sibling in cls.versions.items():
                if sibling is not cls and sibling.selectable:
                    fields |= {f"{version} {path}": value for path, value in self._fields_in(version).items()}
        return fields

    def _fields_in(self, version: str) -> dict[str, str]:
        stored = self._family.cls
        sibling = stored.versions.get(version) if issubclass(stored, CustomResource) else None
        if sibling is None:
            return {}
        made_by, known = self._elsewhere.get(version, (None, {}))
        if made_by is sibling:
            return known
        draft, conversions = self.draft(stored.kind), sibling.declared.conversions
        if conversions is not None:
            draft = conversions.find(draft, version)
        view = sibling.read(in_form_of(draft, sibling))
        fields = {path: read(view) for path, read in sibling.selectable.items()}
        self._elsewhere[version] = sibling, fields
        return fields

    def _make(self) -> None:
        cls = self._family.cls
        if self._made_by is cls:
            return
        raw, is_final = self.raw(), True
        conversions = cls.declared.conversions if issubclass(cls, CustomResource) else None
        if conversions is not None:
            # What nobody has converted yet is shown as it is, until somebody has (`extensions/converting.py`).
            is_final = conversions.has(raw, cls.kind.api_version)
            raw = conversions.find(raw, cls.kind.api_version) if is_final else raw
        draft = in_form_of(raw, cls)
        value = encode(draft, cls.kind)
        self._item = b'{"metadata":{"resourceVersion":"%d",%s' % (self.revision, value[len(head_of(cls.kind)) :])
        if cls.selectable:
            view = cls.read(draft)
            self._fields = {path: read(view) for path, read in cls.selectable.items()}
        self._made_by = cls if is_final else None

    @property
    def is_in_former_version(self) -> bool:
        """Whether it was written before the storage version changed: the next write brings it up to date."""
        return not self._value.startswith(head_of(self._family.cls.kind))

    def raw(self) -> Draft:
        """What is stored, in the version in which it was."""
        draft: Draft = orjson.loads(self._value)
        return draft

    def at(self, revision: int) -> Stored:
        """The same content under another revision."""
        return CustomStored(self._family, self.key, self._value, revision)
