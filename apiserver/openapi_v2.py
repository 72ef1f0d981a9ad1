"""OpenAPI v2, one document for all kinds: what clients before OpenAPI v3 read. It says what `openapi.py` says.

    document({"api/v1": [KindRow("", "v1", "Pod", "pods", True)]})

What v2 has no word for is left out: `oneOf`, `anyOf`, `not` and `nullable`; and a custom schema in which fields may be
unknown says nothing about its fields, or clients would refuse what it allows.

Kubernetes: /openapi/v2, kube-openapi's schema conversion. Differs: no sentences about built-in fields. In protobuf, for
which only kubectl before 1.29 asks, the document is empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apiserver.openapi import KUBERNETES_VERSION, REF, KindRow, patch_operation, schemas_of
from wherry.machinery.schema.definitions import QUANTITY

Json = dict[str, Any]

_REF = "#/definitions/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_WORDLESS = ("oneOf", "anyOf", "allOf", "not", "nullable")
_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


def document(served: Mapping[str, Sequence[KindRow]]) -> bytes:
    """The body of `/openapi/v2`, as JSON."""
    rows = [row for each in served.values() for row in each]
    custom = {row.definition for row in rows if row.schema is not None}
    definitions = {
        name: _converted(schema, is_custom=name in custom) for name, schema in schemas_of(rows, False).items()
    }
    for name, known in (
        (_INT_OR_STRING, {"type": "string", "format": "int-or-string"}),
        (QUANTITY, {"type": "string"}),
    ):
        if name in definitions:
            definitions[name] = known
    return orjson.dumps(
        {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
            "paths": {row.path: {"patch": _operation(row)} for row in rows},
            "definitions": definitions,
        }
    )


def etag(body: bytes) -> str:
    """The hash of a document."""
    return hashlib.sha256(body).hexdigest().upper()


def _operation(row: KindRow) -> Json:
    """The v3 operation in v2's words."""
    operation = patch_operation(row)
    body = operation.pop("requestBody")
    in_path = ("namespace", "name") if row.namespaced else ("name",)
    queries = [{"name": each["name"], "in": "query", "type": "string"} for each in operation["parameters"]]
    places = [{"name": name, "in": "path", "required": True, "type": "string"} for name in in_path]
    schema = {"name": "body", "in": "body", "required": True, "schema": {"type": "object"}}
    answer = {"description": "OK", "schema": {"$ref": _REF + row.definition}}
    return operation | {
        "consumes": list(body["content"]),
        "produces": ["application/json"],
        "parameters": [*places, schema, *queries],
        "responses": {"200": answer},
    }


def _converted(node: Any, *, is_custom: bool) -> Any:
    """A v3 schema as one of v2.

    >>> _converted({"type": "object", "nullable": True, "allOf": [{"$ref": "#/components/schemas/a"}]}, is_custom=False)
    {'type': 'object', '$ref': '#/definitions/a'}
    """
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref") or next((each.get("$ref") for each in node.get("allOf", ())), None)
    says_nothing = is_custom and (node.get(_UNKNOWN) or node.get("x-kubernetes-int-or-string"))
    dropped = (
        (*_WORDLESS, "type", "items", "properties", "additionalProperties", "required") if says_nothing else _WORDLESS
    )
    result: Json = {}
    for word, value in node.items():
        if word in dropped:
            continue
        if word == "properties":
            result[word] = {name: _converted(child, is_custom=is_custom) for name, child in value.items()}
        elif word in ("items", "additionalProperties"):
            result[word] = _converted(value, is_custom=is_custom)
        else:
            result[word] = value
    if reference:
        result["$ref"] = reference.replace(REF, _REF)
    return result
