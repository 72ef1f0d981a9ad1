"""Server-side apply: the fields in a configuration become what it says, and belong to who applies it.

    apply(live, {"kind": "Deployment", …, "spec": {"replicas": 3}}, Author("ci", "apps/v1", "Apply"), Deployment)

Fields that the same manager applied before and does not name any more are removed, unless somebody else owns them too.
A field that somebody else owns and that would change is a conflict, unless taken by force.

Kubernetes: structured-merge-diff's Updater.Apply. Differs: a null is as if it were not there.
"""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.ownership.entries import APPLY, UPDATE, Author, Entry, entries_of, fields_of
from apiserver.ownership.tracking import Changes, tracked
from apiserver.ownership.versions import UNOWNED, in_version, topology_for
from apiserver.patch import PatchError
from wherry.machinery.errors import Conflict
from wherry.machinery.resource import Resource
from wherry.machinery.schema.field_sets import FieldSet, difference, intersection, paths, union

Draft = dict[str, Any]
Conflicts = list[tuple[Entry, FieldSet]]

BEFORE_FIRST_APPLY = "before-first-apply"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Whose applies take over from, and keep up, the annotation of kubectl's client-side apply.
KUBECTL = "kubectl"


def apply(live: Draft | None, config: Draft, author: Author, cls: type[Resource], *, force: bool = False) -> Draft:
    """The object with a configuration applied, its managedFields included; `live` is None if there is none yet.

    Neither argument is changed; new entries are undated, defaults are not filled. Raises Conflict, and PatchError for a
    configuration that cannot be applied.
    """
    fault = next(topology_for(cls).faults(config), "")
    if fault:
        metadata = config["metadata"]
        who = (
            f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {cls.kind.api_version}, Kind={cls.kind.name}"
        )
        raise PatchError(f"failed to create typed patch object ({who}): {fault}")
    entries = _entries_before(live, author, cls)
    last = next((entry for entry in entries if author.wrote(entry)), None)
    others = [entry for entry in entries if entry is not last]
    owned = topology_for(cls).owned(config, containers=False)
    merged = topology_for(cls).merge(live, config) if live is not None else config
    if last is not None:
        merged = _pruned(merged, fields_of(last), last["apiVersion"], [*others, author.entry(owned)], cls)
    if live is not None:
        others, conflicts = _others_after(others, Changes(live, merged, cls))
        if author.manager == KUBECTL and not force:
            conflicts = _not_handed_over(conflicts, live, cls)
        if conflicts and not force:
            raise conflict_error(conflicts)
    mine = difference(owned, UNOWNED)
    metadata = {**merged["metadata"], "managedFields": [*others, author.entry(mine)] if mine else others}
    if author.manager == KUBECTL and (metadata.get("annotations") or {}).get(LAST_APPLIED):
        metadata["annotations"] = {**metadata["annotations"], LAST_APPLIED: _last_applied(config)}
    return {**merged, "metadata": metadata}


def _entries_before(live: Draft | None, author: Author, cls: type[Resource]) -> list[Entry]:
    """The entries of the live object; what it had before anybody kept track belongs to nobody in particular."""
    entries = entries_of(live) if live is not None else []
    if live is None or entries:
        return entries
    seen = live
    if "status" in cls.kind.subresources:
        seen = {word: value for word, value in live.items() if (word == "status") == (author.subresource == "status")}
        seen["metadata"] = live["metadata"]
    return tracked([], None, seen, author._replace(manager=BEFORE_FIRST_APPLY, operation=UPDATE), cls)


def _pruned(merged: Draft, last: FieldSet, version: str, entries: list[Entry], cls: type[Resource]) -> Draft:
    """The object without what the applier owned last time and nobody owns now.

    First everything it owned goes, together with the structs it was in. Then comes back what was in them and belongs
    to somebody, and at last what belongs to nobody but was not the applier's either.
    """
    seen = in_version(merged, cls, version)
    if seen is None:
        return merged
    node, whole = seen.node, seen.draft
    last = node.with_containers(last)
    left = node.without(whole, last)
    versions: dict[str, FieldSet] = {version: {}}
    for entry in entries:
        versions[entry["apiVersion"]] = union(versions.get(entry["apiVersion"], {}), fields_of(entry))
    for each, managed in versions.items():
        there, remaining = in_version(whole, seen.cls, each), in_version(left, seen.cls, each)
        if there is None or remaining is None:
            continue
        everything = there.node.owned(there.draft, containers=True)
        known = there.node.owned(remaining.draft, containers=True)
        kept = union(known, there.node.with_containers(managed))
        left = there.node.without(there.draft, difference(everything, kept))
        back = in_version(left, there.cls, version)
        left = back.draft if back is not None else left
    gone = difference(node.owned(whole, containers=True), node.owned(left, containers=True))
    pruned = in_version(
        node.without(whole, intersection(gone, last), versions[version]), seen.cls, cls.kind.api_version
    )
    return pruned.draft if pruned is not None else merged


def _others_after(others: list[Entry], changes: Changes) -> tuple[list[Entry], Conflicts]:
    """What the other managers still own, and what they lose because its value changes."""
    conflicts: Conflicts = []
    left = []
    for entry in others:
        seen = changes.in_version(entry["apiVersion"])
        if seen is None:
            continue
        fields = fields_of(entry)
        lost = intersection(fields, seen[0])
        if lost:
            conflicts.append((entry, lost))
        fields = difference(fields, union(*seen))
        if fields:
            left.append({**entry, "fieldsV1": fields})
    return left, conflicts


def conflict_error(conflicts: Conflicts) -> Conflict:
    """Kubernetes' 409, with a cause for every field."""
    named = sorted((_owner(entry), paths(fields)) for entry, fields in conflicts)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, lost in named
        for path in lost
    ]
    if len(causes) == 1:
        text = f"1 conflict: conflict with {named[0][0]}: {named[0][1][0]}"
    else:
        texts = [
            line for owner, lost in named for line in (f"conflicts with {owner}:", *(f"- {path}" for path in lost))
        ]
        text = f"{len(causes)} conflicts: " + "\n".join(texts)
    return Conflict(f"Apply failed with {text}", {"causes": causes})


def _owner(entry: Entry) -> str:
    text = orjson.dumps(entry.get("manager", "")).decode()
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return text if entry["operation"] == APPLY else f"{text} using {entry['apiVersion']}"


def _not_handed_over(conflicts: Conflicts, live: Draft, cls: type[Resource]) -> Conflicts:
    """The conflicts about more than what kubectl itself applied on the client's side and nobody changed since."""
    allowed = _client_side(live, cls)
    left = ((entry, difference(fields, allowed)) for entry, fields in conflicts)
    return [(entry, fields) for entry, fields in left if fields]


def _client_side(live: Draft, cls: type[Resource]) -> FieldSet:
    """The fields that still are as the annotation of kubectl's client-side apply says."""
    try:
        applied = orjson.loads((live["metadata"].get("annotations") or {}).get(LAST_APPLIED) or "null")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(applied, dict) or applied.get("apiVersion") != cls.kind.api_version:
        return {}
    node = topology_for(cls)
    changed, removed = node.compare(applied, live)
    return difference(node.owned(applied, containers=False), union(changed, removed))


def _last_applied(config: Draft) -> str:
    metadata = dict(config["metadata"])
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {key: text for key, text in metadata["annotations"].items() if key != LAST_APPLIED}
    return orjson.dumps({**config, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
