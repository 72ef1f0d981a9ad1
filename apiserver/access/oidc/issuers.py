"""Who a token of a trusted issuer says one is. Kubernetes: plugin/pkg/authenticator/token/oidc.

Why a token is refused stands in the log, without the token; the client hears 401 and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import jwt
import structlog

from apiserver.access.oidc.config import Mapping, Rule, Trusted, program
from apiserver.access.oidc.keys import OLDEST_SECONDS, IssuerKeys, KeysUnavailable
from apiserver.request import User
from wherry.machinery.cel import Failure

log = structlog.get_logger()

Claims = dict[str, Any]

AUTHENTICATED = "system:authenticated"
# Clocks differ. go-oidc: five minutes for the beginning of a token's time, none for its end.
EARLY_SECONDS = 300
MOST_KEPT = 10_000
_UNCHECKED: Any = {"verify_signature": False}
# The time is the server's own to tell, and who it is for is looked at in our words.
_SIGNATURE_ONLY: Any = dict.fromkeys(("verify_aud", "verify_exp", "verify_nbf", "verify_iat", "verify_iss"), False)


class Refused(Exception):
    """Why a token is not believed."""


class Issuers:
    """The trusted issuers of one server, and the tokens that they were found to have signed."""

    def __init__(self, trusted: Iterable[Trusted], now: Callable[[], datetime]) -> None:
        self._by_url = {each.issuer.url: (each, IssuerKeys(each.issuer)) for each in trusted}
        self._now = now
        self._known: dict[bytes, tuple[User, float]] = {}

    async def user_of(self, token: str) -> User | None:
        """Who holds the token; None if none of these issuers says so."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        user, expires = self._known.get(digest, (None, 0.0))
        if user is not None and self._now().timestamp() < expires:
            return user
        try:
            claims = jwt.decode(token, options=_UNCHECKED)
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError):
            return None  # no JWT at all
        found = self._by_url.get(str(claims.get("iss")))
        if found is None:
            return None
        try:
            user, expires = await self._judged(token, str(header.get("kid") or ""), *found)
        except (Refused, KeysUnavailable) as error:
            log.info("token refused", issuer=claims["iss"], why=str(error))
            return None
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        self._known[digest] = (user, min(expires, self._now().timestamp() + OLDEST_SECONDS))
        return user

    async def _judged(self, token: str, key_id: str, trusted: Trusted, keys: IssuerKeys) -> tuple[User, float]:
        claims = _signed(token, await keys.matching(key_id), trusted.signing_algorithms)
        now, expires = self._now().timestamp(), claims.get("exp")
        if not isinstance(expires, (int, float)) or expires <= now:
            raise Refused("it has expired")
        begins = claims.get("nbf", 0)
        if not isinstance(begins, (int, float)) or begins > now + EARLY_SECONDS:
            raise Refused("it is not valid yet")
        meant_for = claims.get("aud")
        meant_for = [meant_for] if isinstance(meant_for, str) else meant_for
        if not isinstance(meant_for, list) or not set(trusted.issuer.audiences) & {str(each) for each in meant_for}:
            raise Refused(f"it is for {str(meant_for)[:200]}, not for {', '.join(trusted.issuer.audiences)}")
        for rule in trusted.claim_validation_rules:
            _check(rule, claims, {})
        user = _user(trusted, claims)
        shown = {"username": user.name, "groups": list(user.groups), "uid": user.uid}
        for rule in trusted.user_validation_rules:
            _check(rule, claims, {**shown, "extra": {key: list(values) for key, values in user.extra}})
        return user, float(expires)


def _signed(token: str, keys: list[jwt.PyJWK], algorithms: tuple[str, ...]) -> Claims:
    """The claims, if one of the keys has signed them."""
    for key in keys:
        try:
            claims: Claims = jwt.decode(token, key, algorithms=list(algorithms), options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return claims
    raise Refused("it is signed with no key of the issuer, or not by an algorithm that is allowed")


def _check(rule: Rule, claims: Claims, user: dict[str, Any]) -> None:
    if rule.claim:
        if claims.get(rule.claim) != rule.required_value:
            raise Refused(f"claim {rule.claim} is not {rule.required_value!r}")
    elif _evaluated(rule.expression, claims, user) is not True:
        raise Refused(rule.message or f"rule not satisfied: {rule.expression}")


def _evaluated(expression: str, claims: Claims, user: dict[str, Any] | None = None) -> Any:
    compiled = program(expression)
    value = compiled if isinstance(compiled, Failure) else compiled.evaluate(claims=claims, user=user or {})
    if isinstance(value, Failure):
        raise Refused(f"{expression}: {value.message}")
    return value


def _user(trusted: Trusted, claims: Claims) -> User:
    mappings = trusted.claim_mappings
    name = _mapped(mappings.username, claims)
    if not isinstance(name, str) or not name:
        raise Refused(f"{_place(mappings.username)} is no name")
    if mappings.username.claim == "email" and claims.get("email_verified", True) is not True:
        raise Refused("the e-mail address is not verified")
    groups = list(_texts(_mapped(mappings.groups, claims), mappings.groups)) if mappings.groups else []
    uid = _mapped(mappings.uid, claims) if mappings.uid else ""
    if not isinstance(uid, str):
        raise Refused("the uid is not text")
    prefix = mappings.groups.prefix if mappings.groups else ""
    extra = [(each.key, tuple(_texts(_evaluated(each.value_expression, claims), None))) for each in mappings.extra]
    return User(
        mappings.username.prefix + name,
        (*(prefix + group for group in groups), AUTHENTICATED),
        uid,
        tuple((key, values) for key, values in extra if values),
    )


def _mapped(mapping: Mapping, claims: Claims) -> Any:
    return _evaluated(mapping.expression, claims) if mapping.expression else claims.get(mapping.claim)


def _texts(value: Any, mapping: Mapping | None) -> Iterator[str]:
    """A text, or several; nothing is none."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, str | None):
            raise Refused(f"{_place(mapping) if mapping else 'an extra value'} is neither text nor a list of texts")
        if each:
            yield each


def _place(mapping: Mapping) -> str:
    return f"claim {mapping.claim}" if mapping.claim else mapping.expression
