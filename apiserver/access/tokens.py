"""Service-account tokens: signed statements of who a pod is, for how long, towards whom.

Kubernetes: bound service-account tokens. Differs: signed with ES256, which is six times cheaper than RS256 and which
every client of ours treats as opaque.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import msgspec
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apiserver.request import User
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.secret import Secret
from wherry.api.core.service_account import ServiceAccount
from wherry.machinery.errors import Unauthorized
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import WatchCache

DEFAULT_SECONDS = 3600
_ALGORITHM = "ES256"


class Named(msgspec.Struct):
    """An object of a name."""

    name: str
    uid: str


class Bound(NamedTuple):
    """The object a token dies with; of a pod's also the node on which that is."""

    kind: str
    name: str
    uid: str
    node: Named | None = None


class _Private(msgspec.Struct):
    """The claims under `kubernetes.io`."""

    namespace: str
    serviceaccount: Named
    pod: Named | None = None
    secret: Named | None = None
    node: Named | None = None


class _Claims(msgspec.Struct):
    """What a token of ours says; anything of another shape is none."""

    aud: list[str]
    exp: int
    nbf: int
    jti: str
    private: _Private = msgspec.field(name="kubernetes.io")


class TokenIssuer:
    """Makes and checks tokens with one key pair."""

    def __init__(self, cache: WatchCache, key_file: Path, issuer: str, audiences: tuple[str, ...]) -> None:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file}: expected an EC private key (P-256), got {type(key).__name__}")
        self._private, self._public = key, key.public_key()
        spki = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._key_id = hashlib.sha256(spki).hexdigest()[:32]
        self.issuer, self.audiences = issuer, audiences
        self._cache = cache
        self._verified: dict[str, _Claims] = {}

    def issue(
        self, account: ServiceAccount, now: datetime, seconds: int, audiences: list[str], bound: Bound | None
    ) -> tuple[str, datetime]:
        """A token for an account and the moment it expires."""
        expires = now + timedelta(seconds=seconds)
        meta = account.metadata
        private: dict[str, Any] = {"namespace": meta.namespace, "serviceaccount": {"name": meta.name, "uid": meta.uid}}
        if bound is not None:
            private[bound.kind.lower()] = {"name": bound.name, "uid": bound.uid}
            if bound.node is not None:
                private["node"] = msgspec.to_builtins(bound.node)
        claims = {
            "aud": audiences or list(self.audiences),
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "sub": f"system:serviceaccount:{meta.namespace}:{meta.name}",
        }
        return jwt.encode(claims, self._private, _ALGORITHM, headers={"kid": self._key_id}), expires

    def authenticate(self, token: str, now: datetime, audiences: tuple[str, ...] = ()) -> User:
        """Who holds the token; raises Unauthorized when it is forged, expired, meant for others, or its owner is
        gone.
        """
        digest = hashlib.sha256(token.encode(errors="replace")).hexdigest()
        claims = self._verified.get(digest)
        if claims is None:
            claims = self._verify(token)
            if len(self._verified) > 10_000:
                self._verified.clear()
            self._verified[digest] = claims
        if not claims.nbf - 60 <= now.timestamp() < claims.exp:
            raise Unauthorized()
        if not set(audiences or self.audiences) & set(claims.aud):
            raise Unauthorized()
        return self._user(claims)

    def _verify(self, token: str) -> _Claims:
        checks = dict.fromkeys(("verify_aud", "verify_exp", "verify_nbf", "verify_iat"), False)
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                issuer=self.issuer,
                options=checks,  # type: ignore[arg-type]
            )
            return msgspec.convert(claims, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
            raise Unauthorized() from None

    def _user(self, claims: _Claims) -> User:
        private = claims.private
        namespace, account = private.namespace, private.serviceaccount
        self._check_alive(ServiceAccount, namespace, account)
        extra = [("authentication.kubernetes.io/credential-id", (f"JTI={claims.jti}",))]
        if private.secret is not None:
            self._check_alive(Secret, namespace, private.secret)
        if private.pod is not None:
            self._check_alive(Pod, namespace, private.pod)
        elif private.node is not None:
            self._check_alive(Node, "", private.node)
        for kind, named in (("pod", private.pod), ("node", private.node)):
            if named is not None:
                extra.append((f"authentication.kubernetes.io/{kind}-name", (named.name,)))
                extra.append((f"authentication.kubernetes.io/{kind}-uid", (named.uid,)))
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(f"system:serviceaccount:{namespace}:{account.name}", groups, account.uid, tuple(extra))

    def _check_alive(self, cls: type[Resource], namespace: str, named: Named) -> None:
        """Raise Unauthorized when the object is gone, or is another one of the same name."""
        stored = self._cache.of(cls).get(namespace, named.name)
        if stored is None or cls.read(stored.item).metadata.uid != named.uid:
            raise Unauthorized()

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set with which others check our tokens."""
        key = orjson.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._public))
        return {"keys": [{**key, "use": "sig", "kid": self._key_id, "alg": _ALGORITHM}]}
