"""One pod's volumes: mounted before its containers start, refreshed while they run, released after they ended."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from kubelet.host import Host
from kubelet.images import credentials_for
from kubelet.recipe.fields import UnknownField, container_resource, pod_field
from kubelet.runtime.base import RuntimeFailure
from kubelet.supplies.objects import config_map_bytes, pull_secrets, secret_bytes
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.secret import Secret
from wherry.volumes import MountFailed, Token, VolumeType, volume_type
from wherry.volumes.memory import shared_memory_of


class PodVolumes:
    """Implements `wherry.volumes.Host` for one pod. `pod` gives its current version."""

    def __init__(self, pod: Callable[[], Pod], folder: Path, node: Host) -> None:
        self._pod = pod
        self._folder = folder / "volumes"
        self._objects, self._tokens, self._local_volumes = node.objects, node.tokens, node.local_volumes
        self._images, self._runtime = node.images, node.runtime
        self._host_ip, self._allocatable = node.settings.address, node.allocatable
        self._sources: dict[str, Path] = {}
        self._refresh_at: list[datetime] = []
        self.pod_ip = ""
        self.pod_uid = pod().metadata.uid
        self.fs_group = pod().spec.security_context.fs_group
        self.memory_folder = shared_memory_of(self.pod_uid)

    # -- what the kubelet asks ---------------------------------------------------------------------------------------

    def source(self, name: str) -> Path:
        """Where a mounted volume is on the machine."""
        return self._sources[name]

    def mounted(self) -> dict[str, Path]:
        """Where each volume is that is mounted by now."""
        return dict(self._sources)

    def uses(self, claim: str, path: Path) -> bool:
        """Whether the claim's volume at this path is mounted, or may be, while not all that is mounted is known."""
        pod = self._pod()
        is_known = len(self._sources) == len(pod.spec.volumes)
        claims = () if is_known else pod.claim_names
        return path in self._sources.values() or claim in {f"{pod.metadata.namespace}/{name}" for name in claims}

    async def mount(self) -> None:
        """Mount every volume of the pod; MountFailed names the one that cannot be."""
        self._refresh_at.clear()
        await asyncio.to_thread(self._make_folder)
        for name, type in self._types():
            try:
                self._sources[name] = await type.mount(self, self._folder / name)
            except (MountFailed, OSError, ValueError) as error:
                raise MountFailed(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    async def refresh(self) -> None:
        """Bring live volumes up to date; one that cannot be read now stays as it is."""
        self._refresh_at.clear()
        failures = []
        for name, type in self._types():
            if type.is_live:
                try:
                    await type.refresh(self, self._folder / name)
                except (MountFailed, OSError, ValueError) as error:
                    failures.append(f'MountVolume.SetUp failed for volume "{name}" : {error}')
        if failures:
            raise MountFailed("; ".join(failures))

    @property
    def refresh_at(self) -> datetime | None:
        """When a token needs to be renewed."""
        return min(self._refresh_at, default=None)

    async def release(self) -> None:
        """Unmount everything and remove what was ours; the pod's own storage stays."""
        for name, type in self._types(is_lenient=True):
            await type.unmount(self._folder / name)
        self._objects.release(self.pod_uid)
        self._tokens.forget(self.pod_uid)
        await asyncio.to_thread(self._remove_folders)

    def _types(self, *, is_lenient: bool = False) -> list[tuple[str, VolumeType]]:
        """Each volume's type; `is_lenient` leaves out what this node cannot mount, and so never has."""
        types = []
        for volume in self._pod().spec.volumes:
            key, source = volume.source
            try:
                types.append((volume.name, volume_type(key or "emptyDir").read(source or {})))
            except (MountFailed, msgspec.ValidationError) as error:
                if not is_lenient:
                    raise MountFailed(f'volume "{volume.name}": {error}') from error
        return types

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Nobody else on the machine may look into a pod's files; containers see the folders below directly.
        self._folder.chmod(0o700)

    def _remove_folders(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self.memory_folder, ignore_errors=True)

    # -- what volume types ask ---------------------------------------------------------------------------------------

    async def config_map(self, name: str) -> Mapping[str, bytes] | None:
        """Followed from now on."""
        namespace = self._pod().metadata.namespace
        found = await self._objects.read(ConfigMap, namespace, name)
        self._objects.follow(self.pod_uid, ConfigMap, namespace, name)
        return None if found is None else config_map_bytes(found)

    async def secret(self, name: str) -> Mapping[str, bytes] | None:
        """Followed from now on."""
        namespace = self._pod().metadata.namespace
        found = await self._objects.read(Secret, namespace, name)
        self._objects.follow(self.pod_uid, Secret, namespace, name)
        return None if found is None else secret_bytes(found)

    async def token(self, audience: str, seconds: int) -> Token:
        """Renewed when `refresh_at` comes."""
        token = await self._tokens.token(self._pod(), audience, seconds)
        self._refresh_at.append(token.refresh_at)
        return token

    async def claimed(self, claim: str) -> Mapping[str, Any]:
        """The bound volume's spec."""
        namespace = self._pod().metadata.namespace
        found = await self._objects.read(PersistentVolumeClaim, namespace, claim)
        if found is None:
            raise MountFailed(f'persistentvolumeclaim "{claim}" not found')
        self._check_own(found)
        if found.status.phase != "Bound" or not found.spec.volume_name:
            raise MountFailed(f'persistentvolumeclaim "{claim}" is not bound')
        volume = await self._objects.read(PersistentVolume, "", found.spec.volume_name)
        if volume is None:
            raise MountFailed(f'persistentvolume "{found.spec.volume_name}" not found')
        await self._local_volumes.make(volume)
        return volume.spec.to_wire()

    async def image(self, reference: str, pull_policy: str, folder: Path) -> None:
        """Fetched as the policy says, with the pod's own credentials."""
        try:
            is_there = await self._runtime.image(reference) is not None
            if pull_policy == "Never" and not is_there:
                raise MountFailed(f'image "{reference}" is not present with pull policy of Never')
            if pull_policy == "Always" or not is_there:
                secrets = await pull_secrets(self._pod(), self._objects)
                await self._images.pull(reference, credentials_for(reference, secrets))
            await self._runtime.unpack(reference, folder)
        except RuntimeFailure as error:
            raise MountFailed(f'image "{reference}": {error}') from error

    def _check_own(self, claim: PersistentVolumeClaim) -> None:
        """The claim of an ephemeral volume was made for this pod and no other."""
        pod = self._pod()
        own = {f"{pod.metadata.name}-{each.name}" for each in pod.spec.volumes if each.source[0] == "ephemeral"}
        owner = claim.metadata.controller
        if claim.metadata.name in own and (owner is None or owner.uid != pod.metadata.uid):
            raise MountFailed(f"PVC {claim.key} was not created for pod {pod.key} (pod is not owner)")

    def field(self, path: str) -> str:
        """A field of the pod."""
        return pod_field(self._pod(), path, host_ip=self._host_ip, pod_ip=self.pod_ip)

    def resource(self, container: str, resource: str, divisor: str) -> str:
        """A request or limit of one of the containers."""
        spec = self._pod().spec
        for candidate in (*spec.containers, *spec.init_containers):
            if candidate.name == container:
                return container_resource(candidate, resource, divisor, self._allocatable)
        raise UnknownField(f"there is no container {container!r}")
