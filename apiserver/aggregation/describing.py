"""What an aggregated API offers, in the words of discovery and OpenAPI, to be told with everything else.

Kubernetes: kube-aggregator's discovery and OpenAPI aggregation. Differs: OpenAPI v2 tells of this server's kinds only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from apiserver.aggregation.passing_on import ask
from wherry.api.apiregistration.api_service import APIService
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.aggregation.remotes import GroupVersion, Remote
    from apiserver.server import Server

Json = dict[str, Any]

# Kubernetes: how long a discovery check may take.
ASK_SECONDS = 5.0


class Described(NamedTuple):
    """The resources of a group and version as aggregated discovery tells them, and its entry in the OpenAPI index."""

    resources: list[Json]
    openapi: Json


async def described(server: Server, service: APIService) -> Described:
    """Ask; raises ApiError, OSError or ValueError if there is no answer that makes sense."""
    spec = service.spec
    root = f"apis/{spec.group}/{spec.version}"
    listed = orjson.loads(await ask(server, service, f"/{root}", "application/json", ASK_SECONDS))
    rows = listed.get("resources") if isinstance(listed, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("the answer is no APIResourceList")
    try:
        index = orjson.loads(await ask(server, service, "/openapi/v3", "application/json", ASK_SECONDS))
        entry = index["paths"].get(root, {})
    except (ApiError, OSError, ValueError, KeyError, TypeError, AttributeError):
        entry = {}  # a server without OpenAPI is served as well
    return Described(_discovered(rows, spec.group, spec.version), entry)


def _discovered(rows: list[Json], group: str, version: str) -> list[Json]:
    """The rows of an APIResourceList as aggregated discovery tells them: subresources below their resource."""
    found: dict[str, Json] = {}
    for row in rows:
        name, _, subresource = str(row.get("name", "")).partition("/")
        kind = {
            "group": row.get("group") or group,
            "version": row.get("version") or version,
            "kind": row.get("kind", ""),
        }
        verbs = row.get("verbs") or []
        if subresource:
            parent = found.setdefault(name, {"resource": name, "scope": _scope(row), "verbs": []})
            entry = {"subresource": subresource, "responseKind": kind, "verbs": verbs}
            parent.setdefault("subresources", []).append(entry)
            continue
        entry = {"resource": name, "responseKind": kind, "scope": _scope(row), "verbs": verbs}
        entry["singularResource"] = row.get("singularName") or str(row.get("kind", "")).lower()
        entry |= {key: row[key] for key in ("shortNames", "categories") if row.get(key)}
        found[name] = {**found.get(name, {}), **entry}
    return list(found.values())


def _scope(row: Json) -> str:
    return "Namespaced" if row.get("namespaced") else "Cluster"


def groups(remotes: Iterable[tuple[GroupVersion, Remote]]) -> dict[str, list[str]]:
    """The versions of every group that is answered elsewhere."""
    found: dict[str, list[str]] = {}
    for (group, version), _ in remotes:
        found.setdefault(group, []).append(version)
    return found


def group_entry(group: str, versions: Iterable[str]) -> Json:
    """A group as the legacy list tells it."""
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def with_remotes(body: bytes, remotes: Mapping[GroupVersion, Remote]) -> bytes:
    """The aggregated document with the versions that are answered elsewhere; of those that do not answer, what they
    said last, marked as stale.
    """
    document = orjson.loads(body)
    items: dict[str, Json] = {item["metadata"].get("name", ""): item for item in document["items"]}
    for (group, version), remote in remotes.items():
        item = items.setdefault(group, {"metadata": {"name": group}, "versions": []})
        freshness = "Current" if remote.is_available else "Stale"
        entry = {"version": version, "resources": remote.told.resources, "freshness": freshness}
        item["versions"] = [*(each for each in item["versions"] if each["version"] != version), entry]
    return orjson.dumps({**document, "items": list(items.values())})
