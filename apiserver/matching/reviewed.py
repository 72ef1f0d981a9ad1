"""A request in the terms of `admission.k8s.io`: what webhooks are sent and what expressions know as `request`."""

from __future__ import annotations

from typing import Any

from apiserver.matching.attributes import Attributes, Names, resource_of
from apiserver.request import User
from wherry.machinery.resource import Resource

Json = dict[str, Any]

_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def request_of(attributes: Attributes, cls: type[Resource]) -> Json:
    """Everything but the objects. Kubernetes: AdmissionRequest."""
    write = attributes.write
    kind, own = attributes.kind_as(cls), attributes.kind_as(write.cls)
    request: Json = {"kind": _kind(kind), "resource": _resource(resource_of(cls))}
    if attributes.subresource:
        request["subResource"] = attributes.subresource
    request |= {"requestKind": _kind(own), "requestResource": _resource(attributes.resource)}
    if attributes.subresource:
        request["requestSubResource"] = attributes.subresource
    for field, value in (("name", attributes.name), ("namespace", attributes.namespace)):
        if value:
            request[field] = value
    request["operation"] = attributes.operation
    request["userInfo"] = user_of(write.user)
    request["dryRun"] = write.dry_run
    request["options"] = _options(attributes)
    return request


def _kind(names: Names) -> Json:
    return {"group": names.group, "version": names.version, "kind": names.name}


def _resource(names: Names) -> Json:
    return {"group": names.group, "version": names.version, "resource": names.name}


def user_of(user: User) -> Json:
    """A user as authentication.k8s.io writes it."""
    told: Json = {"username": user.name}
    if user.uid:
        told["uid"] = user.uid
    if user.groups:
        told["groups"] = list(user.groups)
    if user.extra:
        told["extra"] = {key: list(values) for key, values in user.extra}
    return told


def _options(attributes: Attributes) -> Json | None:
    write = attributes.write
    kind = _OPTIONS.get(attributes.operation)
    if kind is None:
        return None
    if write.is_patch and attributes.operation == "UPDATE":
        kind = "PatchOptions"
    options: Json = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if write.dry_run:
        options["dryRun"] = ["All"]
    for field in ("fieldManager", "fieldValidation") if kind != "DeleteOptions" else ():
        if write.query.get(field):
            options[field] = write.query[field][0]
    if kind == "DeleteOptions" and write.deletion is not None:
        options |= write.deletion.to_json()
    return options
