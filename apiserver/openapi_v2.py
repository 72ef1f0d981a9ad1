"""OpenAPI v2, one document for all kinds: what clients before OpenAPI v3 read. It says what `openapi.py` says.

    document({"api/v1": [KindRow("", "v1", "Pod", "pods", True)]})

What v2 has no word for is left out: `oneOf`, `anyOf`, `not` and `nullable`; and a custom schema in which fields may be
unknown says nothing about its fields, or clients would refuse what it allows.

Kubernetes: /openapi/v2, kube-openapi's schema conversion. Differs: no sentences about built-in fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apiserver.openapi import KUBERNETES_VERSION, schemas_of
from apiserver.openapi_paths import REF, KindRow, paths_of
from wherry.machinery.schema.definitions import GVK, QUANTITY

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
        name: _custom(schema) if name in custom else _converted(schema, is_custom=False)
        for name, schema in schemas_of(rows, False).items()
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
            "paths": {path: _item(item) for row in rows for path, item in paths_of(row).items()},
            "definitions": definitions,
        }
    )


def etag(body: bytes) -> str:
    """The hash of a document."""
    return hashlib.sha256(body).hexdigest().upper()


def _item(item: Json) -> Json:
    """A path's v3 operations in v2's words."""
    common = [_parameter(each) for each in item["parameters"]]
    operations = {method: _operation(each) for method, each in item.items() if method != "parameters"}
    return {**operations, "parameters": common}


def _operation(operation: Json) -> Json:
    parameters = [_parameter(each) for each in operation["parameters"]]
    result = {**operation, "consumes": ["*/*"], "produces": ["application/json"]}
    if body := result.pop("requestBody", None):
        content = body["content"]
        result["consumes"] = list(content)
        schema = _converted(next(iter(content.values()))["schema"], is_custom=False)
        parameters.insert(0, {"name": "body", "in": "body", "required": body["required"], "schema": schema})
    result["parameters"] = parameters
    result["responses"] = {code: _response(each) for code, each in operation["responses"].items()}
    return result


def _parameter(parameter: Json) -> Json:
    place = {word: value for word, value in parameter.items() if word != "schema"}
    return {**place, **parameter["schema"]}


def _response(response: Json) -> Json:
    schema = next(iter(response["content"].values()))["schema"]
    return {"description": response["description"], "schema": _converted(schema, is_custom=False)}


def _custom(schema: Json) -> Json:
    """A custom kind's schema; where any field may be in the object, kubectl must not even hear of `metadata`."""
    return {"type": "object", GVK: schema[GVK]} if schema.get(_UNKNOWN) else _converted(schema, is_custom=True)


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
