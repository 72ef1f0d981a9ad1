"""ServiceAccount: who a pod is when it talks to the API. Behaviour: controllers/service_account.py."""

from __future__ import annotations

from wherry.api.meta import LocalReference, ObjectReference
from wherry.machinery.resource import Resource
from wherry.machinery.table_cells import AGE


class ServiceAccount(Resource, version="v1", short=("sa",), subresources=("token",)):
    """Who a pod is when it talks to the API."""

    secrets: tuple[ObjectReference, ...] = ()
    image_pull_secrets: tuple[LocalReference, ...] = ()
    automount_service_account_token: bool | None = None

    delete_returns_object = True
    columns = (AGE,)
