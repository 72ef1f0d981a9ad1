"""NodeRestriction: what a node writes concerns itself alone, whatever the rest of the object says."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.certificates.request import requested
from wherry.api.core.pod import Pod
from wherry.api.storage.provisioning import FOLDER_EXISTS
from wherry.machinery.errors import forbidden

# What the server itself writes with every change.
_KEPT_BY_SERVER = ("resourceVersion", "managedFields", "generation")
_OF_NODES = ("kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving")
_LABELS = "node-restriction.kubernetes.io/"


class NodeRestriction(AdmissionPlugin):
    """Kubernetes: NodeRestriction. The node authorizer has already let the request through."""

    kinds: ClassVar[tuple[str, ...]] = (
        "nodes",
        "pods",
        "persistentvolumes",
        "serviceaccounts",
        "leases.coordination.k8s.io",
        "resourceslices.resource.k8s.io",
        "certificatesigningrequests.certificates.k8s.io",
    )
    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE", "DELETE")
    order = 5

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        node = self.server.authorizer.nodes.node_of(write.user)
        if not node:
            return
        resource = write.cls.kind.resource
        if resource == "pods":
            self._check_pod(draft, node, write)
        elif resource == "persistentvolumes":
            _check_volume(draft, old, write)
        elif resource == "serviceaccounts":
            if write.facet is not None:
                self._check_token(draft, node, write)
        elif resource == "resourceslices.resource.k8s.io":
            if draft["spec"].get("nodeName") != node:
                why = "can only create ResourceSlice with the same NodeName as the requesting node"
                raise forbidden("resourceslices", write.name, why)
        elif resource == "certificatesigningrequests.certificates.k8s.io":
            _check_request(draft, node, write)
        elif draft["metadata"].get("name") != node:
            raise forbidden(resource, write.name, f'node "{node}" is not allowed to modify {resource} of another name')
        elif resource == "nodes":
            _check_node(draft, old, write)

    def _check_pod(self, draft: Draft, node: str, write: Write) -> None:
        if write.operation == "CREATE":
            raise forbidden("pods", write.name, f'node "{node}" can not create pods: static pods have no mirror here')
        if draft["spec"].get("nodeName") != node:
            raise forbidden("pods", write.name, f'node "{node}" can only touch pods with spec.nodeName set to itself')

    def _check_token(self, draft: Draft, node: str, write: Write) -> None:
        """A token of an account lives no longer than the pod that it is for, which runs on this very node."""
        bound = draft["spec"].get("boundObjectRef") or {}
        if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
            raise forbidden("serviceaccounts", write.name, "node requested token not bound to a pod")
        if not bound.get("uid"):
            raise forbidden("serviceaccounts", write.name, "node requested token with a pod binding without a uid")
        stored = self.server.cache.of(Pod).get(write.namespace, bound["name"])
        if stored is None or Pod.read(stored.item).spec.node_name != node:
            why = "node requested token bound to a pod scheduled on a different node"
            raise forbidden("serviceaccounts", write.name, why)


def _check_request(draft: Draft, node: str, write: Write) -> None:
    """Signers trust that a node asks for nobody else's certificate."""
    spec = draft["spec"]
    if write.operation != "CREATE" or spec.get("signerName") not in _OF_NODES:
        return
    try:
        name = requested(spec.get("request") or "").common_name
    except ValueError as error:
        raise forbidden(write.cls.kind.resource, write.name, f"unable to parse csr: {error}") from None
    if name != f"system:node:{node}":
        why = f"can only create a node CSR with CN=system:node:{node}"
        raise forbidden(write.cls.kind.resource, write.name, why)


def _check_node(draft: Draft, old: Draft | None, write: Write) -> None:
    if write.operation == "DELETE":
        raise forbidden("nodes", write.name, "is not allowed to delete itself")
    before = (old or {}).get("metadata", {}).get("labels") or {}
    after = draft["metadata"].get("labels") or {}
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    reserved = [key for key in changed if key.split("/")[0].endswith(_LABELS.rstrip("/"))]
    if reserved:
        raise forbidden("nodes", write.name, f"is not allowed to modify labels: {', '.join(reserved)}")
    if old is not None and (draft.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
        raise forbidden("nodes", write.name, "is not allowed to modify taints")


def _check_volume(draft: Draft, old: Draft | None, write: Write) -> None:
    """A node says whether there is a folder behind a volume, by a finalizer, and nothing else."""
    if old is None or _without_mark(draft) != _without_mark(old):
        raise forbidden("persistentvolumes", write.name, f"a node may only add or remove the finalizer {FOLDER_EXISTS}")


def _without_mark(volume: Draft) -> Draft:
    metadata = {key: value for key, value in volume["metadata"].items() if key not in _KEPT_BY_SERVER}
    others = [name for name in metadata.pop("finalizers", None) or () if name != FOLDER_EXISTS]
    return {**volume, "metadata": {**metadata, "finalizers": others}}
