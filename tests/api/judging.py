"""What the API server does with a manifest before it stores it, without the server: default, prepare, validate."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import wherry.api.kinds  # noqa: F401  # registers every kind
from wherry.machinery.resource import Resource, kind_named
from wherry.machinery.schema import defaults, schema_for, walk
from wherry.machinery.validation import validate_metadata

Manifest = dict[str, Any]


def class_of(manifest: Manifest) -> type[Resource]:
    """The class of a manifest's kind."""
    found = kind_named(manifest["apiVersion"], manifest["kind"])
    if found is None:
        raise LookupError(f"{manifest['kind']} of {manifest['apiVersion']} is no registered kind")
    return found


def defaulted(manifest: Manifest) -> Manifest:
    """The manifest with its defaults, as it comes out of decoding."""
    walked = walk(deepcopy(manifest), schema_for(manifest["apiVersion"], manifest["kind"]), defaults=defaults)
    if walked.errors:
        raise TypeError(walked.errors[0].complaint())
    return walked.value


def created(manifest: Manifest) -> Manifest:
    """The manifest as a new object would be stored."""
    draft = defaulted(manifest)
    cls = class_of(manifest)
    if cls.kind.namespaced:
        draft.setdefault("metadata", {}).setdefault("namespace", "default")
    cls.prepare_create(draft)
    return draft


def faults(manifest: Manifest) -> list[str]:
    """Every broken rule of a new object, as users read them."""
    view = class_of(manifest).read(created(manifest))
    errors = [*validate_metadata(view.metadata, None, view.kind, view.name_rule), *view.validate(None)]
    return [str(error) for error in errors]


def faults_of_update(old: Manifest, new: Manifest) -> list[str]:
    """Every broken rule of replacing one object by another."""
    cls, stored, draft = class_of(old), created(old), defaulted(new)
    draft["metadata"] = {**stored["metadata"], **draft.get("metadata", {})}
    draft.setdefault("status", stored.get("status", {}))
    cls.prepare_update(draft, stored)
    view, before = cls.read(draft), cls.read(stored)
    errors = [*validate_metadata(view.metadata, before.metadata, view.kind, view.name_rule), *view.validate(before)]
    return [str(error) for error in errors]


def row(manifest: Manifest) -> dict[str, Any]:
    """The cells of an object by the names of their columns; `Since` as it is."""
    view = class_of(manifest).read(manifest)
    return {column.name: column.cell(view) for column in view.columns}


def pod(**spec: Any) -> Manifest:
    """A pod with one container, and these fields of the spec."""
    spec.setdefault("containers", [container()])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}


def container(**fields: Any) -> Manifest:
    """A container with these fields."""
    return {"name": "app", "image": "nginx:1.29", **fields}


def deployment(**spec: Any) -> Manifest:
    """A Deployment of one container, and these fields of the spec."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def service(**spec: Any) -> Manifest:
    """A service with one port, and these fields of the spec."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def thing(kind: str, api_version: str = "v1", name: str = "thing", **fields: Any) -> Manifest:
    """An object of any kind."""
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
