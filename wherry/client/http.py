"""The API client: typed verbs on kinds, JSON in and views out.

    async with Client(connection, user_agent="wherry-scheduler") as client:
        pods = await client.list(Pod, "shop", labels="app=web")
        async for event in client.watch(Pod, "shop", since=pods.revision): ...

Reads answer with views decoded straight from the bytes; writes take and give JSON, because a view is never written
back. Whatever is not a success is raised as an `ApiError`: `NotFound`, `Conflict`, …, `Unavailable` when no
connection came about. Nothing is tried twice here: whether a second attempt does harm is known only to the caller.

Kubernetes: client-go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar

import msgspec
import orjson

from wherry.client import clock
from wherry.client.kubeconfig import Connection
from wherry.client.transport import HttpTransport, Transport, error_from
from wherry.machinery.errors import BadRequest, InternalError, from_status
from wherry.machinery.resource import Kind, Resource, kind_named

R = TypeVar("R", bound=Resource)

PAGE = 500
# client-go's bounds: a watch ends by itself now and then, so that streams spread anew over the servers.
WATCH_SECONDS = (300, 600)
PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Listing(NamedTuple, Generic[R]):
    """The objects of a kind at one revision of the cluster."""

    items: list[R]
    revision: str


class WatchEvent(NamedTuple, Generic[R]):
    """ADDED, MODIFIED, DELETED (with the last state) or BOOKMARK (without object): the cluster is at `revision`."""

    type: str
    object: R | None
    revision: str


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Bare(msgspec.Struct):
    metadata: _ListMeta


_read_list = msgspec.json.Decoder(_List).decode
_read_event = msgspec.json.Decoder(_Event).decode
_read_bare = msgspec.json.Decoder(_Bare).decode


class Client:
    """See the module. One per component: it keeps the connections."""

    def __init__(self, connection: Connection, *, user_agent: str, transport: Transport | None = None) -> None:
        self.connection = connection
        self._own = HttpTransport(connection) if transport is None else None
        self._transport: Transport = transport or self._own  # type: ignore[assignment]
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        self._discovered: dict[tuple[str, str], Kind] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up; a transport that was handed in stays open."""
        if self._own is not None:
            await self._own.close()

    @property
    def answered(self) -> Mapping[tuple[str, str], int]:
        """How many requests were answered, by method and status; none over a transport that was handed in."""
        return self._own.answered if self._own is not None else {}

    async def get(self, kind: type[R], name: str, namespace: str = "") -> R:
        """One object; raises `NotFound`."""
        return kind.read(await self._bytes("GET", kind.kind.path(namespace, name)))

    async def list(self, kind: type[R], namespace: str = "", *, labels: str = "", fields: str = "") -> Listing[R]:
        """All objects of a kind, or those in a namespace or selected, as of one revision; fetched in pages."""
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        items: list[R] = []
        while True:
            page = _read_list(await self._bytes("GET", kind.kind.path(namespace), query))
            items += [kind.read(bytes(raw)) for raw in page.items]
            if not page.metadata.continue_:
                return Listing(items, page.metadata.resource_version)
            query["continue"] = page.metadata.continue_

    async def create(self, manifest: dict[str, Any], *, dry_run: bool = False, strict: bool = False) -> dict[str, Any]:
        """Create an object; gives it as stored. A `strict` one is refused for fields that nobody knows."""
        kind = await self.kind_of(manifest)
        path = kind.path(self._namespace(kind, manifest))
        query = {"dryRun": "All" if dry_run else "", "fieldValidation": "Strict" if strict else ""}
        return await self._object("POST", path, manifest, query=query)

    async def update(self, manifest: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        """Replace an object by one that was read whole."""
        kind = await self.kind_of(manifest)
        name = manifest["metadata"]["name"]
        return await self._object("PUT", kind.path(self._namespace(kind, manifest), name, subresource), manifest)

    async def patch(
        self,
        kind: type[Resource],
        name: str,
        namespace: str,
        patch: dict[str, Any] | Sequence[Any],
        *,
        subresource: str = "",
        type: str = "merge",
        field_manager: str = "",
    ) -> dict[str, Any]:
        """Change an object; `type` is merge, strategic, json or apply (which takes fields over by force)."""
        if type not in PATCHES:
            raise ValueError(f"patch type {type!r}: allowed are {', '.join(PATCHES)}")
        query = {"fieldManager": field_manager, "force": "true" if type == "apply" else ""}
        path = kind.kind.path(namespace, name, subresource)
        return await self._object("PATCH", path, patch, query=query, content_type=PATCHES[type])

    async def delete(
        self,
        kind: type[Resource],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_seconds: int | None = None,
        propagation: str = "Background",
    ) -> dict[str, Any]:
        """Delete an object, if it is still the one with `uid`; gives its last state or a `Status`."""
        options = delete_options(uid=uid, grace_seconds=grace_seconds, propagation=propagation)
        return await self._object("DELETE", kind.kind.path(namespace, name), options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        """Any request; gives the decoded JSON, None for an empty answer."""
        answer = await self._bytes(method, path, query, body=body, content_type=content_type)
        try:
            return orjson.loads(answer) if answer else None
        except orjson.JSONDecodeError as error:
            raise InternalError(f"{method} {path}: expected JSON, got {answer[:80]!r}") from error

    async def watch(
        self, kind: type[R], namespace: str = "", *, since: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent[R]]:
        """The changes after revision `since`, in order, until the server ends the stream; raises `Expired`."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": since}
        query |= {"labelSelector": labels, "fieldSelector": fields}
        query["timeoutSeconds"] = str(clock.randomness().randint(*WATCH_SECONDS))
        lines = self._transport.stream("GET", kind.kind.path(namespace), _present(query), self._headers, None)
        async for line in lines:
            if line.strip():
                yield _event(kind, line)

    async def _object(self, method: str, path: str, body: Any, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request(method, path, body=body, **options)
        return answer

    async def _bytes(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        headers = self._headers if body is None else {**self._headers, "Content-Type": content_type}
        encoded = None if body is None else orjson.dumps(body)
        status, answer_headers, answer = await self._transport.request(
            method, path, _present(query or {}), headers, encoded
        )
        if status >= 400:
            raise error_from(status, answer_headers, answer)
        return answer

    def _namespace(self, kind: Kind, manifest: dict[str, Any]) -> str:
        return (manifest.get("metadata") or {}).get("namespace") or self.connection.namespace if kind.namespaced else ""

    async def kind_of(self, manifest: dict[str, Any]) -> Kind:
        """Where objects of that kind live: ours are registered, others the server describes."""
        api_version, name = manifest.get("apiVersion") or "", manifest.get("kind") or ""
        known = kind_named(api_version, name)
        if known is not None:
            return known.kind
        if (api_version, name) not in self._discovered:
            group, _, version = api_version.rpartition("/")
            listed = await self.request("GET", f"/apis/{api_version}" if group else f"/api/{api_version}")
            for entry in listed["resources"]:
                if "/" not in entry["name"]:
                    kind = Kind(group, version, entry["kind"], entry["name"], entry["namespaced"], (), (), (), ())
                    self._discovered[api_version, entry["kind"]] = kind
        if (api_version, name) not in self._discovered:
            raise BadRequest(f'no matches for kind "{name}" in version "{api_version}"')
        return self._discovered[api_version, name]


def delete_options(
    *, uid: str = "", version: str = "", grace_seconds: int | None = None, propagation: str = "Background"
) -> dict[str, Any]:
    """The body of a DELETE: which object is meant, in which version if that matters, and how it shall go."""
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    preconditions = {"uid": uid, "resourceVersion": version}
    if uid or version:
        options["preconditions"] = {name: value for name, value in preconditions.items() if value}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return options


def _present(query: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in query.items() if value}


def _event(kind: type[R], line: bytes) -> WatchEvent[R]:
    event = _read_event(line)
    if event.type == "ERROR":
        raise from_status(orjson.loads(bytes(event.object)))
    if event.type == "BOOKMARK":
        return WatchEvent(event.type, None, _read_bare(event.object).metadata.resource_version)
    if event.type not in ("ADDED", "MODIFIED", "DELETED"):
        raise InternalError(f"a watch of {kind.kind.plural} brought an event of unknown type {event.type!r}")
    obj = kind.read(bytes(event.object))
    return WatchEvent(event.type, obj, obj.metadata.resource_version)
