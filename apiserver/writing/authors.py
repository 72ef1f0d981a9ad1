"""In whose name a request writes. Kubernetes: the `fieldManager` option, and managerOrUserAgent."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.ownership.entries import Author
from apiserver.request import Request
from apiserver.writing.applying import is_apply
from wherry.machinery.field_errors import FieldError, forbidden, invalid, required, too_long
from wherry.machinery.resource import Resource

MAX_MANAGER_BYTES = 128


def author_of(request: Request, cls: type[Resource], subresource: str) -> Author:
    """The name a request gives, or the first word of what its client calls itself."""
    manager = request.first("fieldManager")
    if not manager:
        client = request.header(b"user-agent").partition("/")[0]
        printable = client if client.isprintable() else "".join(filter(str.isprintable, client))
        manager = printable.encode()[:MAX_MANAGER_BYTES].decode(errors="ignore")
    return Author(manager, cls.kind.api_version, subresource=subresource)


def author_errors(request: Request) -> Iterator[FieldError]:
    """What is wrong with the options that say who writes, and by what right."""
    manager = request.first("fieldManager")
    if len(manager.encode()) > MAX_MANAGER_BYTES:
        yield too_long("fieldManager", MAX_MANAGER_BYTES)
    if not manager.isprintable():
        yield invalid("fieldManager", manager, "should only contain printable characters")
    if request.method == "PATCH" and is_apply(request):
        if not manager:
            yield required("fieldManager", "is required for apply patch")
    elif request.method == "PATCH" and "force" in request.query:
        yield forbidden("force", "may not be specified for non-apply patch")
