"""The paths of OpenAPI: every request that is served, with what it takes and what it answers.

    paths_of(KindRow("apps", "v1", "Deployment", "deployments", True))
    {"/apis/apps/v1/deployments": {"get": {...}}, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}": {...}, ...}

Operations are named and marked as Kubernetes' are (`readAppsV1NamespacedDeployment`, `x-kubernetes-action`), since
generators of clients go by these. Differs: a kind that can only be created has a `patch` here too, or kubectl would not
validate it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wherry.machinery.schema.definitions import GVK, META, kinds, published

Json = dict[str, Any]

REF = "#/components/schemas/"
JSON = "application/json"
_YAML, _WATCH = "application/yaml", "application/json;stream=watch"
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"


class SubresourceRow(NamedTuple):
    """A subresource that is served, with the kind it answers with. `kind` may have no schema, as `PodExecOptions`."""

    name: str
    verbs: tuple[str, ...]
    group: str
    version: str
    kind: str


class KindRow(NamedTuple):
    """A kind that is served. `schema` is a custom kind's `openAPIV3Schema`; None for built-in kinds."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    schema: Any = None
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    subresources: tuple[SubresourceRow, ...] = ()

    @property
    def root(self) -> str:
        """Where this kind's group and version begins."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def collection(self) -> str:
        """The path of the collection of this kind, in a namespace where it has one."""
        return f"/{self.root}{'/namespaces/{namespace}' if self.namespaced else ''}/{self.plural}"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def definition(self) -> str:
        """The name of this kind's schema; a custom kind's is its group backwards, as upstream writes it."""
        if self.schema is None:
            return kinds()[self.api_version, self.kind]
        return ".".join([*reversed(self.group.split(".")), self.version, self.kind])

    @property
    def list_definition(self) -> str:
        """The name of its list's schema; empty for a kind that has no lists."""
        name = f"{self.definition}List"
        return name if self.schema is not None or name in published() else ""


class _Operation(NamedTuple):
    """How a verb is offered. `naming` is what Kubernetes calls it in operation ids, if not by its action."""

    method: str
    naming: str
    action: str
    options: tuple[str, ...] = ()
    takes: str = ""


_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_DELETING = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_SELECTING = ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch")
_WATCHING = ("allowWatchBookmarks", "sendInitialEvents", "timeoutSeconds", "watch")

_ON_COLLECTIONS = {
    "list": _Operation("get", "list", "list", (*_SELECTING, *_WATCHING)),
    "create": _Operation("post", "create", "post", _WRITING, takes="object"),
    "deletecollection": _Operation(
        *("delete", "delete", "deletecollection"), (*_SELECTING, *_DELETING), takes="DeleteOptions"
    ),
}
_ON_OBJECTS = {
    "get": _Operation("get", "read", "get"),
    "update": _Operation("put", "replace", "put", _WRITING, takes="object"),
    "patch": _Operation("patch", "patch", "patch", (*_WRITING, "force"), takes="Patch"),
    "delete": _Operation("delete", "delete", "delete", _DELETING, takes="DeleteOptions"),
    "create": _Operation("post", "create", "post", _WRITING, takes="object"),
}
_CONNECTIONS = ("attach", "exec", "portforward", "proxy")
_TYPES = dict.fromkeys(("gracePeriodSeconds", "limit", "timeoutSeconds"), "integer") | dict.fromkeys(
    ("allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"), "boolean"
)


def paths_of(row: KindRow) -> Json:
    """The paths at which a kind is served, each with its operations."""
    paths: Json = {}
    if row.namespaced and "list" in row.verbs:
        everywhere = _operation(row, _ON_COLLECTIONS["list"], f"{row.kind}ForAllNamespaces")
        paths |= _path(f"/{row.root}/{row.plural}", {"get": everywhere})
    paths |= _path(row.collection, dict(_offered(row, _ON_COLLECTIONS)))
    # kubectl asks the patch what may be sent, also about kinds that are never patched.
    on_object = dict(_offered(row, _ON_OBJECTS, but=("create",)))
    on_object.setdefault("patch", _operation(row, _ON_OBJECTS["patch"], _scoped(row)))
    item = f"{row.collection}/{{name}}"
    paths |= _path(item, on_object)
    for sub in row.subresources:
        paths |= _path(f"{item}/{sub.name}", dict(_on_subresource(row, sub)))
    return paths


def definitions_of(row: KindRow) -> Iterator[str]:
    """The schemas that these paths mention."""
    yield from (f"{META}{name}" for name in ("DeleteOptions", "Patch", "Status", "WatchEvent"))
    yield row.definition
    if row.list_definition:
        yield row.list_definition
    for sub in row.subresources:
        if definition := _definition_of(sub):
            yield definition


def _path(path: str, operations: Json) -> Json:
    if not operations:
        return {}
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    return {path: operations | {"parameters": [*(_in_path(name) for name in names), _in_query("pretty")]}}


def _offered(row: KindRow, operations: dict[str, _Operation], but: Sequence[str] = ()) -> Iterator[tuple[str, Json]]:
    for verb, operation in operations.items():
        if verb in row.verbs and verb not in but:
            collection = "Collection" if verb == "deletecollection" else ""
            yield operation.method, _operation(row, operation, f"{collection}{_scoped(row)}")


def _on_subresource(row: KindRow, sub: SubresourceRow) -> Iterator[tuple[str, Json]]:
    name = f"{_scoped(row)}{sub.name.title()}"
    marks = {GVK: {"group": sub.group, "version": sub.version, "kind": sub.kind}}
    definition = _definition_of(sub)
    for verb in sub.verbs:
        operation = _ON_OBJECTS[verb]
        if sub.name in _CONNECTIONS:
            naming = f"{operation.method.title()}{name}"
            operation = _Operation(operation.method, "connect", "connect")
            built = _operation(row, operation, naming)
            built["responses"] = _answers("", text=True)
        else:
            built = _operation(row, operation, name, definition)
        yield operation.method, built | marks


def _group_of(row: KindRow) -> str:
    """
    >>> _group_of(KindRow("rbac.authorization.k8s.io", "v1", "Role", "roles", True))
    'RbacAuthorization'
    """
    return "".join(part.title() for part in row.group.removesuffix(".k8s.io").split(".")) or "Core"


def _scoped(row: KindRow) -> str:
    return f"Namespaced{row.kind}" if row.namespaced else row.kind


def _operation(row: KindRow, operation: _Operation, naming: str, definition: str | None = None) -> Json:
    """One operation; `definition` is what it takes and answers, if not the kind itself. Empty means text."""
    group = _group_of(row)
    kept = row.definition if definition is None else definition
    built: Json = {
        "operationId": f"{operation.naming}{group}{row.version.title()}{naming}",
        "tags": [f"{group[:1].lower()}{group[1:]}_{row.version}"],
        "parameters": [_in_query(name) for name in operation.options],
        "responses": _answers(_answered(row, operation, kept), text=not kept, watch=operation.action == "list"),
        "x-kubernetes-action": operation.action,
        GVK: {"group": row.group, "version": row.version, "kind": row.kind},
    }
    if operation.takes:
        built["requestBody"] = _body(row, operation, kept)
    return built


def _answered(row: KindRow, operation: _Operation, definition: str) -> str:
    if operation.action == "list":
        return row.list_definition or definition
    return f"{META}Status" if operation.action in ("delete", "deletecollection") else definition


def _body(row: KindRow, operation: _Operation, definition: str) -> Json:
    if operation.takes == "Patch":
        types = _PATCH_TYPES if row.schema is not None else (*_PATCH_TYPES, _STRATEGIC)
        return {"required": True, "content": {type: {"schema": {"$ref": f"{REF}{META}Patch"}} for type in types}}
    name = definition if operation.takes == "object" else f"{META}{operation.takes}"
    schema = {"schema": {"$ref": REF + name}} if name else {"schema": {"type": "object"}}
    return {"required": operation.takes == "object", "content": {JSON: schema, _YAML: schema}}


def _answers(definition: str, *, text: bool = False, watch: bool = False) -> Json:
    if text:
        content: Json = {"*/*": {"schema": {"type": "string"}}}
    else:
        content = {JSON: {"schema": {"$ref": REF + definition}}}
    if watch:
        content[_WATCH] = {"schema": {"$ref": f"{REF}{META}WatchEvent"}}
    refused = {JSON: {"schema": {"$ref": f"{REF}{META}Status"}}}
    return {"200": {"description": "OK", "content": content}, "default": {"description": "Why not", "content": refused}}


def _definition_of(sub: SubresourceRow) -> str:
    api_version = f"{sub.group}/{sub.version}" if sub.group else sub.version
    return kinds().get((api_version, sub.kind), "")


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(name: str) -> Json:
    return {"name": name, "in": "query", "schema": {"type": _TYPES.get(name, "string")}}
