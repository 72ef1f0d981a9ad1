"""ServiceAccount: every pod acts as some account, and finds its token, the cluster's CA and its namespace in a
volume.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.pod.spec import TOKEN_VOLUME
from wherry.api.core.service_account import ServiceAccount as Account
from wherry.machinery.errors import forbidden
from wherry.machinery.names import generate_suffix

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# Whoever makes a namespace and a pod in one go is faster than the controller that makes its account. Kubernetes looks
# ten times, one or two tenths of a second apart.
_LOOKS, _LOOK_SECONDS = 10, 0.15
TOKEN_SECONDS = 3607  # Kubernetes: an odd number, so that expiry times do not line up


class ServiceAccount(AdmissionPlugin):
    """Kubernetes: ServiceAccount admission."""

    kinds: ClassVar[tuple[str, ...]] = ("pods",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)
    order = 10

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        cache = self.server.cache.of(Account)
        stored = cache.get(write.namespace, name)
        if stored is None:
            await self.server.cache.fresh()
            stored = cache.get(write.namespace, name)
        for _ in range(_LOOKS if name == "default" else 0):
            if stored is not None:
                break
            await asyncio.sleep(_LOOK_SECONDS)
            stored = cache.get(write.namespace, name)
        if stored is None:
            why = f'error looking up service account {write.namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden("pods", draft["metadata"].get("name", ""), why)
        account = stored.draft(Account.kind)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        wanted = spec.get("automountServiceAccountToken")
        if wanted is None:
            wanted = account.get("automountServiceAccountToken", True)
        if wanted:
            _mount_token(spec, generate_suffix(self.server.random))


def _mount_token(spec: Draft, suffix: str) -> None:
    containers = [*spec.get("containers", []), *spec.get("initContainers", [])]
    without = [c for c in containers if all(m.get("mountPath") != MOUNT_PATH for m in c.get("volumeMounts", []))]
    if not without:
        return
    name = TOKEN_VOLUME + suffix
    spec["volumes"] = [*spec.get("volumes", []), {"name": name, "projected": _projection()}]
    for container in without:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*container.get("volumeMounts", []), mount]


def _projection() -> dict[str, Any]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }
