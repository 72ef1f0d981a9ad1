"""Which persistent volume suits a claim. Kubernetes: volume.FindMatchingVolume, for controllers and scheduler alike."""

from __future__ import annotations

from collections.abc import Iterable

from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod.spec import NodeSelector, NodeSelectorRequirement
from wherry.machinery.quantity import Quantity
from wherry.machinery.selectors import Requirement

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": ">", "Lt": "<"}
_NOTHING = Quantity()


def is_meant_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is bound to this claim, or set aside for it by name."""
    reference = volume.spec.claim_ref
    if reference is None or (reference.namespace, reference.name) != (claim.metadata.namespace, claim.metadata.name):
        return False
    return reference.uid in ("", claim.metadata.uid)


def best_volume(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> PersistentVolume | None:
    """The volume set aside for the claim, else the smallest free one that suits it."""
    suitable = suitable_volumes(claim, volumes)
    meant = next((volume for volume in suitable if is_meant_for(volume, claim)), None)
    return meant or next(iter(suitable), None)


def suitable_volumes(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> list[PersistentVolume]:
    """The volumes that are free, or set aside for the claim, and suit it; the smallest first."""
    alike = (volume for volume in volumes if _is_large_and_alike(volume, claim))
    suitable = (
        volume
        for volume in alike
        if is_meant_for(volume, claim) or (volume.spec.claim_ref is None and _serves(volume, claim))
    )
    return sorted(suitable, key=lambda volume: (_capacity(volume), volume.metadata.name))


def _is_large_and_alike(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    wanted = claim.spec.resources.requests.get("storage", _NOTHING)
    same_class = volume.spec.storage_class_name == (claim.spec.storage_class_name or "")
    same_mode = volume.spec.volume_mode == claim.spec.volume_mode
    return volume.metadata.deleted_at is None and same_class and same_mode and not _capacity(volume) < wanted


def _serves(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    selector = claim.spec.selector
    is_selected = selector is None or selector.matches(volume.metadata.labels)
    return is_selected and set(claim.spec.access_modes) <= set(volume.spec.access_modes)


def _capacity(volume: PersistentVolume) -> Quantity:
    return volume.spec.capacity.get("storage", _NOTHING)


def is_reachable(volume: PersistentVolume, node: Node) -> bool:
    """Whether pods on the node can use the volume."""
    required = volume.spec.node_affinity.required
    return required is None or selects(required, node)


def selects(selector: NodeSelector, node: Node) -> bool:
    """Whether one of the selector's terms matches the node."""
    fields = {"metadata.name": node.metadata.name}
    return any(
        all(_holds(one, node.metadata.labels) for one in term.match_expressions)
        and all(_holds(one, fields) for one in term.match_fields)
        for term in selector.node_selector_terms
        if term.match_expressions or term.match_fields
    )


def _holds(requirement: NodeSelectorRequirement, labels: dict[str, str]) -> bool:
    operator = _OPERATORS.get(requirement.operator, "")
    return bool(operator) and Requirement(requirement.key, operator, tuple(requirement.values)).matches(labels)
