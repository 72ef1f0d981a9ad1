"""TokenRequest: a token for a service account, the body of `serviceaccounts/NAME/token`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults
from wherry.machinery.view import View

DEFAULT_SECONDS, MIN_SECONDS, MAX_SECONDS = 3600, 600, 2**32

defaults.literal("io.k8s.api.authentication.v1.TokenRequestSpec", expirationSeconds=DEFAULT_SECONDS)


class BoundObject(View):
    """With whom the token dies."""

    kind: str = ""
    api_version: str = ""
    name: str = ""
    uid: str = ""


class TokenRequestSpec(View):
    """For whom, how long, bound to what. No audience means the API server."""

    audiences: tuple[str, ...] = ()
    expiration_seconds: int = DEFAULT_SECONDS
    bound_object_ref: BoundObject | None = None


class TokenRequestStatus(View):
    """The token."""

    token: str = ""
    expiration_timestamp: datetime | None = None


class TokenRequest(Resource, group="authentication.k8s.io", version="v1", verbs=()):
    """A token for a service account; served as a subresource only."""

    spec: TokenRequestSpec = TokenRequestSpec()
    status: TokenRequestStatus = TokenRequestStatus()

    def validate(self, old: TokenRequest | None) -> Iterator[FieldError]:
        """Every broken rule of the request."""
        seconds = self.spec.expiration_seconds
        if seconds < MIN_SECONDS:
            yield invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > MAX_SECONDS:
            yield invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
