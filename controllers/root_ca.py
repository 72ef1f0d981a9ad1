"""Publish in every namespace, as the config map kube-root-ca.crt, the certificate by which pods know the API server.

Kubernetes: rootcacertpublisher.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from wherry.api.core.config_map import ConfigMap
from wherry.api.core.namespace import Namespace
from wherry.client.controller import Controller
from wherry.client.plan import Create, Plan, Update
from wherry.client.world import World
from wherry.machinery.resource import Kind, Resource
from wherry.machinery.view import View

NAME, KEY = "kube-root-ca.crt", "ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class PublishedData(View):
    """The one key that matters."""

    ca: str = msgspec.field(name=KEY, default="")


class Publication(Resource):
    """A config map, of which nothing but the certificate is read: all others would have to be kept in memory whole."""

    data: PublishedData = PublishedData()

    kind: ClassVar[Kind] = ConfigMap.kind


def namespace_of(config_map: Publication, _: World) -> Iterator[str]:
    """The namespace to look at again when the publication in it changes."""
    if config_map.metadata.name == NAME:
        yield config_map.metadata.namespace


def root_ca_controller(certificate: str) -> Controller:
    """The controller that publishes this certificate (PEM)."""

    def plan(namespace: Namespace, world: World) -> Plan:
        return published(namespace, world, certificate)

    return Controller("root_ca", Namespace, plan, wakes={Publication: namespace_of})


def published(namespace: Namespace, world: World, certificate: str) -> Plan:
    """Create the config map, or set right what somebody changed."""
    if namespace.metadata.deleted_at is not None:
        return
    name = namespace.metadata.name
    present = world.get(Publication, NAME, name)
    if present is None:
        metadata = {"name": NAME, "namespace": name, "annotations": {"kubernetes.io/description": _DESCRIPTION}}
        identity = {"apiVersion": ConfigMap.kind.api_version, "kind": ConfigMap.kind.name}
        yield Create({**identity, "metadata": metadata, "data": {KEY: certificate}})
    elif present.data.ca != certificate:
        yield Update(present, {"data": {KEY: certificate}})
