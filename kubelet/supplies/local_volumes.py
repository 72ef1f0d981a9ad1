"""The folders behind volumes of the class `local-path`: made when a pod first mounts one, removed with its object.

Before a folder is made the volume's object gets a finalizer, so that it cannot go while the folder is there; each
folder's object is followed, and when it is being deleted and nobody's any more, the folder is removed and the finalizer
taken off. The folders themselves are what a new kubelet finds them by. Only what lies directly below our own folder is
ever removed, only if the volume's reclaim policy is Delete, and never while a pod of this node uses it, whatever the
controllers believe.

Kubernetes: the helper pods of Rancher's local-path-provisioner. As there, everybody may write into a folder.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from wherry.api.core.persistent_volume import IN_USE, PersistentVolume
from wherry.api.storage.provisioning import FOLDER_EXISTS, LOCAL_PATH, ON_NODE, PROVISIONED_BY
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import ApiError, NotFound

log = structlog.get_logger()

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
# Whether a pod uses the volume of this claim (`namespace/name`) that is this folder.
InUse = Callable[[str, Path], bool]


class LocalVolumes:
    """One per kubelet; `spawn` starts a task that lives as long as it does."""

    def __init__(self, client: Client, folder: Path, node: str, spawn: Spawn, is_in_use: InUse) -> None:
        self._client, self._folder, self._node = client, folder, node
        self._spawn, self._is_in_use = spawn, is_in_use
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._removing: set[str] = set()

    def adopt(self) -> None:
        """Follow the volumes whose folders an earlier kubelet made."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            self._spawn(self._adopt(path.name.partition("_")[0]))

    async def make(self, volume: PersistentVolume) -> None:
        """Make the volume's folder, if it is one of ours; ApiError or OSError if that cannot be done now."""
        path = self._path(volume)
        if path is None:
            return
        if FOLDER_EXISTS not in volume.metadata.finalizers:
            patch = {"metadata": {"uid": volume.metadata.uid, "finalizers": [FOLDER_EXISTS]}}
            await self._client.patch(PersistentVolume, volume.metadata.name, "", patch, type="strategic")
        await asyncio.to_thread(_make_open_folder, path)
        self._follow(volume.metadata.name)

    def _path(self, volume: PersistentVolume) -> Path | None:
        """Where the volume is, if it is here and ours."""
        marks, source = volume.metadata.annotations, volume.spec.host_path
        is_ours = marks.get(PROVISIONED_BY) == LOCAL_PATH and marks.get(ON_NODE) == self._node
        path = Path(source.path) if source is not None and is_ours else None
        is_named_after_it = path is not None and path.name.partition("_")[0] == volume.metadata.name
        return path if path is not None and path.parent == self._folder and is_named_after_it else None

    async def _adopt(self, name: str) -> None:
        backoff = Backoff(0.5, 60.0)
        while True:
            try:
                await self._client.get(PersistentVolume, name)
            except NotFound:
                log.warning("folder of no volume stays", volume=name)
            except ApiError as error:
                log.warning("volume not found out about yet", volume=name, error=str(error))
                await asyncio.sleep(backoff.next())
                continue
            else:
                self._follow(name)
            return

    def _follow(self, name: str) -> None:
        if name in self._followed:
            return
        informer = Informer(self._client, PersistentVolume, fields=f"metadata.name={name}")
        self._followed[name] = self._spawn(informer.run())
        informer.subscribe(self._changed)

    def _changed(self, change: Change[PersistentVolume]) -> None:
        volume = change.after
        if volume is None:
            if change.before is not None:
                self._forget(change.before.metadata.name)
            return
        finalizers = volume.metadata.finalizers
        is_going = volume.metadata.deleted_at is not None and FOLDER_EXISTS in finalizers and IN_USE not in finalizers
        if is_going and volume.metadata.name not in self._removing:
            self._removing.add(volume.metadata.name)
            self._spawn(self._remove(volume))

    def _forget(self, name: str) -> None:
        task = self._followed.pop(name, None)
        if task is not None:
            task.cancel()

    async def _remove(self, volume: PersistentVolume) -> None:
        name, backoff = volume.metadata.name, Backoff(0.5, 60.0)
        while True:
            if await self._is_removed(name, volume.metadata.uid):
                break
            await asyncio.sleep(backoff.next())
        self._removing.discard(name)

    async def _is_removed(self, name: str, uid: str) -> bool:
        """Try it; whether nothing is left to do."""
        patch = {"metadata": {"uid": uid, "$deleteFromPrimitiveList/finalizers": [FOLDER_EXISTS]}}
        try:
            # Read anew each time: people may say meanwhile that the folder shall be retained.
            volume = await self._client.get(PersistentVolume, name)
            if volume.metadata.uid != uid:
                return True
            path = self._path(volume) if volume.spec.persistent_volume_reclaim_policy == "Delete" else None
            if path is not None and self._is_in_use(_claim_of(volume), path):
                log.warning("volume not removed yet", volume=name, error="a pod of this node uses it")
                return False
            if path is not None and path.exists():
                await asyncio.to_thread(shutil.rmtree, path)
            await self._client.patch(PersistentVolume, name, "", patch, type="strategic")
        except NotFound:
            return True
        except (ApiError, OSError) as error:
            log.warning("volume not removed yet", volume=name, error=str(error))
            return False
        log.info("volume removed", volume=name)
        return True


def _claim_of(volume: PersistentVolume) -> str:
    claim = volume.spec.claim_ref
    return f"{claim.namespace}/{claim.name}" if claim is not None else ""


def _make_open_folder(path: Path) -> None:
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o777)
