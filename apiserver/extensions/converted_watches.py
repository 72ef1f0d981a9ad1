"""Watches of custom objects in a version to which a webhook converts them.

A field selector is about the version that is watched, and what an object says there is known only once the webhook has
answered: so whether an event is for a watcher is decided here, not where changes are told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.extensions.converting import ask, convert_stored
from apiserver.reading.conversion import to_client
from apiserver.reading.listing import selection_of, version_of
from apiserver.reading.negotiation import Representation
from apiserver.reading.representation import event_of, one
from apiserver.reading.table import partial
from apiserver.reading.watching import refusing, watch_objects
from apiserver.request import Request, Stream
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.errors import Expired
from wherry.machinery.selectors import FieldTerms

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]


async def watch_converted(server: Server, request: Request, cls: type[CustomResource], form: Representation) -> Stream:
    """A watch of stored objects, each in the form of `cls`; only those whose fields are as asked for in that form."""
    target = request.target
    selection = selection_of(request, cls, target.namespace if target and cls.kind.namespaced else "")
    named = [term for term in selection.fields.terms if " " in term.name]
    terms = FieldTerms(tuple(term._replace(name=term.name.rpartition(" ")[2]) for term in named))
    kept = FieldTerms(tuple(term for term in selection.fields.terms if term not in named))
    selection = selection._replace(fields=kept)
    chosen = Chosen(cls, terms)
    stream = await watch_objects(server, request, cls.stored_as, Representation(), selection)
    version = version_of(request)
    if version and terms.terms and not request.flag("sendInitialEvents"):
        # The client has seen what there was then; the cache is at that version by now.
        known = server.cache.of(cls).at(version, selection.namespace)
        if known is None:
            return refusing(Expired(f"too old resource version: {version} ({server.cache.applied})"), form)
        await convert_stored(server, cls, known)
        chosen.begin([to_client(stored.draft(cls.stored_as.kind), cls) for stored in known])
    return Stream(_translated(server, stream, chosen, form, request.first("includeObject")))


class Chosen:
    """Which objects a watcher has been shown, by their fields in the version it watches."""

    def __init__(self, cls: type[CustomResource], terms: FieldTerms) -> None:
        self.cls, self._terms = cls, terms
        self._shown: set[str] = set()

    def begin(self, drafts: list[Draft]) -> None:
        """What there was when the watch begins."""
        self._shown = {draft["metadata"]["uid"] for draft in drafts if self._is_wanted(draft)}

    def as_told(self, type: str, draft: Draft) -> str:
        """What an event of the object is for this watcher: it may come into view or go out of it; empty for nothing."""
        if not self._terms.terms:
            return type
        uid = draft["metadata"]["uid"]
        was, is_wanted = uid in self._shown, type != "DELETED" and self._is_wanted(draft)
        (self._shown.add if is_wanted else self._shown.discard)(uid)
        if is_wanted:
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else ""

    def _is_wanted(self, draft: Draft) -> bool:
        view = self.cls.read(draft)
        return self._terms.matches({path: read(view) for path, read in self.cls.selectable.items()})


async def _translated(
    server: Server, stream: Stream, chosen: Chosen, form: Representation, include: str
) -> AsyncIterator[bytes]:
    cls = chosen.cls
    conversions = cls.declared.conversions
    async for chunk in stream.chunks:
        for line in chunk.splitlines():
            event = orjson.loads(line)
            type, obj = event["type"], event["object"]
            body = orjson.dumps(obj)
            if type in ("ADDED", "MODIFIED", "DELETED") and conversions is not None:
                await ask(server, conversions, [obj], cls.kind.api_version)
                draft = to_client(obj, cls)
                type = chosen.as_told(type, draft)
                body = one(cls, orjson.dumps(draft), form, server.now(), include)
            elif type == "BOOKMARK":
                body = orjson.dumps({**obj, "apiVersion": cls.kind.api_version})
                body = partial(body, form) if form.is_partial else body
            if type:
                yield event_of(type, body, form)
