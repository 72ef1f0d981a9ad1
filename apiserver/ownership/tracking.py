"""What a create, an update or a patch does to managedFields: who changes a field owns it from then on.

Nothing is walked that did not change, so a write pays for its difference. Kubernetes: managedfields.Update.
"""

from __future__ import annotations

from typing import Any

from apiserver.ownership.entries import Author, Entry, fields_of
from apiserver.ownership.versions import blank, in_version, ownable, owned_at_creation
from wherry.machinery.resource import Resource
from wherry.machinery.schema.field_sets import FieldSet, difference, union

Draft = dict[str, Any]


class Changes:
    """What a write changes, in each version in which somebody owns fields. `before` is None for a new object."""

    def __init__(self, before: Draft | None, after: Draft, cls: type[Resource]) -> None:
        self._before, self._after, self._cls = before, after, cls
        self._known: dict[str, tuple[FieldSet, FieldSet] | None] = {}
        self._affected: dict[str, FieldSet | None] = {}

    def in_version(self, api_version: str) -> tuple[FieldSet, FieldSet] | None:
        """Fields added or changed, and fields removed; None for a version that is not served."""
        if api_version not in self._known:
            self._known[api_version] = self._compare(api_version)
        return self._known[api_version]

    def affected(self, api_version: str) -> FieldSet | None:
        """Both together: the fields of which earlier owners lose."""
        if api_version not in self._affected:
            seen = self.in_version(api_version)
            self._affected[api_version] = union(*seen) if seen is not None else None
        return self._affected[api_version]

    def _compare(self, api_version: str) -> tuple[FieldSet, FieldSet] | None:
        after = in_version(self._after, self._cls, api_version)
        if after is None:
            return None
        if self._before is None:
            return owned_at_creation(after.draft, after.cls), {}
        known = in_version(self._before, self._cls, api_version)
        there: Draft = {name: {} for name in blank(after.cls) if name in after.draft}
        before = there | ownable(known.draft) if known is not None else there
        return after.node.compare(before, ownable(after.draft))


def tracked(
    entries: list[Entry], before: Draft | None, after: Draft, author: Author, cls: type[Resource]
) -> list[Entry]:
    """The entries after an update by `author`; what it took or changed is undated.

    An object that is not tracked stays so until somebody applies it. Drafts are of `cls`.
    """
    if before is not None and not entries:
        return []
    changes = Changes(before, after, cls)
    seen = changes.in_version(author.api_version)
    if seen is None or not (seen[0] or seen[1]):
        return entries
    kept = [entry for entry in (_less(entry, changes) for entry in entries) if entry is not None]
    if not seen[0]:
        return kept
    own = next((entry for entry in kept if author.wrote(entry)), None)
    taken = author.entry(seen[0] if own is None else union(fields_of(own), seen[0]))
    return [*(entry for entry in kept if entry is not own), taken]


def _less(entry: Entry, changes: Changes) -> Entry | None:
    """The entry without what others changed; None when nothing is left."""
    affected = changes.affected(entry["apiVersion"])
    if affected is None:
        return None
    fields = fields_of(entry)
    left = difference(fields, affected)
    return (entry if left is fields else {**entry, "fieldsV1": left}) if left else None
