"""Which controllers there are, and what an operator decides about them."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache

import controllers
import wherry.api.kinds  # noqa: F401  # registers every kind
from controllers.nodes.node_ipam import node_ipam_controller
from controllers.nodes.node_lifecycle import GRACE_SECONDS, node_lifecycle_controller
from controllers.parts.node_health import Silence
from controllers.parts.quota_pace import Seconds
from controllers.resource_quota import CustomCount, Stillness, resource_quota_controller
from controllers.root_ca import root_ca_controller
from wherry.client.controller import Controller, all_controllers

# Those that declare no controllers: importing them costs time, or starts something.
_APART = ("controllers.__main__", "controllers.assembly", "controllers.shells")


@dataclass(frozen=True)
class Settings:
    """What an operator decides. `root_ca` is PEM; without it no certificate is published.

    `signing_certificate` and `signing_key` are PEM as well; without them requests for certificates are not signed.
    Without a `cluster_cidr` nodes get no ranges for pods.
    """

    root_ca: str = ""
    signing_certificate: bytes = b""
    signing_key: bytes = field(default=b"", repr=False)
    node_grace_seconds: float = GRACE_SECONDS
    cluster_cidr: str = ""
    node_cidr_mask_size: int = 24


def controllers_for(
    settings: Settings, silence: Silence, stillness: Stillness, seconds: Seconds, customs: CustomCount
) -> list[Controller]:
    """Every controller for the runner: those that declare themselves, and those that must be told something."""
    load()
    declared = [one for one in all_controllers() if one.plan.__module__.startswith("controllers.")]
    chosen = [*declared, node_lifecycle_controller(silence, settings.node_grace_seconds)]
    if settings.root_ca:
        chosen.append(root_ca_controller(settings.root_ca))
    if settings.cluster_cidr:
        chosen.append(node_ipam_controller(settings.cluster_cidr, settings.node_cidr_mask_size))
    watched = [kind for one in chosen for kind in one.kinds]
    return [*chosen, resource_quota_controller(watched, stillness, seconds, customs)]


@cache
def load() -> None:
    """Import every module of this package that may declare a controller: to add one, add its file."""
    for module in pkgutil.walk_packages(controllers.__path__, "controllers."):
        if not module.name.startswith(_APART):
            importlib.import_module(module.name)
