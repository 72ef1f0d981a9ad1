"""Images: fetched once at a time each, tried again with growing pauses, with the pod's own credentials.

Kubernetes: the image manager and its back-off, credentialprovider/keyring. Differs: credentials match by registry
host and path prefix, without wildcards.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from kubelet.recipe.image_names import is_image_name, registry_of
from kubelet.runtime.base import Image, Runtime
from wherry.api.core.secret import Secret
from wherry.client import clock

SANDBOX_IMAGE = "wherry/pause:local"
# The sandbox waits, reaps what is handed to it, and ends at once when asked to. Any image with a busybox will do.
SANDBOX_COMMAND = ("/bin/busybox", "sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done")

FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 300
_DOCKER_HUB = ("index.docker.io/v1", "index.docker.io", "docker.io")


class Pause(NamedTuple):
    """After a failed pull: nothing is tried before `until`."""

    seconds: int
    until: datetime
    error: str


class Images:
    """Pulls for all pods of a node: those of one image and login share one pull."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pulls: dict[tuple[str, str], asyncio.Future[Image]] = {}
        self._pauses: dict[tuple[str, str], Pause] = {}

    async def find(self, name: str) -> Image | None:
        """An image that is on the machine; none has a name that is no image name, so no engine is asked for it."""
        return await self._runtime.image(name) if is_image_name(name) else None

    async def pull(self, name: str, credentials: Mapping[str, str] | None) -> Image:
        """Fetch an image; RuntimeFailure when that fails."""
        key = (name, json.dumps(credentials, sort_keys=True))
        if key not in self._pulls:
            self._pulls[key] = asyncio.ensure_future(self._runtime.pull(name, credentials))
            self._pulls[key].add_done_callback(lambda done: self._pulls.pop(key, None))
        return await asyncio.shield(self._pulls[key])

    def failed(self, pod_uid: str, name: str, error: str) -> Pause:
        """Note a failure; the next try must wait, each time twice as long."""
        known = self._pauses.get((pod_uid, name))
        seconds = min(LONGEST_PAUSE_SECONDS, 2 * known.seconds) if known else FIRST_PAUSE_SECONDS
        pause = Pause(seconds, clock.now() + timedelta(seconds=seconds), error)
        self._pauses[pod_uid, name] = pause
        return pause

    def succeeded(self, pod_uid: str, name: str) -> None:
        """Forget earlier failures."""
        self._pauses.pop((pod_uid, name), None)

    def forget(self, pod_uid: str) -> None:
        """The pod is gone."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if key[0] != pod_uid}


def credentials_for(image: str, secrets: Iterable[Secret]) -> dict[str, str] | None:
    """The login for an image's registry among a pod's pull secrets: the longest prefix that matches."""
    target, found = registry_of(image), {}
    for secret in secrets:
        for place, login in _logins(secret).items():
            prefix = place.partition("://")[2] or place
            prefix = "index.docker.io" if prefix.rstrip("/") in _DOCKER_HUB else prefix.rstrip("/")
            if target == prefix or target.startswith(prefix + "/"):
                found[prefix] = login
    return found[max(found, key=len)] if found else None


def _logins(secret: Secret) -> dict[str, dict[str, str]]:
    raw = secret.data.get(".dockerconfigjson") or secret.data.get(".dockercfg")
    try:
        content = json.loads(base64.b64decode(raw or "e30="))
        entries = content.get("auths", content) if secret.type != "kubernetes.io/dockercfg" else content
        return {place: _login(entry) for place, entry in entries.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}  # a secret that nobody can read is no login


def _login(entry: Mapping[str, str]) -> dict[str, str]:
    name, word = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        name, _, word = base64.b64decode(entry["auth"]).decode().partition(":")
    login = {"username": name, "password": word}
    return login | ({"identitytoken": entry["identitytoken"]} if entry.get("identitytoken") else {})
