"""From a request body to a draft: JSON, YAML or protobuf in, a walked and defaulted dict out.

Kubernetes: the codec's decode and default, with field validation (Strict, Warn, Ignore). Differs: besides its length
there is a limit to how many values a body may hold, and to how long its defaults may make it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import yaml

from apiserver.fairness.aside import marks_in
from apiserver.request import BODY_LIMIT_BYTES
from wherry.machinery import protobuf
from wherry.machinery.errors import BadRequest, TooLarge, UnsupportedMediaType
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults, duplicate_fields, walk
from wherry.machinery.schema.walker import MAX_DEPTH

Draft = dict[str, Any]

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"

# How many values an object may hold at all depths: what little there is to write for each takes memory and time.
MAX_VALUES = 100_000

_OBJECT_FIELDS = ("", "apiVersion", "kind", "metadata")


class Undecodable(BadRequest):
    """An object with a value that its field cannot hold; `complaint` is the decoder's own part of the message."""

    def __init__(self, complaint: str, message: str) -> None:
        super().__init__(message)
        self.complaint = complaint


class _Loader(yaml.CSafeLoader):
    """YAML as JSON knows it: timestamps stay text, and keys are text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        return (
            mapping if all(type(key) is str for key in mapping) else {_key_text(key): mapping[key] for key in mapping}
        )


def _key_text(key: Any) -> str:
    """A key that YAML takes for a number or a truth value, as Go's YAML writes it into JSON."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise yaml.YAMLError(f"a key must be text, got {key!r}")


def load_yaml(body: bytes) -> Any:
    """One document, looked over before anything is built of it.

    A few lines of aliases keep any reader of the result busy for ever; nesting costs the scanner quadratic time.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(body, _Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it nests deeper than {MAX_DEPTH} levels")
        if count > 2 * MAX_VALUES:  # keys are events as well
            check_values(count // 2)
    return yaml.load(body, _Loader)  # a subclass of the safe loader


def load_json(body: bytes) -> Any:
    """A value, after a look at how many are in it; raises orjson.JSONDecodeError or TooLarge."""
    if len(body) > MAX_VALUES and marks_in(body) > MAX_VALUES:  # which may stand in texts
        check_values(_values(body))
    return orjson.loads(body)


def _values(body: bytes) -> int:
    """About how many values there are in JSON, for the price of looking through it a few times."""
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    quotes = bare.count(b'"')
    if quotes > 4 * MAX_VALUES:
        return quotes // 4  # a value has at most a key and itself in quotes
    return marks_in(b"".join(bare.split(b'"')[::2]))


def check_values(count: int) -> None:
    """Raise TooLarge for more values than an object may have."""
    if count > MAX_VALUES:
        raise TooLarge(f"Request entity too large: it holds {count} values or more, limit is {MAX_VALUES}")


def check_size(draft: Draft) -> None:
    """Raise TooLarge for an object that became too long by its defaults."""
    size = len(orjson.dumps(draft))
    if size > BODY_LIMIT_BYTES:
        raise TooLarge(f"Request entity too large: with its defaults it is {size} bytes, limit is {BODY_LIMIT_BYTES}")


def media_type_of(content_type: str) -> str:
    """The media type of a Content-Type header; absent means JSON."""
    return content_type.partition(";")[0].strip().lower() or JSON


def parse(body: bytes, content_type: str) -> Draft:
    """Decode a body by its media type; raises `BadRequest` or `UnsupportedMediaType`."""
    media_type = media_type_of(content_type)
    try:
        if media_type == JSON:
            decoded = load_json(body)
        elif media_type == PROTOBUF:
            decoded = protobuf.decode(body)
        elif media_type == YAML:
            decoded = load_yaml(body)
        else:
            accepted = ", ".join((JSON, YAML, PROTOBUF))
            text = "the body of the request was in an unknown format - accepted media types include: "
            raise UnsupportedMediaType(text + accepted)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from None
    if not isinstance(decoded, dict):
        raise BadRequest(f"the object provided is unrecognized: expected an object, got {type(decoded).__name__}")
    return decoded


def check_kind(draft: Draft, cls: type[Resource]) -> None:
    """Refuse a draft of something else than the URL says; a draft that does not say is taken at the URL's word."""
    kind = cls.kind
    given, version = draft.get("kind") or kind.name, draft.get("apiVersion") or kind.api_version
    if version != kind.api_version:
        text = f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        raise BadRequest(text)
    if given != kind.name:
        raise BadRequest(f"the object provided is unrecognized: it is a {given}, but the URL is for a {kind.name}")


class Source(NamedTuple):
    """The text a draft was decoded from, to be searched for fields that stand in it twice."""

    body: bytes
    is_yaml: bool = False


def source_of(body: bytes, content_type: str) -> Source | None:
    """The source of a draft; None for protobuf, which has no way to say a thing twice."""
    media_type = media_type_of(content_type)
    return None if media_type == PROTOBUF else Source(body, media_type == YAML)


def accept(
    draft: Draft,
    cls: type[Resource],
    *,
    validation: str,
    warnings: list[str],
    source: Source | None = None,
    settled: frozenset[int] = frozenset(),
) -> Draft:
    """Walk a draft: types checked, unknown and duplicate fields reported as asked, defaults filled.

    Unknown fields are dropped. What is `settled` was accepted before. Raises `BadRequest`.
    """
    kind = cls.kind
    schema = cls.schema()
    walked = walk(draft, schema, defaults=defaults, settled=settled)
    for error in walked.errors:
        # A custom object with a value of a wrong type can be read; its schema refuses it, with all that is wrong.
        if not kind.is_custom or error.text or error.path.partition(".")[0] in _OBJECT_FIELDS:
            raise Undecodable(error.complaint(), error.message(kind.name, kind.version))
    if validation != "Ignore":
        problems = [f'unknown field "{path}"' for path in walked.unknown]
        if source is not None:
            twice = duplicate_fields(source.body, walked.key_count, is_yaml=source.is_yaml)
            problems += [f'duplicate field "{path}"' for path in twice]
        if problems and validation == "Strict":
            texts = ", ".join(problems)
            prefix = f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}'
            raise BadRequest(f"{prefix}: strict decoding error: {texts}")
        warnings += problems
    result: Draft = walked.value
    result["kind"], result["apiVersion"] = kind.name, kind.api_version
    if "spec" in schema.properties and not kind.is_custom:
        result.setdefault("spec", {})  # as in Go, where a struct is always there
    metadata = result.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise BadRequest(f"metadata: expected an object, got {type(metadata).__name__}")
    return result
