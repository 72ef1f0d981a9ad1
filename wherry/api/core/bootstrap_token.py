"""A Secret of type bootstrap.kubernetes.io/token, as the API server and the controllers read it."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from datetime import datetime
from typing import ClassVar, Self

import msgspec

from wherry.api.core.secret import Secret
from wherry.machinery.resource import Kind, Resource
from wherry.machinery.time import parse_time
from wherry.machinery.view import View

TYPE, NAMESPACE, NAME_PREFIX = "bootstrap.kubernetes.io/token", "kube-system", "bootstrap-token-"


class Text(str):
    """A value of a secret as its author wrote it; empty if it is no text."""

    @classmethod
    def parse(cls, encoded: str) -> Self:
        """Decode base64 of UTF-8."""
        try:
            return cls(b64decode(encoded).decode())
        except (NotBase64, UnicodeDecodeError):
            return cls()


class BootstrapData(View):
    """The keys that mean something."""

    id: Text = msgspec.field(name="token-id", default=Text())
    secret: Text = msgspec.field(name="token-secret", default=Text())
    expiration: Text = Text()
    groups: Text = msgspec.field(name="auth-extra-groups", default=Text())
    logs_in: Text = msgspec.field(name="usage-bootstrap-authentication", default=Text())
    signs: Text = msgspec.field(name="usage-bootstrap-signing", default=Text())


class BootstrapToken(Resource):
    """Any secret, of which nothing is read but what a bootstrap token has."""

    type: str = ""
    data: BootstrapData = BootstrapData()

    kind: ClassVar[Kind] = Secret.kind

    @property
    def is_one(self) -> bool:
        """Whether this secret is a bootstrap token at all."""
        return self.type == TYPE and self.metadata.namespace == NAMESPACE

    @property
    def may_log_in(self) -> bool:
        """Whether it opens the API server."""
        return self.data.logs_in == "true"

    @property
    def may_sign(self) -> bool:
        """Whether whoever knows it can tell by it that he talks to the right cluster."""
        has_secret = self.metadata.name == NAME_PREFIX + self.data.id and bool(self.data.secret)
        return self.is_one and self.data.signs == "true" and has_secret

    @property
    def expires_at(self) -> datetime | None:
        """When it ends; None for never. ValueError if what stands there is no time."""
        return parse_time(self.data.expiration) if self.data.expiration else None

    def is_expired(self, now: datetime) -> bool:
        """Whether it has ended; one whose end nobody can read is no good either."""
        try:
            at = self.expires_at
        except ValueError:
            return True
        return at is not None and at <= now
