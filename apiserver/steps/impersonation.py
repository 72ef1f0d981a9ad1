"""Acting as somebody else, for those who may. Kubernetes: the impersonation filter."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from apiserver.access.rbac import Attributes
from apiserver.request import Answer, Request, User
from apiserver.steps.authorization import refusal
from wherry.machinery.errors import BadRequest

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

_PREFIX = b"impersonate-"
_SERVICE_ACCOUNT = "system:serviceaccount:"


async def impersonate(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Replace `request.user` by the one the headers name, if the caller may impersonate every part of it."""
    wanted = [(key, value.decode("latin-1")) for key, value in request.scope["headers"] if key.startswith(_PREFIX)]
    if wanted:
        request.user = _impersonated(server, request.user, wanted)
    return await proceed(server, request)


def _impersonated(server: Server, caller: User, headers: list[tuple[bytes, str]]) -> User:
    name = next((value for key, value in headers if key == b"impersonate-user"), "")
    groups = tuple(value for key, value in headers if key == b"impersonate-group")
    uid = next((value for key, value in headers if key == b"impersonate-uid"), "")
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        if key.startswith(b"impersonate-extra-"):
            extra.setdefault(unquote(key[len(b"impersonate-extra-") :].decode("latin-1")).lower(), []).append(value)
    if not name:
        raise BadRequest("requested [{}] without impersonating a user".format(", ".join(value for _, value in headers)))

    _check(server, caller, _account_or_user(name))
    for group in groups:
        _check(server, caller, Attributes("impersonate", resource="groups", name=group))
    if uid:
        _check(server, caller, Attributes("impersonate", "authentication.k8s.io", "uids", name=uid))
    for field, values in extra.items():
        for value in values:
            wanted = Attributes("impersonate", "authentication.k8s.io", f"userextras/{field}", name=value)
            _check(server, caller, wanted)

    if name.startswith(_SERVICE_ACCOUNT) and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}")
    if name != "system:anonymous" and "system:authenticated" not in groups:
        groups += ("system:authenticated",)
    return User(name, groups, uid, tuple((field, tuple(values)) for field, values in sorted(extra.items())))


def _account_or_user(name: str) -> Attributes:
    parts = name.split(":")
    if name.startswith(_SERVICE_ACCOUNT) and len(parts) == 4:
        return Attributes("impersonate", resource="serviceaccounts", namespace=parts[2], name=parts[3])
    return Attributes("impersonate", resource="users", name=name)


def _check(server: Server, caller: User, wanted: Attributes) -> None:
    if not server.authorizer.decide(caller, wanted).allowed:
        raise refusal(caller, wanted)
