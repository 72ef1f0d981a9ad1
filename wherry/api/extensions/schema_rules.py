"""What a schema in a CustomResourceDefinition may look like: structural, so that it can prune and fill defaults.

Kubernetes: apiextensions `schema/validation`, messages included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.extensions.cel_rules import check_cel_rules
from wherry.machinery.cel import can_match
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.schema import Schema, defaults, walk
from wherry.machinery.schema.findings import TOO_MUCH_FILLED
from wherry.machinery.schema.values import NOTHING, checker
from wherry.machinery.validation import under

Node = dict[str, Any]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPES = ("atomic", "map", "set")
MAP_TYPES = ("atomic", "granular")
_UNSUPPORTED = ("$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
# What may only stand in the schema itself, not in the alternatives that restrict it.
_STRUCTURE = ("type", "description", "default", "additionalProperties", "nullable", "title")
_EMBEDDED, _UNKNOWN = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING, _LIST, _KEYS = "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"


def check_schema(root: Node, old: Node | None) -> Iterator[FieldError]:
    """Every broken rule of a version's schema. What `old` declared already need not be within today's cost."""
    if not root.get("type"):
        yield required("type", "must not be empty at the root")
    elif root["type"] != "object":
        yield invalid("type", root["type"], "must be object at the root")
    if root.get("nullable"):
        yield forbidden("nullable", "nullable cannot be true at the root")
    errors = list(_check_node(root, is_root=True))
    grown = {error for error in errors if error.message.endswith(TOO_MUCH_FILLED)}
    if grown and old:
        accepted = grown.intersection(_check_node(old, is_root=True))
        errors = [error for error in errors if error not in accepted]
    yield from errors
    if not errors:
        yield from check_cel_rules(root, old)


def _check_node(node: Any, *, is_root: bool = False, where: str = "") -> Iterator[FieldError]:
    if not isinstance(node, dict):
        yield invalid("", node, "must be an object")
        return
    yield from _check_words(node)
    if where and not node.get("type") and not node.get(_INT_OR_STRING) and not node.get(_UNKNOWN):
        yield required("type", f"must not be empty for specified {where}")
    yield from _check_extensions(node)
    if is_root or node.get(_EMBEDDED):
        yield from _check_metadata(node)
    yield from _check_list(node)
    for junctor in _JUNCTORS:
        for index, alternative in enumerate(_listed(node.get(junctor))):
            yield from under(f"{junctor}[{index}]", _check_alternative(alternative, node, f"{junctor}[{index}]"))
    if isinstance(node.get("not"), dict):
        yield from under("not", _check_alternative(node["not"], node, "not"))
    yield from _check_children(node)
    if "default" in node:
        yield from _check_default(node, is_root=is_root)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_words(node: Node) -> Iterator[FieldError]:
    kind = node.get("type")
    if kind and kind not in TYPES:
        yield not_supported("type", kind, TYPES)
    for word in _UNSUPPORTED:
        if node.get(word) not in (None, "", {}):
            yield forbidden(word, f"{word} is not supported")
    if node.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden("uniqueItems", why)
    if node.get("additionalProperties") is False:
        yield forbidden("additionalProperties", "additionalProperties cannot be set to false")
    elif node.get("additionalProperties") is not None and node.get("properties"):
        yield forbidden("additionalProperties", "additionalProperties and properties are mutual exclusive")
    if isinstance(node.get("items"), list):
        yield forbidden("items", "items must be a schema object and not an array")
    if kind == "array" and not node.get("items"):
        yield required("items", "must be specified")
    if node.get("pattern"):
        wrong = can_match(str(node["pattern"]))
        if wrong:
            yield invalid("pattern", node["pattern"], f"must be a valid regular expression, but isn't: {wrong}")


def _check_extensions(node: Node) -> Iterator[FieldError]:
    kind = node.get("type")
    if node.get(_UNKNOWN) is False:
        yield invalid(_UNKNOWN, False, "must be true or undefined")
    if node.get(_EMBEDDED):
        if kind != "object":
            yield invalid("type", kind or "", f"must be object if {_EMBEDDED} is true")
        if not node.get(_UNKNOWN) and not node.get("properties"):
            yield required("properties", f"must not be empty if {_EMBEDDED} is true without {_UNKNOWN}")
    if node.get(_INT_OR_STRING) and kind:
        yield forbidden("type", f"must be empty if {_INT_OR_STRING} is true")
    if node.get("x-kubernetes-map-type"):
        if kind != "object":
            yield invalid("type", kind or "", "must be object if x-kubernetes-map-type is specified")
        if node["x-kubernetes-map-type"] not in MAP_TYPES:
            yield not_supported("x-kubernetes-map-type", node["x-kubernetes-map-type"], MAP_TYPES)


def _check_metadata(node: Node) -> Iterator[FieldError]:
    metadata = (node.get("properties") or {}).get("metadata")
    if not isinstance(metadata, dict):
        return
    if metadata.get("type") not in (None, "object"):
        yield invalid("properties[metadata].type", metadata["type"], "must be object")
    if set(metadata.get("properties") or {}) - {"name", "generateName"}:
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden("properties[metadata]", why)


def _check_list(node: Node) -> Iterator[FieldError]:
    list_type, keys = node.get(_LIST), node.get(_KEYS) or []
    if list_type and list_type not in LIST_TYPES:
        yield not_supported(_LIST, list_type, LIST_TYPES)
    if list_type and node.get("type") != "array":
        yield invalid("type", node.get("type") or "", f"must be array if {_LIST} is specified")
    if keys and list_type != "map":
        yield invalid(_LIST, list_type or "", f"must be map if {_KEYS} is non-empty")
    if list_type != "map":
        return
    if not keys:
        yield required(_KEYS, f"must not be empty if {_LIST} is map")
    items = node.get("items")
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        yield invalid("items.type", items.get("type") or "", f"must be object if parent array's {_LIST} is map")
    fields = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in fields:
            yield invalid(f"{_KEYS}[{index}]", key, "entries must all be names of item properties")
        elif fields[key].get("type") not in ("string", "integer", "number", "boolean", None):
            why = f"must be a scalar type if parent array's {_LIST} is map"
            yield invalid(f"items.properties[{key}].type", fields[key].get("type"), why)
        elif key not in (items.get("required") or []) and "default" not in fields[key]:
            why = f"this property is in {_KEYS}, so it must have a default or be a required property"
            yield required(f"items.properties[{key}].default", why)


def _check_alternative(node: Any, outer: Node, place: str) -> Iterator[FieldError]:
    """An alternative restricts what the schema describes; it describes nothing itself."""
    if not isinstance(node, dict):
        yield invalid("", node, "must be an object")
        return
    may_be_typed = bool(outer.get(_INT_OR_STRING)) and place.startswith(("anyOf", "allOf"))
    for word in _STRUCTURE:
        if node.get(word) and not (word == "type" and may_be_typed):
            yield forbidden(
                word, "must be empty to be structural" if word != "nullable" else "must be false to be structural"
            )
    for word in sorted(node):
        if word.startswith("x-kubernetes-") and word != "x-kubernetes-validations":
            yield forbidden(
                word, "must be false to be structural" if node[word] is True else "must be undefined to be structural"
            )
    known = outer.get("properties") or {}
    for name, child in (node.get("properties") or {}).items():
        if name in known:
            yield from under(f"properties[{name}]", _check_alternative(child, known[name], place))
        elif not outer.get(_UNKNOWN) and name != "metadata":
            yield required(f"properties[{name}]", "must be described outside of the alternatives as well")
    for junctor in _JUNCTORS:
        for index, deeper in enumerate(_listed(node.get(junctor))):
            yield from under(f"{junctor}[{index}]", _check_alternative(deeper, outer, place))
    if isinstance(node.get("pattern"), str) and (wrong := can_match(node["pattern"])):
        yield invalid("pattern", node["pattern"], f"must be a valid regular expression, but isn't: {wrong}")


def _check_children(node: Node) -> Iterator[FieldError]:
    for name, child in (node.get("properties") or {}).items():
        yield from under(f"properties[{name}]", _check_node(child, where="object fields"))
    items, extra = node.get("items"), node.get("additionalProperties")
    if isinstance(items, dict):
        yield from under("items", _check_node(items, where="array items"))
    if isinstance(extra, dict):
        yield from under("additionalProperties", _check_node(extra, where="object fields"))


def _check_default(node: Node, *, is_root: bool) -> Iterator[FieldError]:
    if is_root:
        yield forbidden("default", "must not be set at the root")
        return
    default = node["default"]
    bare = {word: value for word, value in node.items() if word != "default"}
    try:
        walked = walk(default, Schema.from_openapi(bare), defaults=defaults)
        if any(error.text == TOO_MUCH_FILLED for error in walked.errors):
            yield forbidden("default", TOO_MUCH_FILLED)
            return
        broken = list(checker(bare)(walked.value, "", NOTHING))
    except (TypeError, ValueError, KeyError, AttributeError):
        return  # the schema itself is broken, and that is told
    if walked.unknown:
        yield invalid("default", default, "must not have unknown fields")
    for error in broken:
        yield error.under("default") if error.field else error._replace(field="default")
