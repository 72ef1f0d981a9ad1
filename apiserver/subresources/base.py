"""The registry of subresources."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from apiserver.request import Answer, Request
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

Serve = Callable[["Server", Request, type[Resource]], Awaitable[Answer]]


class ResponseKind(NamedTuple):
    """What a subresource answers with; empty means the parent's own."""

    group: str
    version: str
    kind: str


class Subresource(NamedTuple):
    """A subresource: `resource` empty serves every kind that declares `name`."""

    resource: str
    name: str
    verbs: tuple[str, ...]
    kind: ResponseKind | None
    serve: Serve
    methods: tuple[str, ...] = ()

    def response_kind(self, cls: type[Resource]) -> ResponseKind:
        """The kind it answers with, for discovery."""
        return self.kind or ResponseKind(cls.kind.group, cls.kind.version, cls.kind.name)


_registry: dict[tuple[str, str], Subresource] = {}


def subresource(
    path: str, *, verbs: tuple[str, ...], kind: tuple[str, str, str] | None = None, methods: tuple[str, ...] = ()
) -> Callable[[Serve], Serve]:
    """Register a function for `pods/binding`, or for `*/status` of every kind.

    `methods` are HTTP methods accepted besides those of the verbs (a WebSocket begins as a GET but counts as create).
    """
    resource, _, name = path.partition("/")
    resource = "" if resource == "*" else resource

    def registered(serve: Serve) -> Serve:
        response = ResponseKind(*kind) if kind else None
        _registry[resource, name] = Subresource(resource, name, verbs, response, serve, methods)
        return serve

    return registered


@cache
def load() -> None:
    """Import every subresource: to add one, add its file."""
    package = importlib.import_module("apiserver.subresources")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"apiserver.subresources.{module.name}")


def find_subresource(cls: type[Resource], path: str) -> Subresource | None:
    """Who serves `path` (such as `status`, or `proxy/some/page`) of a kind, if the kind declares it."""
    load()
    name = path.partition("/")[0]
    if name not in cls.kind.subresources:
        return None
    found = _registry.get((cls.kind.resource, name)) or _registry.get(("", name))
    return found if found is not None and (path == name or found.name == "proxy") else None


def subresources_of(cls: type[Resource]) -> list[Subresource]:
    """The subresources of a kind that are really served, in order."""
    found = (find_subresource(cls, name) for name in sorted(cls.kind.subresources))
    return [each for each in found if each is not None]
