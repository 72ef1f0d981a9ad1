"""The objects that pods refer to: read when a pod needs one, followed while a pod has one mounted.

Kubernetes: the watching configmap and secret stores of the kubelet. Only objects that pods of this node name are
asked for, which is all that a node may read.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from wherry.api.core.config_map import ConfigMap
from wherry.api.core.pod import Pod
from wherry.api.core.secret import Secret
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource

R = TypeVar("R", bound=Resource)
Key = tuple[str, str, str]


class _Followed:
    """One object with a watch, and the pods that have it mounted."""

    def __init__(self, informer: Informer[Any], task: asyncio.Task[None]) -> None:
        self.informer = informer
        self.task = task
        self.pods: set[str] = set()


class Objects:
    """`spawn` starts a task that lives as long as the kubelet; `changed` gets the uid of each pod concerned."""

    def __init__(
        self,
        client: Client,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        changed: Callable[[str], None],
    ) -> None:
        self._client = client
        self._spawn = spawn
        self._changed = changed
        self._followed: dict[Key, _Followed] = {}

    async def read(self, kind: type[R], namespace: str, name: str) -> R | None:
        """The object as it is now; None if there is none. Other refusals are raised."""
        followed = self._followed.get((kind.kind.plural, namespace, name))
        if followed is not None and followed.informer.is_synced:
            return followed.informer.get(f"{namespace}/{name}")
        try:
            return await self._client.get(kind, name, namespace)
        except NotFound:
            return None

    def follow(self, pod_uid: str, kind: type[Resource], namespace: str, name: str) -> None:
        """Tell the pod about every change of the object, its coming and going included, until `release`."""
        key = (kind.kind.plural, namespace, name)
        followed = self._followed.get(key)
        if followed is None:
            informer: Informer[Any] = Informer(self._client, kind, namespace=namespace, fields=f"metadata.name={name}")
            followed = self._followed[key] = _Followed(informer, self._spawn(informer.run()))
            informer.subscribe(lambda change: self._tell(key))
        followed.pods.add(pod_uid)

    def _tell(self, key: Key) -> None:
        followed = self._followed.get(key)
        for pod_uid in followed.pods if followed else ():
            self._changed(pod_uid)

    def release(self, pod_uid: str) -> None:
        """The pod is gone: stop watching what nobody else has."""
        for key, followed in list(self._followed.items()):
            followed.pods.discard(pod_uid)
            if not followed.pods:
                followed.task.cancel()
                del self._followed[key]


def config_map_bytes(config_map: ConfigMap) -> Mapping[str, bytes]:
    """Every key, text and binary."""
    binary = {key: base64.b64decode(value) for key, value in config_map.binary_data.items()}
    return binary | {key: value.encode() for key, value in config_map.data.items()}


def secret_bytes(secret: Secret) -> Mapping[str, bytes]:
    """Every key, decoded."""
    return {key: base64.b64decode(value) for key, value in secret.data.items()}


async def pull_secrets(pod: Pod, objects: Objects) -> list[Secret]:
    """Those that the pod names for its images, as far as they are there."""
    names = [reference.name for reference in pod.spec.image_pull_secrets]
    found = [await objects.read(Secret, pod.metadata.namespace, name) for name in names]
    return [secret for secret in found if secret is not None]
