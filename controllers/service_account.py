"""Give every namespace the service account `default`, in whose name pods speak that ask for no other.

Kubernetes: the serviceaccount controller.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.namespace import Namespace
from wherry.api.core.service_account import ServiceAccount
from wherry.client.controller import controller
from wherry.client.plan import Create, Plan
from wherry.client.world import World

DEFAULT = "default"


def namespace_of(account: ServiceAccount, _: World) -> Iterator[str]:
    """The namespace to look at again when its default account changes."""
    if account.metadata.name == DEFAULT:
        yield account.metadata.namespace


@controller(Namespace, wakes={ServiceAccount: namespace_of})
def plan(namespace: Namespace, world: World) -> Plan:
    """Create the account where it is missing and may still be created."""
    name = namespace.metadata.name
    if namespace.metadata.deleted_at is None and world.get(ServiceAccount, DEFAULT, name) is None:
        yield Create(
            {
                "apiVersion": ServiceAccount.kind.api_version,
                "kind": ServiceAccount.kind.name,
                "metadata": {"name": DEFAULT, "namespace": name},
            }
        )
