"""OpenAPI v3, one document for each group and version: what `kubectl explain`, `apply` and client-side validation read.

    index({"apis/apps/v1": [KindRow("apps", "v1", "Deployment", "deployments", True)]})
    document("apis/apps/v1", rows, descriptions=True)

The schemas are the walker's own data. Kubernetes' sentences about its fields are not part of Wherry; where the
`explain` extra (`kubernetes-validate`) is installed they are read from there, else `kubectl explain` shows names and
types alone.

Documents are built when first asked for (some 20 ms with descriptions) and kept until the rows change.

Kubernetes: apiserver's OpenAPI v3 aggregator.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from apiserver.openapi_paths import REF, KindRow, definitions_of, paths_of
from wherry.machinery.schema.definitions import GVK, META, RESOURCE_PROPERTIES, published

Json = dict[str, Any]

KUBERNETES_VERSION = "v1.37.0"
# Whose sentences about the properties of every kind custom kinds have, too.
_SAMPLE = "io.k8s.api.core.v1.ConfigMap"


def index(served: Mapping[str, Sequence[KindRow]], *, descriptions: bool = True) -> Json:
    """The body of `/openapi/v3`: where each document is, under a hash that changes with its content.

    Keys are the roots of the groups' versions, without a leading slash: `api/v1`, `apis/apps/v1`.
    """
    paths = {}
    for root, rows in served.items():
        tag = etag(root, rows, descriptions=descriptions)
        paths[root] = {"serverRelativeURL": f"/openapi/v3/{root}?hash={tag}"}
    return {"paths": paths}


def etag(root: str, rows: Sequence[KindRow], *, descriptions: bool = True) -> str:
    """The hash of a document, computed from what it is made of; the document itself need not exist."""
    has_sentences = descriptions and _sentences_file() is not None
    plain = [(*row._replace(subresources=()), *map(tuple, row.subresources)) for row in rows]
    source = orjson.dumps([root, plain, has_sentences])
    return hashlib.sha256(_built_in_digest() + source).hexdigest().upper()


@cache
def _built_in_digest() -> bytes:
    return hashlib.sha256(orjson.dumps(published())).digest()


# The last document of each group and version, with and without sentences, and the hash it was built under.
_built: dict[tuple[str, bool], tuple[str, bytes]] = {}


def document(root: str, rows: Sequence[KindRow], *, descriptions: bool = True) -> bytes:
    """The body of `/openapi/v3/<root>`, as JSON."""
    tag = etag(root, rows, descriptions=descriptions)
    built = _built.get((root, descriptions))
    if built is None or built[0] != tag:
        built = _built[root, descriptions] = tag, orjson.dumps(_build(rows, descriptions))
    return built[1]


def _build(rows: Sequence[KindRow], descriptions: bool) -> Json:
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": {path: operations for row in rows for path, operations in paths_of(row).items()},
        "components": {"schemas": schemas_of(rows, descriptions)},
    }


def schemas_of(rows: Sequence[KindRow], descriptions: bool) -> Json:
    """Every schema that these kinds need, by name."""
    sentences = _sentences() if descriptions else {}
    common = _described({"properties": RESOURCE_PROPERTIES}, sentences.get(_SAMPLE, {}))["properties"]
    custom = {name: schema for row in rows if row.schema is not None for name, schema in _custom_schemas(row, common)}
    return {
        name: custom[name] if name in custom else _described(published()[name], sentences.get(name, {}))
        for name in sorted(_reachable(rows, custom))
    }


def _custom_schemas(row: KindRow, common: Json) -> Iterator[tuple[str, Json]]:
    """A custom kind's schema and that of its list, with the properties that all kinds have."""
    source = row.schema or {}
    gvk = {"group": row.group, "version": row.version, "kind": row.kind}
    properties = {**source.get("properties", {}), **common}
    yield row.definition, {**source, "type": "object", "properties": properties, GVK: [gvk]}
    items = {"type": "array", "items": {"$ref": REF + row.definition}}
    properties = {**common, "metadata": {"$ref": f"{REF}{META}ListMeta"}, "items": items}
    listed = {"type": "object", "required": ["items"], "properties": properties}
    yield row.definition + "List", {**listed, GVK: [{**gvk, "kind": row.kind + "List"}]}


def _reachable(rows: Sequence[KindRow], custom: Mapping[str, Json]) -> set[str]:
    """The names of all schemas that the kinds, their lists and the operations on them mention."""
    waiting = [name for row in rows for name in definitions_of(row)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(custom.get(name) or published()[name]))
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(REF):
            yield reference.removeprefix(REF)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _described(node: Any, sentences: Any) -> Any:
    """The node with the sentences about it, word for word; both have the same shape."""
    result: Json = {}
    for word, value in node.items():
        theirs = sentences.get(word, {})
        if word == "properties":
            result[word] = {name: _described(child, theirs.get(name, {})) for name, child in value.items()}
        elif word in ("items", "additionalProperties") and isinstance(value, dict):
            result[word] = _described(value, theirs)
        else:
            result[word] = value
    sentence = sentences.get("description")
    if isinstance(sentence, str):
        result["description"] = sentence
    return _wrapped(result)


def _wrapped(node: Json) -> Json:
    """OpenAPI 3.0 ignores what stands beside a `$ref`, so a reference with company moves into `allOf`."""
    if isinstance(node.get("$ref"), str) and len(node) > 1:
        return {**{word: value for word, value in node.items() if word != "$ref"}, "allOf": [{"$ref": node["$ref"]}]}
    return node


def _sentences() -> Json:
    """Kubernetes' descriptions, by definition. Read again for each document: they would take 10 MB to keep."""
    file = _sentences_file()
    definitions: Json = orjson.loads(file.read_bytes())["$defs"] if file else {}
    return definitions


@cache
def _sentences_file() -> Path | None:
    # Importing the package would load jsonschema; only its location is needed.
    spec = importlib.util.find_spec("kubernetes_validate")
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / "kubernetes-json-schema" / f"{KUBERNETES_VERSION}-local" / "_definitions.json"
        if file.exists():
            return file
    return None
