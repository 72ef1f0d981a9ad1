"""ServiceAccount: who a pod is when it talks to the API. Behaviour: controllers/service_account.py."""

from __future__ import annotations

from wherry.api.meta import LocalReference
from wherry.machinery.resource import Resource


class ServiceAccount(Resource, version="v1", short=("sa",), subresources=("token",)):
    """Who a pod is when it talks to the API."""

    image_pull_secrets: tuple[LocalReference, ...] = ()
    automount_service_account_token: bool | None = None

    delete_returns_object = True
