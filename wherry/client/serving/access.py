"""Who asks a component something, and may they? Both are the API server's to say.

    user = await access.user(certificate, "Bearer eyJ…")
    await access.may(user, {"resourceAttributes": {"verb": "get", "resource": "nodes", "subresource": "metrics"}})

A client shows a certificate of the cluster's authority, which TLS has checked, or a bearer token. What was said is
remembered for a while, because who asks once asks every few seconds. Kubernetes: delegating authentication and
authorization, with the kubelet's times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from wherry.client.http import Client

Json = dict[str, Any]
K = TypeVar("K")
V = TypeVar("V")

TOKEN_SECONDS, ALLOWED_SECONDS, DENIED_SECONDS = 120.0, 300.0, 30.0
# Anybody may come with a token of his own making; beyond so many the oldest is forgotten.
_MOST_REMEMBERED = 1000


class User(NamedTuple):
    """Somebody who is known."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


def user_of(certificate: Mapping[str, Any]) -> User:
    """Whose certificate it is, as `ssl` shows it.

    >>> user_of({"subject": ((("organizationName", "system:masters"),), (("commonName", "ann"),))})
    User(name='ann', groups=('system:masters',), uid='')
    """
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in pairs if key == "commonName"), "")
    return User(name, tuple(value for key, value in pairs if key == "organizationName"))


class Access:
    """See the module."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._users: _Remembered[str, User | None] = _Remembered(lambda user: TOKEN_SECONDS if user else 0.0)
        self._rights: _Remembered[tuple[User, bytes], bool] = _Remembered(
            lambda is_allowed: ALLOWED_SECONDS if is_allowed else DENIED_SECONDS
        )

    async def user(self, certificate: Mapping[str, Any] | None, authorization: str) -> User | None:
        """Who it is; None if nobody knows. Raises ApiError when the API server does not answer."""
        if certificate:
            return user_of(certificate)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return await self._users.get(token.strip(), self._owner_of)

    async def _owner_of(self, token: str) -> User | None:
        draft = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = (await self._client.create(draft)).get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated"):
            return None
        return User(user.get("username", ""), tuple(user.get("groups") or ()), user.get("uid", ""))

    async def may(self, user: User, wanted: Json) -> bool:
        """Whether somebody may do what the attributes of a SubjectAccessReview say; raises ApiError."""
        return await self._rights.get((user, orjson.dumps(wanted)), self._is_allowed)

    async def _is_allowed(self, question: tuple[User, bytes]) -> bool:
        user, wanted = question
        spec = {"user": user.name, "groups": list(user.groups), "uid": user.uid, **orjson.loads(wanted)}
        draft = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return bool(((await self._client.create(draft)).get("status") or {}).get("allowed"))


class _Remembered(Generic[K, V]):
    """Answers, each for as long as it is good."""

    def __init__(self, seconds: Callable[[V], float]) -> None:
        self._seconds = seconds
        self._answers: dict[K, tuple[float, V]] = {}

    async def get(self, question: K, ask: Callable[[K], Awaitable[V]]) -> V:
        until, answer = self._answers.get(question, (0.0, None))
        now = asyncio.get_running_loop().time()
        if answer is not None and now < until:
            return answer
        fresh = await ask(question)
        self._answers.pop(question, None)
        if len(self._answers) >= _MOST_REMEMBERED:
            del self._answers[next(iter(self._answers))]
        self._answers[question] = (now + self._seconds(fresh), fresh)
        return fresh
