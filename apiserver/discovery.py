"""Discovery: which groups, versions, kinds and verbs are served, in the legacy and the aggregated form, and OpenAPI.

Everything follows from the registries of kinds and subresources.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import openapi, openapi_v2
from apiserver.aggregation.describing import group_entry, groups, with_remotes
from apiserver.openapi_paths import KindRow, SubresourceRow
from apiserver.reading.answering import told
from apiserver.reading.negotiation import PROTOBUF, aggregated_discovery
from apiserver.request import Request, Response, json_response
from apiserver.subresources import subresources_of
from wherry.api.extensions.custom_resource import TERMINATING_VERBS, CustomResource
from wherry.machinery import protobuf
from wherry.machinery.protobuf.swagger import swagger
from wherry.machinery.resource import Resource, all_kinds

if TYPE_CHECKING:
    from apiserver.server import Server

Rows = tuple[type[Resource], ...]
Groups = dict[str, dict[str, Rows]]

# Preference among groups, where names are ambiguous; what is not listed comes after, alphabetically.
_ORDER: tuple[str, ...] = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
)
_ORDER += ("certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io")
_ORDER += ("admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io")
_ORDER += ("node.k8s.io", "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io")

_OPENAPI_V2_TYPE = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def group_versions(server: Server) -> Groups:
    """Served kinds by group and version, both in order of preference."""
    return _group_versions(server.custom.served)


def built_in_versions() -> Groups:
    """The same without custom kinds."""
    return _group_versions(())


# Derived from the custom kinds of one moment: a few, because several servers may live in one process.
@lru_cache(maxsize=8)
def _group_versions(custom: Rows) -> Groups:
    found: dict[str, dict[str, list[type[Resource]]]] = {}
    for cls in (*all_kinds(), *custom):
        if cls.kind.verbs:
            found.setdefault(cls.kind.group, {}).setdefault(cls.kind.version, []).append(cls)
    ranked = sorted(found, key=lambda group: (_ORDER.index(group) if group in _ORDER else len(_ORDER), group))
    return {
        group: {
            version: tuple(sorted(kinds, key=lambda cls: cls.kind.plural)) for version, kinds in found[group].items()
        }
        for group in ranked
    }


def is_served(server: Server, group: str, version: str) -> bool:
    """Whether the group has that version."""
    return version in group_versions(server).get(group, {})


def serve(server: Server, request: Request) -> Response | None:
    """Answer a discovery or OpenAPI request; None if there is nothing at that path."""
    parts = [part for part in request.path.split("/") if part]
    accept = request.header(b"accept")
    if parts[:2] == ["openapi", "v3"]:
        return _openapi_v3(server, request, parts[2:])
    if parts == ["openapi", "v2"]:
        return _openapi_v2(server, request)
    if parts in (["api"], ["apis"]) and (wanted := aggregated_discovery(accept)):
        return _aggregated(server, request, *wanted, core=parts == ["api"])
    found = _found(server, parts)
    return None if found is None else told(request, found)


def _found(server: Server, parts: list[str]) -> dict[str, Any] | None:
    """The legacy form of discovery at a path."""
    if parts == ["api"]:
        return _api_versions(server)
    if parts == ["apis"]:
        return _group_list(server)
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in _remote_versions(server):
        return {"kind": "APIGroup", "apiVersion": "v1", **_remote_group(server, parts[1])}
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in group_versions(server) and parts[1]:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(server, parts[1])}
    if len(parts) == 2 and parts[0] == "api" and is_served(server, "", parts[1]):
        return _resource_list(server, "", parts[1])
    if len(parts) == 3 and parts[0] == "apis" and is_served(server, parts[1], parts[2]):
        return {"apiVersion": "v1", **_resource_list(server, parts[1], parts[2])}
    return None


def _api_versions(server: Server) -> dict[str, Any]:
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server.advertised}]
    return {
        "kind": "APIVersions",
        "versions": list(group_versions(server)[""]),
        "serverAddressByClientCIDRs": address,
    }


def _group(server: Server, group: str) -> dict[str, Any]:
    found = group_versions(server)[group]
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in found]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _remote_versions(server: Server) -> dict[str, list[str]]:
    return groups(server.remotes.all.items())


def _remote_group(server: Server, group: str) -> dict[str, Any]:
    """A group of which some versions, or all, are answered elsewhere."""
    elsewhere = _remote_versions(server)[group]
    here = [version for version in group_versions(server).get(group, {}) if version not in elsewhere]
    return group_entry(group, [*here, *elsewhere])


def _group_list(server: Server) -> dict[str, Any]:
    remote = _remote_versions(server)
    groups = [_group(server, group) for group in group_versions(server) if group and group not in remote]
    groups += [_remote_group(server, group) for group in remote]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _resource_list(server: Server, group: str, version: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for cls in group_versions(server)[group][version]:
        kind = cls.kind
        row: dict[str, Any] = {"name": kind.plural, "singularName": kind.singular_name, "namespaced": kind.namespaced}
        row |= {"kind": kind.name, "verbs": _verbs(cls)}
        if kind.short_names:
            row["shortNames"] = list(kind.short_names)
        if kind.categories:
            row["categories"] = list(kind.categories)
        rows.append(row)
        for sub in subresources_of(cls):
            row = {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
            response = sub.response_kind(cls)
            if (response.group, response.version) != (kind.group, kind.version):
                row |= {"group": response.group, "version": response.version}
            rows.append({**row, "kind": response.kind, "verbs": list(sub.verbs)})
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": rows}


def _aggregated(server: Server, request: Request, version: str, media_type: str, *, core: bool) -> Response:
    body = _aggregated_body(() if core else server.custom.served, version, core)
    if server.remotes.all and not core:
        body = with_remotes(body, server.remotes.all)
    if media_type == PROTOBUF:
        body = protobuf.encode(orjson.loads(body))
    etag = hashlib.sha256(body).hexdigest().upper()
    headers = ((b"etag", f'"{etag}"'.encode()), (b"vary", b"Accept"), (b"cache-control", b"public"))
    # A client's cache takes the headers of a 304 over the stored ones, so it repeats the content type.
    content_type = f"{media_type};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList".encode()
    unchanged = request.header(b"if-none-match").strip('"') == etag
    return Response(304, b"", content_type, headers) if unchanged else Response(200, body, content_type, headers)


@lru_cache(maxsize=16)
def _aggregated_body(custom: Rows, version: str, core: bool) -> bytes:
    items = []
    for group, versions in _group_versions(custom).items():
        if (group == "") != core:
            continue
        listed = [
            {"version": each, "resources": [_discovered(cls) for cls in kinds], "freshness": "Current"}
            for each, kinds in versions.items()
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}}
    return orjson.dumps({**head, "items": items})


def _discovered(cls: type[Resource]) -> dict[str, Any]:
    kind = cls.kind
    row: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.name},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular_name,
        "verbs": _verbs(cls),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    subresources = [
        {"subresource": sub.name, "responseKind": sub.response_kind(cls)._asdict(), "verbs": list(sub.verbs)}
        for sub in subresources_of(cls)
    ]
    if subresources:
        row["subresources"] = subresources
    return row


@lru_cache(maxsize=8)
def openapi_rows(custom: Rows) -> dict[str, tuple[KindRow, ...]]:
    """What OpenAPI documents tell of, by the root of its group and version."""
    return {
        f"apis/{group}/{version}" if group else f"api/{version}": tuple(_openapi_row(cls) for cls in kinds)
        for group, versions in _group_versions(custom).items()
        for version, kinds in versions.items()
    }


def _verbs(cls: type[Resource]) -> list[str]:
    if issubclass(cls, CustomResource) and cls.is_terminating:
        return list(TERMINATING_VERBS)
    return list(cls.kind.verbs)


def _openapi_row(cls: type[Resource]) -> KindRow:
    kind = cls.kind
    subs = tuple(SubresourceRow(sub.name, sub.verbs, *sub.response_kind(cls)) for sub in subresources_of(cls))
    row = KindRow(kind.group, kind.version, kind.name, kind.plural, kind.namespaced, _published(cls))
    return row._replace(verbs=tuple(_verbs(cls)), subresources=subs)


def _published(cls: type[Resource]) -> dict[str, Any] | None:
    return cls.declared.source if issubclass(cls, CustomResource) else None


def _openapi_v2(server: Server, request: Request) -> Response:
    in_protobuf = b"protobuf" in request.headers.get(b"accept", b"")
    body = _openapi_v2_body(server.custom.served, in_protobuf)
    content_type = _OPENAPI_V2_TYPE if in_protobuf else b"application/json"
    tag = openapi_v2.etag(body)
    headers = ((b"etag", f'"{tag}"'.encode()), (b"vary", b"Accept"))
    # A client's cache takes the headers of a 304 over the stored ones, so it repeats the content type.
    is_known = request.header(b"if-none-match").strip('"') == tag
    return Response(304, b"", content_type, headers) if is_known else Response(200, body, content_type, headers)


@lru_cache(maxsize=4)
def _openapi_v2_body(custom: Rows, in_protobuf: bool) -> bytes:
    body = openapi_v2.document(openapi_rows(custom))
    return swagger(orjson.loads(body)) if in_protobuf else body


@lru_cache(maxsize=4)
def _openapi_index(custom: Rows) -> dict[str, Any]:
    return openapi.index(openapi_rows(custom))


def _remote_documents(server: Server) -> dict[str, Any]:
    """The entries of documents that other servers have."""
    remotes = server.remotes.all.items()
    return {f"apis/{group}/{version}": each.told.openapi for (group, version), each in remotes if each.told.openapi}


def _openapi_v3(server: Server, request: Request, path: list[str]) -> Response | None:
    rows = openapi_rows(server.custom.served)
    if not path:
        index = _openapi_index(server.custom.served)
        return json_response({"paths": {**index["paths"], **_remote_documents(server)}})
    root = "/".join(path)
    if root not in rows:
        return None
    tag = openapi.etag(root, rows[root])
    headers = [(b"etag", f'"{tag}"'.encode()), (b"vary", b"Accept")]
    if request.header(b"if-none-match").strip('"') == tag:
        return Response(304, b"", headers=tuple(headers))
    wanted = request.first("hash")
    if wanted == tag:
        headers.append((b"cache-control", b"public, immutable"))
        headers.append((b"expires", b"Fri, 31 Dec 2060 23:59:59 GMT"))
    elif wanted:
        moved = (b"location", f"{request.path}?hash={tag}".encode())
        return Response(301, b"", headers=(*headers, moved))
    return Response(200, openapi.document(root, rows[root]), headers=tuple(headers))
