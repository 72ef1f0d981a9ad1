"""Server-side apply: from a request to the configuration in it, and to a function that lays it over an object.

Kubernetes: endpoints/handlers/patch, applyPatcher. Differs: a configuration that cannot be applied (an unknown field,
items of one key) is a 400, where Kubernetes answers 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import yaml

from apiserver.fairness.aside import aside, weight_of
from apiserver.ownership.entries import APPLY, Author
from apiserver.patch import PatchError
from apiserver.patch.apply import apply
from apiserver.request import Request
from apiserver.writing.decoding import Source, accept, load_json, load_yaml, media_type_of
from wherry.machinery.errors import BadRequest, conflict
from wherry.machinery.resource import Resource
from wherry.machinery.schema import duplicate_fields, walk
from wherry.machinery.schema.leaves import json_type

if TYPE_CHECKING:
    from apiserver.writing.rest import Write

Draft = dict[str, Any]

APPLY_PATCH = "application/apply-patch+yaml"


class Configuration(NamedTuple):
    """What somebody applies: `draft` holds the fields they have an opinion on, and no others."""

    draft: Draft
    cls: type[Resource]
    author: Author
    force: bool

    def onto(self, live: Draft | None) -> Draft:
        """The live object with this applied, complete with defaults and managedFields; `live` None makes a new one."""
        try:
            merged = apply(live, self.draft, self.author, self.cls, force=self.force)
        except (PatchError, RecursionError) as error:
            raise BadRequest(str(error) or "the configuration nests too deeply") from None
        entries = merged["metadata"].pop("managedFields")
        wanted = accept(merged, self.cls, validation="Ignore", warnings=[])
        wanted["metadata"]["managedFields"] = entries
        return wanted

    def created(self) -> Draft:
        """The object where there is none yet."""
        uid = self.draft["metadata"].get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(self.cls.kind.resource, self.draft["metadata"]["name"], why)
        if self.draft["metadata"].get("resourceVersion"):
            raise conflict(self.cls.kind.resource, self.draft["metadata"]["name"])
        return self.onto(None)


def is_apply(request: Request) -> bool:
    """Whether a PATCH is a server-side apply."""
    return media_type_of(request.header(b"content-type")) == APPLY_PATCH


async def read_configuration(request: Request, cls: type[Resource], write: Write) -> Configuration:
    """The configuration in an apply, checked; the write gets its author.

    Of what the subresource does not write, nothing is kept.
    """
    body = await request.body()
    write.weight = weight_of(body)
    return await aside(write.weight, _configuration, body, request, cls, write)


def _configuration(body: bytes, request: Request, cls: type[Resource], write: Write) -> Configuration:
    config, source = _parse(body)
    _check_kind(config, cls)
    validation = request.first("fieldValidation", "Warn")
    walked = walk(config, cls.schema())
    if walked.errors:
        raise BadRequest(f"{_failure(config, cls)}: {walked.errors[0].complaint()}")
    if walked.unknown:
        raise BadRequest(f"{_failure(config, cls)}: .{walked.unknown[0]}: field not declared in schema")
    twice = [] if validation == "Ignore" else duplicate_fields(source.body, walked.key_count, is_yaml=source.is_yaml)
    if twice:
        texts = [f'duplicate field "{path}"' for path in twice]
        if validation == "Strict":
            raise BadRequest("error strict decoding patch: " + ", ".join(texts))
        request.warnings += texts
    draft: Draft = walked.value
    metadata = draft.setdefault("metadata", {})
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    _check_place(metadata, write)
    author = write.author = (write.author or Author("", cls.kind.api_version))._replace(operation=APPLY)
    return Configuration(_written_part(draft, cls, author.subresource), cls, author, request.flag("force"))


def _parse(body: bytes) -> tuple[Draft, Source]:
    """The body, which is YAML; nearly all clients send the part of it that is JSON."""
    is_json = body.lstrip()[:1] == b"{"
    try:
        config = load_json(body) if is_json else load_yaml(body)
    except orjson.JSONDecodeError:
        is_json = False
        config = _flow_style(body)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"error decoding YAML: {error}") from None
    if not isinstance(config, dict):
        why = f"json: cannot unmarshal {json_type(config)} into Go value of type map[string]interface {{}}"
        raise BadRequest(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return config, Source(body, not is_json)


def _flow_style(body: bytes) -> Any:
    try:
        return load_yaml(body)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"error decoding YAML: {error}") from None


def _check_kind(config: Draft, cls: type[Resource]) -> None:
    kind = cls.kind
    for word in ("apiVersion", "kind"):
        if not isinstance(config.get(word), str) or not config[word]:
            raise BadRequest(f"{word}: an applied configuration must say it, got {config.get(word)!r}")
    if config["apiVersion"] != kind.api_version:
        raise BadRequest(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {config['apiVersion']}, expected: {kind.api_version}"
        )
    if config["kind"] != kind.name:
        raise BadRequest(f"the configuration is of a {config['kind']}, but the URL is for a {kind.name}")


def _failure(config: Draft, cls: type[Resource]) -> str:
    metadata = config.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    place = f"{known.get('namespace', '')}/{known.get('name', '')}"
    return f"failed to create typed patch object ({place}; {cls.kind.api_version}, Kind={cls.kind.name})"


def _check_place(metadata: Draft, write: Write) -> None:
    """Name and namespace come from the URL; others in the body are a mistake."""
    for field, known in (("name", write.name), ("namespace", write.namespace if write.cls.kind.namespaced else "")):
        given = metadata.get(field, "")
        if known and given not in ("", known):
            raise BadRequest(f"the {field} of the object ({given}) does not match the {field} on the URL ({known})")
        if known:
            metadata[field] = known


def _written_part(draft: Draft, cls: type[Resource], subresource: str) -> Draft:
    """What an apply here can write: no status through the object, nothing else through its status."""
    if "status" not in cls.kind.subresources:
        return draft
    if subresource != "status":
        return {word: value for word, value in draft.items() if word != "status"}
    kept: Draft = {word: draft[word] for word in ("apiVersion", "kind", "status") if word in draft}
    metadata = {word: value for word, value in draft["metadata"].items() if word not in cls.kept_by_status_writes}
    return {**kept, "metadata": metadata}
