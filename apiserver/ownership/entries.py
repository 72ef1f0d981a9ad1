"""The entries of managedFields as they stand in objects: one for each manager, operation, version and subresource.

Entries are shared between versions of an object and never changed in place. Kubernetes: apimachinery managedfields.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wherry.machinery.schema.field_sets import FieldSet, is_well_formed, union

Draft = dict[str, Any]
Entry = dict[str, Any]

APPLY, UPDATE = "Apply", "Update"
# Kubernetes: of more writers than this the oldest share one entry.
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"


class Author(NamedTuple):
    """In whose name a write is done. `api_version` is that of the request."""

    manager: str
    api_version: str
    operation: str = UPDATE
    subresource: str = ""

    def entry(self, fields: FieldSet) -> Entry:
        """What this author owns, not yet dated."""
        entry: Entry = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
        return entry | {"subresource": self.subresource} if self.subresource else entry

    def wrote(self, entry: Entry) -> bool:
        """Whether an entry is this author's own; who applies has one entry, whatever the version."""
        mine = self.operation == APPLY or entry["apiVersion"] == self.api_version
        given = (entry.get("manager", ""), entry["operation"], entry.get("subresource", ""))
        return mine and given == (self.manager, self.operation, self.subresource)


def fields_of(entry: Entry) -> FieldSet:
    """The fields that an entry's manager owns."""
    fields: FieldSet = entry.get("fieldsV1") or {}
    return fields


def entries_of(draft: Draft) -> list[Entry]:
    """The entries of a stored object."""
    entries: list[Entry] = draft["metadata"].get("managedFields") or []
    return entries


def entries_after(wanted: Draft, old: Draft | None) -> list[Entry]:
    """The entries an update starts from: those its client sent, if they make sense, or else the stored ones.

    An empty list, or one with an empty entry, is how clients ask to forget them all.
    """
    stored = entries_of(old) if old is not None else []
    given = wanted["metadata"].get("managedFields")
    if given is None or given is stored or given == stored:
        return stored
    if given in ([], [{}]):
        return []
    return given if all(_is_sound(entry) for entry in given) else stored


def _is_sound(entry: Entry) -> bool:
    known = entry.get("operation") in (APPLY, UPDATE) and entry.get("fieldsType") == "FieldsV1"
    return known and bool(entry.get("apiVersion")) and is_well_formed(entry.get("fieldsV1") or {})


def settled(entries: list[Entry], now: str) -> list[Entry]:
    """The entries as they are stored: new ones dated, not too many, in Kubernetes' order."""
    dated = [entry if "time" in entry else _dated(entry, now) for entry in entries]
    if len(dated) > MAX_UPDATERS and sum(entry["operation"] == UPDATE for entry in dated) > MAX_UPDATERS:
        dated = _capped(dated)
    return sorted(dated, key=_place) if len(dated) > 1 else dated


def _dated(entry: Entry, now: str) -> Entry:
    first = {"manager": entry.get("manager", ""), "operation": entry["operation"], "apiVersion": entry["apiVersion"]}
    return {**first, "time": now, **entry}


def _place(entry: Entry) -> tuple[str, ...]:
    place = (entry["operation"], entry.get("time") or "", entry.get("manager", ""), entry["apiVersion"])
    return (*place, entry.get("subresource", ""))


def _capped(entries: list[Entry]) -> list[Entry]:
    """The oldest updates of each version share an entry, until there are few enough."""
    kept = [entry for entry in entries if entry["operation"] != UPDATE]
    updates = sorted((entry for entry in entries if entry["operation"] == UPDATE), key=_place)
    surplus = len(updates) - MAX_UPDATERS
    oldest: dict[str, Entry] = {}
    for entry in updates:
        version = entry["apiVersion"]
        if surplus <= 0 or version not in oldest:
            if surplus > 0:
                oldest[version] = entry
            else:
                kept.append(entry)
            continue
        both = union(fields_of(oldest[version]), fields_of(entry))
        merged = Author(ANCIENT, version).entry(both)
        oldest[version] = _dated(merged, entry.get("time", ""))
        surplus -= 1
    return [*kept, *oldest.values()]


def undated(entries: list[Entry]) -> list[Entry]:
    """The entries without their times."""
    return [{word: value for word, value in entry.items() if word != "time"} for entry in entries]
