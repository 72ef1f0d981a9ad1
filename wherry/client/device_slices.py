"""Publisher: keeps the ResourceSlice of a node's cards as the cards are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.api.core.node import Node
from wherry.api.resource.gpu import Gpu, slice_manifest, slice_name
from wherry.api.resource.resource_slice import Device, ResourceSlice
from wherry.client.http import Client
from wherry.machinery.errors import NotFound


class Publisher:
    """One per node. Whoever asks it to `publish` tries again when that raises an ApiError."""

    def __init__(self, client: Client, node: str) -> None:
        self._client, self._node = client, node
        self._told: tuple[Gpu, ...] | None = None

    async def publish(self, gpus: Iterable[Gpu]) -> None:
        """Make the slice tell of these cards; writes nothing when it does already."""
        gpus = tuple(gpus)
        if gpus == self._told:
            return
        await self._write(gpus)
        self._told = gpus

    def forget(self) -> None:
        """Somebody else may have changed the slice: look again."""
        self._told = None

    async def _write(self, gpus: tuple[Gpu, ...]) -> None:
        node = await self._client.get(Node, self._node)
        try:
            found = await self._client.get(ResourceSlice, slice_name(self._node))
        except NotFound:
            if any(gpu.name for gpu in gpus):
                await self._client.create(slice_manifest(self._node, node.metadata.uid, gpus, 1))
            return
        wanted = slice_manifest(self._node, node.metadata.uid, gpus, found.spec.pool.generation + 1)
        owners = [owner.uid for owner in found.metadata.owner_references]
        if (list(_timeless(ResourceSlice.read(wanted))), [node.metadata.uid]) == (list(_timeless(found)), owners):
            return
        wanted["metadata"]["resourceVersion"] = found.metadata.resource_version
        await self._client.update(wanted)


def _timeless(slice: ResourceSlice) -> Iterator[Device]:
    """The devices without the times of their taints, which the server knows better."""
    for device in slice.spec.devices:
        yield device.replace(taints=tuple(taint.replace(time_added=None) for taint in device.taints))
