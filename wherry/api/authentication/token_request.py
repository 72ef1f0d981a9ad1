"""TokenRequest: a service account's token on demand. Served by apiserver/subresources/token.py."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class TokenRequest(Resource, group="authentication.k8s.io", version="v1", verbs=()):
    """A service account's token on demand; exists only as a subresource."""
