"""What a node may do: read what its own pods refer to, write its own Node, Lease and pods' status, and nothing else.

A node is a user `system:node:NAME` in the group `system:nodes`. Which objects it may read follows from the pods bound
to it, as they are at the moment of the request.

Kubernetes: the Node authorizer. What a node may write into an object is the business of
`admission/node_restriction.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from apiserver.request import User
from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.api.core.pod import Pod, PodSpec
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.api.storage.provisioning import ON_NODE

if TYPE_CHECKING:
    from apiserver.access.rbac import Attributes
    from apiserver.reading.watch_cache import WatchCache

GROUP, PREFIX = "system:nodes", "system:node:"
READ = ("get", "list", "watch")
LEASES = "kube-node-lease"

# What every node may do, whoever it is: (API group, resource) -> verbs.
_FREE: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "services"): READ,
    ("", "events"): ("create", "patch", "update"),
    ("events.k8s.io", "events"): ("create", "patch", "update"),
    ("", "nodes"): ("create", *READ),
    ("node.k8s.io", "runtimeclasses"): READ,
    ("storage.k8s.io", "csidrivers"): READ,
    ("authentication.k8s.io", "tokenreviews"): ("create",),
    ("authentication.k8s.io", "selfsubjectreviews"): ("create",),
    ("authorization.k8s.io", "subjectaccessreviews"): ("create",),
    ("authorization.k8s.io", "selfsubjectaccessreviews"): ("create",),
    ("certificates.k8s.io", "certificatesigningrequests"): ("create", *READ),
    ("resource.k8s.io", "resourceslices"): ("create",),  # admission checks whose it is
}
# What a node may do to the object that bears its own name.
_OWN: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "nodes"): ("patch", "update"),
    ("", "nodes/status"): ("get", "patch", "update"),
    ("coordination.k8s.io", "leases"): ("get", "patch", "update", "delete"),
    ("storage.k8s.io", "csinodes"): ("get", "patch", "update", "delete"),
}
_SLICES = ("resource.k8s.io", "resourceslices")
_REFERRED = ("secrets", "configmaps", "persistentvolumeclaims")


class Reference(NamedTuple):
    """An object that a pod needs: resource and name, in the pod's namespace."""

    resource: str
    name: str


class NodeAuthorizer:
    """Answers for users that are nodes."""

    def __init__(self, cache: WatchCache) -> None:
        self._pods = cache.of(Pod)
        self._claims = cache.of(PersistentVolumeClaim)
        self._volumes = cache.of(PersistentVolume)
        self._slices = cache.of(ResourceSlice)

    def node_of(self, user: User) -> str:
        """The node a user is, or an empty string."""
        if GROUP not in user.groups or not user.name.startswith(PREFIX):
            return ""
        return user.name.removeprefix(PREFIX)

    def allows(self, node: str, wanted: Attributes) -> bool:
        """Whether the node may do this."""
        place = (wanted.group, wanted.resource)
        if wanted.verb in _FREE.get(place, ()):
            return True
        if wanted.resource == "leases" and (wanted.namespace != LEASES or wanted.group != "coordination.k8s.io"):
            return False
        if place == ("coordination.k8s.io", "leases") and wanted.verb == "create":
            return True  # a create has no name in its URL; admission checks it
        if place == _SLICES:
            return self._allows_slices(node, wanted)
        if wanted.name == node and wanted.verb in _OWN.get(place, ()):
            return True
        if place == ("resource.k8s.io", "resourceclaims"):
            return wanted.verb == "get" and any(
                wanted.name in claim_names(pod).values() for pod in self._pods_in(node, wanted.namespace)
            )
        if wanted.group:
            return False
        return self._allows_pods(node, wanted) or self._allows_reference(node, wanted)

    def _allows_slices(self, node: str, wanted: Attributes) -> bool:
        """The slices of the node's own devices; several only if they are selected by the node."""
        if wanted.verb in ("list", "watch", "deletecollection"):
            return wanted.node == node
        stored = self._slices.get("", wanted.name)
        is_own = stored is None or stored.fields.get("spec.nodeName") == node
        return wanted.verb in ("get", "patch", "update", "delete") and is_own

    def _allows_pods(self, node: str, wanted: Attributes) -> bool:
        """Pods bound to the node; reading all pods is left to lists that select the node's own."""
        if wanted.resource == "pods":
            if wanted.verb in ("list", "watch"):
                return wanted.node == node
            return wanted.verb in ("get", "delete") and self._is_here(node, wanted)
        status = wanted.resource == "pods/status" and wanted.verb in ("get", "patch", "update")
        return status and self._is_here(node, wanted)

    def _is_here(self, node: str, wanted: Attributes) -> bool:
        stored = self._pods.get(wanted.namespace, wanted.name)
        # A pod that is gone is nobody's: let the request through to its 404.
        return stored is None or stored.fields.get("spec.nodeName") == node

    def _allows_reference(self, node: str, wanted: Attributes) -> bool:
        """Objects that pods of the node refer to, one by one, never by listing."""
        if wanted.resource == "serviceaccounts/token":
            return wanted.verb == "create" and any(
                pod.spec.service_account_name == wanted.name for pod in self._pods_in(node, wanted.namespace)
            )
        if wanted.resource == "persistentvolumes" and wanted.verb in (*READ, "patch") and wanted.name:
            holds = self._holds_volume(node, wanted.name)
            return holds or (wanted.verb in READ and self._uses_volume(node, wanted.name))
        if wanted.verb not in READ or not wanted.name:
            return False
        if wanted.resource not in _REFERRED:
            return False
        needed = Reference(wanted.resource, wanted.name)
        return any(needed in references_of_pod(pod) for pod in self._pods_in(node, wanted.namespace))

    def _holds_volume(self, node: str, name: str) -> bool:
        """A volume that is a folder of the node; it removes the folder when the volume's object goes."""
        stored = self._volumes.get("", name)
        if stored is None:
            return True  # gone, and nobody's: let the request through to its 404
        return PersistentVolume.read(stored.item).metadata.annotations.get(ON_NODE) == node

    def _uses_volume(self, node: str, volume: str) -> bool:
        for stored in self._claims.objects():
            claim = PersistentVolumeClaim.read(stored.item)
            if claim.spec.volume_name == volume:
                needed = Reference("persistentvolumeclaims", stored.name)
                return any(needed in references_of_pod(pod) for pod in self._pods_in(node, stored.namespace))
        return False

    def _pods_in(self, node: str, namespace: str) -> Iterator[Pod]:
        for stored in self._pods.objects(namespace):
            if stored.fields.get("spec.nodeName") == node:
                yield Pod.read(stored.item)


def references_of_pod(pod: Pod) -> set[Reference]:
    """What a pod names, and the claims that are named after it."""
    return references_of(pod.spec) | {Reference("persistentvolumeclaims", name) for name in pod.claim_names}


def references_of(spec: PodSpec) -> set[Reference]:
    """Every secret, config map and claim that a pod names."""
    found = {Reference("secrets", pulled.name) for pulled in spec.image_pull_secrets}
    for volume in spec.volumes:
        found |= set(_of_volume(volume.raw))
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        for source in container.env_from:
            if source.secret_ref:
                found.add(Reference("secrets", source.secret_ref.name))
            if source.config_map_ref:
                found.add(Reference("configmaps", source.config_map_ref.name))
        for value in (variable.value_from for variable in container.env if variable.value_from):
            if value.secret_key_ref:
                found.add(Reference("secrets", value.secret_key_ref.name))
            if value.config_map_key_ref:
                found.add(Reference("configmaps", value.config_map_key_ref.name))
    return found


def _of_volume(volume: dict[str, dict[str, object]]) -> Iterator[Reference]:
    if "secret" in volume:
        yield Reference("secrets", str(volume["secret"].get("secretName", "")))
    if "configMap" in volume:
        yield Reference("configmaps", str(volume["configMap"].get("name", "")))
    if "persistentVolumeClaim" in volume:
        yield Reference("persistentvolumeclaims", str(volume["persistentVolumeClaim"].get("claimName", "")))
    sources = volume.get("projected", {}).get("sources") or []
    for source in sources if isinstance(sources, list) else []:
        if "secret" in source:
            yield Reference("secrets", source["secret"].get("name", ""))
        if "configMap" in source:
            yield Reference("configmaps", source["configMap"].get("name", ""))
