"""Make volumes that are folders of a node: what the class `local-path` promises, and every class of its provisioner.

The volume lies below the folder that its node has announced; the node's kubelet makes the folder when the first pod
mounts it, and removes it when the volume's object is deleted. Kubernetes has no such provisioner; what people know is
Rancher's local-path-provisioner. Differs: of a class that binds at once the volume goes to the node with the fewest of
them, which pods must then follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.meta import reference_to
from wherry.api.storage.provisioning import (
    FOLDER,
    HOSTNAME,
    LOCAL_PATH,
    ON_NODE,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from wherry.api.storage.storage_class import StorageClass
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Create, Event, Manifest, Plan, Update
from wherry.client.world import World

# Where nodes that announce no folder would have it; such nodes have no kubelet that mounts anything.
NOWHERE = "/var/lib/wherry/local-path"
RETRY_SECONDS = 15.0
# Longer names no usual file system takes.
MOST_NAME_BYTES = 255


def waiting_claims(node: Node, world: World) -> Iterator[str]:
    """The claims that may have waited for a node to come, or had chosen one that is gone."""
    for claim in world.list(PersistentVolumeClaim):
        is_ours = claim.metadata.annotations.get(STORAGE_PROVISIONER) == LOCAL_PATH
        if is_ours and not claim.spec.volume_name and claim.metadata.annotations.get(SELECTED_NODE) is not None:
            yield claim.key


def which_node(node: Node) -> object:
    """Claims wait for nodes to come and to go: what changes of a node, heartbeats above all, wakes nobody."""
    return node.metadata.uid


@controller(
    PersistentVolumeClaim,
    wakes={Node: waiting_claims},
    notices={Node: which_node},
    reads=[PersistentVolume, StorageClass],
    component=LOCAL_PATH,
)
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Make the volume that the claim asks for, on the node that was chosen."""
    if claim.metadata.annotations.get(STORAGE_PROVISIONER) != LOCAL_PATH or claim.spec.volume_name:
        return
    storage_class = world.get(StorageClass, claim.spec.storage_class_name or "")
    if claim.metadata.deleted_at is not None or storage_class is None or storage_class.provisioner != LOCAL_PATH:
        return
    if world.get(PersistentVolume, volume_name(claim)) is not None:
        return
    selected = claim.metadata.annotations.get(SELECTED_NODE, "")
    node = world.get(Node, selected) if selected else _emptiest(world)
    if node is None and selected:
        # The node went between the choice and now: the scheduler shall choose again.
        yield Event(claim, "ProvisioningFailed", f'failed to get target node: node "{selected}" not found', "Warning")
        yield Update(claim, {"metadata": {"annotations": {SELECTED_NODE: None}}})
    elif node is None:
        yield Event(claim, "ProvisioningFailed", "no node is ready to hold the volume", "Warning")
        yield CheckAgain(RETRY_SECONDS)
    elif claim.spec.volume_mode == "Block":
        message = f'failed to provision volume with StorageClass "{storage_class.metadata.name}": '
        yield Event(claim, "ProvisioningFailed", f"{message}a folder is no block device", "Warning")
    else:
        yield from _made(claim, storage_class, node)


def _made(claim: PersistentVolumeClaim, storage_class: StorageClass, node: Node) -> Plan:
    yield Event(claim, "Provisioning", f'External provisioner is provisioning volume for claim "{claim.key}"')
    yield Create(volume_for(claim, storage_class, node))
    yield Event(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {volume_name(claim)}")


def volume_name(claim: PersistentVolumeClaim) -> str:
    """The one name that the claim's volume can have, so that no claim ever gets two."""
    return f"pvc-{claim.metadata.uid}"


def volume_for(claim: PersistentVolumeClaim, storage_class: StorageClass, node: Node) -> Manifest:
    """The volume, as JSON; it is set aside for the claim from the beginning."""
    name = volume_name(claim)
    folder = node.metadata.annotations.get(FOLDER, NOWHERE)
    hostname = node.metadata.labels.get(HOSTNAME, node.metadata.name)
    term = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [hostname]}]}
    spec: dict[str, Any] = {
        "capacity": {"storage": str(claim.spec.resources.requests["storage"])},
        "accessModes": list(claim.spec.access_modes),
        "persistentVolumeReclaimPolicy": storage_class.reclaim_policy,
        "storageClassName": storage_class.metadata.name,
        "claimRef": reference_to(claim),
        "hostPath": {"path": f"{folder}/{_folder_name(claim)}", "type": "DirectoryOrCreate"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    annotations = {PROVISIONED_BY: LOCAL_PATH, ON_NODE: node.metadata.name}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _folder_name(claim: PersistentVolumeClaim) -> str:
    """Says to people whose it is, as far as there is room; the volume's name alone keeps it apart from others."""
    return f"{volume_name(claim)}_{claim.metadata.namespace}_{claim.metadata.name}"[:MOST_NAME_BYTES]


def _emptiest(world: World) -> Node | None:
    """Of the nodes that take pods, the one with the fewest volumes of ours."""
    load = Counter(volume.metadata.annotations.get(ON_NODE) for volume in world.list(PersistentVolume))
    nodes = (node for node in world.list(Node) if node.is_ready and not node.spec.unschedulable and _is_open(node))
    return min(nodes, key=lambda node: (load[node.metadata.name], node.metadata.name), default=None)


def _is_open(node: Node) -> bool:
    return all(taint.effect == "PreferNoSchedule" for taint in node.spec.taints)
