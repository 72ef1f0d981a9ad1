"""Reading and writing objects of one kind: the path of every write, decode → default → admit → validate → store.

Writes are compare-and-swap on the store's revision. A caller that names a resourceVersion gets a 409 when it is stale;
one that does not is served by trying again on the newest version.

Kubernetes: registry/generic/registry.Store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import keys
from apiserver.fairness.aside import aside, weight_of
from apiserver.matching.attributes import Facet
from apiserver.ownership.entries import APPLY, Author, Entry, entries_after, entries_of, settled, undated
from apiserver.ownership.tracking import tracked
from apiserver.reading.conversion import to_client
from apiserver.reading.custom_stored import CustomStored
from apiserver.reading.stored import Stored, encode, with_revision
from apiserver.request import User
from apiserver.storage.store import Conflict as StaleWrite
from apiserver.writing import drafts
from apiserver.writing.decoding import accept
from apiserver.writing.deletion import DeleteOptions, begin_deletion, is_ready_to_go
from wherry.machinery.errors import ApiError, Invalid, already_exists, conflict, invalid_object, not_found
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text
from wherry.machinery.validation import validate_metadata

if TYPE_CHECKING:
    from apiserver.admission.dynamic.rounds import Rounds
    from apiserver.server import Server

Draft = dict[str, Any]

# How often a write that names no version starts over when others are faster. Kubernetes: patches try 5 times.
TRIES = 20

# Broken rules of one object that are told, and how long their texts may become: each may show all of a long list. An
# object of nothing but mistakes would take minutes and gigabytes.
MOST_ERRORS, MOST_ERROR_BYTES = 1000, 1024 * 1024

# Subresources whose draft is made by the server itself: rules for what a user may change in an update do not apply.
DECIDED_HERE = ("approval", "binding", "finalize")


@dataclass(slots=True)
class Write:
    """Who writes what, and how: passed to admission with every draft.

    `author` is in whose name fields are owned; without one the write moves no ownership.
    """

    cls: type[Resource]
    operation: str  # CREATE, UPDATE, DELETE or CONNECT
    namespace: str
    name: str
    user: User
    subresource: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    # For the audit log.
    annotations: dict[str, str] = field(default_factory=dict)
    # What the request asked for besides, as it was sent: webhooks are told.
    query: Mapping[str, list[str]] = field(default_factory=dict)
    is_patch: bool = False
    deletion: DeleteOptions | None = None
    facet: Facet | None = None
    rounds: Rounds | None = None  # of mutating admission, once somebody was asked
    author: Author | None = None
    # Of the body, or of the object that it changes, in bytes of text: heavy ones are worked on aside.
    weight: int = 0
    # Versions after this one were accepted by this server, by the rules of today: what stays is not looked at again.
    accepted_since: float = math.inf
    # Whether nothing can be wrong with what it changes.
    is_judged: bool = False


@dataclass(slots=True)
class Current:
    """The version of an object that a write starts from."""

    draft: Draft
    revision: int
    # In the store it stands in another version: even who changes nothing has it written, as migrations expect.
    is_stale: bool = False
    weight: int = 0

    def is_same(self, wanted: Draft) -> bool:
        """Whether a wanted draft says the same.

        The order of keys, the version it names and when managers say they wrote do not matter.
        """
        if wanted.keys() != self.draft.keys() or any(
            wanted[key] != value for key, value in self.draft.items() if key != "metadata"
        ):
            return False
        ignored = {"resourceVersion": "", "managedFields": None}
        if {**wanted["metadata"], **ignored} != {**self.draft["metadata"], **ignored}:
            return False
        return undated(entries_of(wanted)) == undated(entries_of(self.draft))


def copy_of(draft: Draft) -> Draft:
    """A draft that may be changed without changing this one, except for the entries of managedFields, which nobody
    changes in place.
    """
    metadata = draft["metadata"]
    entries = metadata.get("managedFields")
    bare = {**metadata, "managedFields": None} if entries else metadata
    copy: Draft = orjson.loads(orjson.dumps({**draft, "metadata": bare}))
    if entries:
        copy["metadata"]["managedFields"] = entries
    return copy


def _changed(change: Callable[[Draft], Draft], current: Current) -> Draft:
    return change(copy_of(current.draft))


def _enough(errors: Iterable[FieldError]) -> Iterator[FieldError]:
    size = 0
    for error in islice(errors, MOST_ERRORS):
        yield error
        size += len(error.message)
        if size > MOST_ERROR_BYTES:
            return


def _is_stale(stored: Stored) -> bool:
    return isinstance(stored, CustomStored) and stored.is_in_former_version


class Rest:
    """The operations on one kind."""

    def __init__(self, server: Server, cls: type[Resource]) -> None:
        self.server = server
        self.cls = cls
        self.kind = cls.kind
        self.cache = server.cache.of(cls)

    # ---- reading -------------------------------------------------------------------------------------------------

    async def get(self, namespace: str, name: str) -> Stored:
        """The newest version of an object; raises NotFound."""
        await self.server.cache.fresh()
        return self.cached(namespace, name)

    def cached(self, namespace: str, name: str) -> Stored:
        """An object as the watch cache knows it right now; raises NotFound."""
        stored = self.cache.get(namespace if self.kind.namespaced else "", name)
        if stored is None:
            raise not_found(self.kind.resource, name)
        return stored

    async def current(self, namespace: str, name: str, *, from_store: bool = False) -> Current:
        """An object to be changed: from the cache, or on a second try from the store itself."""
        if not from_store:
            stored = self.cache.get(namespace if self.kind.namespaced else "", name)
            if stored is not None:
                return Current(stored.draft(self.kind), stored.revision, _is_stale(stored), weight_of(stored.item))
        entry = await self.server.store.get(keys.key(self.kind, namespace, name))
        if entry is None:
            raise not_found(self.kind.resource, name)
        if self.kind.is_custom:
            stored = self.cache.stored(entry.key, entry.value, entry.revision)
            draft, is_stale = stored.draft(self.kind), _is_stale(stored)
        else:
            draft, is_stale = orjson.loads(entry.value), False
        draft["metadata"]["resourceVersion"] = str(entry.revision)
        return Current(draft, entry.revision, is_stale, weight_of(entry.value))

    # ---- writing -------------------------------------------------------------------------------------------------

    async def create(self, draft: Draft, write: Write) -> bytes:
        """Store a new object; returns its JSON. A clash of a generated name is tried again with another one."""
        generated = not draft["metadata"].get("name") and bool(draft["metadata"].get("generateName"))
        for attempt in range(8 if generated else 1):
            fresh = copy_of(draft) if attempt else draft
            if generated:
                fresh["metadata"].pop("name", None)
            try:
                return await self._create(fresh, write)
            except ApiError as error:
                if not generated or error.reason != "AlreadyExists" or attempt == 7:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _create(self, draft: Draft, write: Write) -> bytes:
        drafts.set_namespace(draft["metadata"], self.cls, write.namespace)
        entries = await aside(write.weight, self._entries, draft, None, write)
        drafts.set_entries(draft, entries)
        await self.server.admission.mutate(draft, None, write)
        begun = (self.cls, write.namespace, self.server.now(), self.server.random)
        await aside(write.weight, drafts.begin, draft, *begun)
        drafts.set_entries(draft, entries)
        name = write.name = draft["metadata"].get("name", "")
        async with self.server.allocations.reserve(self.cls, draft, None, is_dry=write.dry_run) as reserved:
            await aside(write.weight, self._validate, draft, None, write)
            await self.server.admission.validate(draft, None, write)
            value = await aside(write.weight, encode, draft, self.kind)
            if write.dry_run:
                if self.cache.get(write.namespace if self.kind.namespaced else "", name) is not None:
                    raise already_exists(self.kind.resource, name)
                return value
            try:
                key = keys.key(self.kind, write.namespace, name)
                entry = await reserved.written(self.server.store.put(key, value, expected=0))
            except StaleWrite:
                raise already_exists(self.kind.resource, name) from None
        return with_revision(value, self.kind, entry.revision)

    async def update(self, change: Callable[[Draft], Draft], write: Write) -> bytes:
        """Change an object: `change` gets the current draft and returns the wanted one. Returns the object's JSON.

        A resourceVersion in the wanted draft makes the write conditional.
        """
        key = keys.key(self.kind, write.namespace, write.name)
        for attempt in range(TRIES):
            await self.server.turns.come(key)
            current = await self.current(write.namespace, write.name, from_store=attempt > 0)
            try:
                return await self._update(current, change, write, from_store=attempt > 0)
            except StaleWrite:
                continue
            except ApiError:
                # What is wrong with an object as it was may be right with it as it is.
                if attempt or not await self._is_behind(current, write):
                    raise
        raise conflict(self.kind.resource, write.name)

    async def _update(
        self, current: Current, change: Callable[[Draft], Draft], write: Write, *, from_store: bool
    ) -> bytes:
        write.weight = max(write.weight, current.weight)
        wanted = await aside(write.weight, _changed, change, current)
        version = wanted["metadata"].get("resourceVersion", "")
        self._check_version(version, write)
        if version and version != str(current.revision):
            if not from_store:
                # The cache may be a moment behind; only the store can tell a stale caller, and is asked no more then.
                raise StaleWrite(keys.key(self.kind, write.namespace, write.name), current.revision, None)
            raise conflict(self.kind.resource, write.name)
        return await self._replace(wanted, current, write)

    async def _is_behind(self, current: Current, write: Write) -> bool:
        """Whether another server has written the object since: what is known here then decides nothing."""
        if not self.server.store.is_shared:
            return False
        entry = await self.server.store.get(keys.key(self.kind, write.namespace, write.name))
        return entry is None or entry.revision != current.revision

    def _check_version(self, version: str, write: Write) -> None:
        if not version and not self.cls.unconditional_update:
            error = FieldError(
                "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update"
            )
            raise invalid_object(self.kind.resource, write.name, [error])

    async def _replace(self, wanted: Draft, current: Current, write: Write) -> bytes:
        old = current.draft
        wanted = self._as_far_as_allowed(wanted, old, write)
        entries = await aside(write.weight, self._entries, wanted, old, write)
        drafts.set_entries(wanted, entries)
        await self.server.admission.mutate(wanted, old, write)
        if write.rounds is not None and write.rounds.has_changed:
            wanted = self._as_far_as_allowed(wanted, old, write)
            drafts.set_entries(wanted, entries)
        if write.subresource not in ("status", *DECIDED_HERE):
            await aside(write.weight, drafts.count_generation, wanted, old, self.cls)
        async with self.server.allocations.reserve(self.cls, wanted, old, is_dry=write.dry_run) as reserved:
            judged_by = None if write.subresource in DECIDED_HERE else old
            await aside(write.weight, self._validate, wanted, judged_by, write)
            await self.server.admission.validate(wanted, old, write)
            if not current.is_stale and await aside(write.weight, current.is_same, wanted):
                if await self._is_behind(current, write):
                    raise StaleWrite(keys.key(self.kind, write.namespace, write.name), current.revision, None)
                return with_revision(encode(old, self.kind), self.kind, current.revision)
            value = await aside(write.weight, encode, wanted, self.kind)
            if write.dry_run:
                return with_revision(value, self.kind, current.revision)
            key = keys.key(self.kind, write.namespace, write.name)
            if is_ready_to_go(wanted):
                # Its last finalizer is gone: this update is the deletion. Watchers see DELETED, no MODIFIED.
                with self.server.turns.writing(key) as turn:
                    entry = await self.server.store.delete(key, expected=current.revision)
                    turn.revision = entry.revision
                await self.server.allocations.release(self.cls, key, old, entry.revision)
            else:
                with self.server.turns.writing(key) as turn:
                    entry = await reserved.written(self.server.store.put(key, value, expected=current.revision))
                    turn.revision = entry.revision
        return with_revision(value, self.kind, entry.revision)

    def _as_far_as_allowed(self, wanted: Draft, old: Draft, write: Write) -> Draft:
        """The wanted draft with everything as it was that this write may not change."""
        metadata = wanted["metadata"]
        metadata["name"] = write.name
        drafts.set_namespace(metadata, self.cls, write.namespace)
        if write.subresource == "status":
            return drafts.status_only(wanted, old, self.cls)
        if write.subresource not in DECIDED_HERE:
            drafts.carry_over(wanted, old, self.cls)
        return wanted

    def _entries(self, wanted: Draft, old: Draft | None, write: Write) -> list[Entry]:
        """The managedFields that a write leaves; admission comes later, and what it adds belongs to nobody."""
        stored, author = entries_of(old) if old is not None else [], write.author
        if author is None:
            return stored
        if author.operation == APPLY:
            entries = entries_of(wanted)
        else:
            start = stored if author.subresource else entries_after(wanted, old)
            after = wanted
            if old is None and "status" in self.kind.subresources:
                after = {name: value for name, value in wanted.items() if name != "status"}
            entries = tracked(start, old, after, author, self.cls)
        return entries if entries is stored else settled(entries, time_text(self.server.now()))

    def _validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        """Raise `Invalid` with every broken rule. Without `old` the draft is judged as a new object."""
        if write.is_judged:
            return
        is_seen_so = write.cls.judged_as_seen or (self.kind.is_custom and write.cls.kind.is_custom)
        cls = write.cls if is_seen_so else self.cls
        if cls is not self.cls:
            draft, old = to_client(draft, cls), to_client(old, cls) if old is not None else None
        try:
            view = cls.read(draft)
        except ValueError as error:
            raise Invalid(f'{self.kind.qualified} "{draft["metadata"].get("name", "")}" is invalid: {error}') from None
        errors = self._errors(view, old, write)
        if errors and old is not None:
            # What was stored before a default existed lacks it: it is judged by what it would be today.
            errors = self._errors(view, accept(old, cls, validation="Ignore", warnings=[]), write)
        if errors:
            raise invalid_object(self.kind.qualified, view.metadata.name, errors)

    def _errors(self, view: Resource, old: Draft | None, write: Write) -> list[FieldError]:
        before = type(view).read(old) if old is not None else None
        known = before.metadata if before else None
        errors = validate_metadata(view.metadata, known, self.kind, self.cls.name_rule)
        # With a binding, the rest of the pod was judged when it came, and its node with the binding.
        if write.subresource == "status" and before is not None:
            errors = chain(errors, view.validate_status(before))
        elif write.subresource and write.subresource != "binding" and before is not None:
            errors = chain(errors, view.validate_subresource(write.subresource, before))
        elif write.subresource != "binding":
            errors = chain(errors, view.validate(before))
        return list(_enough(errors))

    # ---- deleting ------------------------------------------------------------------------------------------------

    async def delete(self, options: DeleteOptions, write: Write) -> tuple[bytes, bool]:
        """Delete an object, or begin to: finalizers and a pod's grace period come first.

        Returns its last JSON and whether it is gone for good.
        """
        write.deletion = options
        for attempt in range(TRIES):
            current = await self.current(write.namespace, write.name, from_store=attempt > 0)
            if not options.holds_for(current.draft) and attempt == 0:
                current = await self.current(write.namespace, write.name, from_store=True)
            options.check(current.draft, self.kind)
            await self.server.admission.mutate(current.draft, current.draft, write)
            await self.server.admission.validate(current.draft, current.draft, write)
            pending = begin_deletion(current.draft, self.cls, options, self.server.now())
            key = keys.key(self.kind, write.namespace, write.name)
            try:
                if pending is None:
                    return await self._remove(key, current, write)
                value = encode(pending, self.kind)
                if write.dry_run or current.is_same(pending):
                    return with_revision(value, self.kind, current.revision), False
                entry = await self.server.store.put(key, value, expected=current.revision)
                return with_revision(value, self.kind, entry.revision), False
            except StaleWrite:
                continue
        raise conflict(self.kind.resource, write.name)

    async def _remove(self, key: str, current: Current, write: Write) -> tuple[bytes, bool]:
        revision = current.revision
        if not write.dry_run:
            revision = (await self.server.store.delete(key, expected=current.revision)).revision
            await self.server.allocations.release(self.cls, key, current.draft, revision)
        return with_revision(encode(current.draft, self.kind), self.kind, revision), True
