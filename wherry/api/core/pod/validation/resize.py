"""What a resize may change: cpu and memory of containers, and never the pod's quality of service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.api.core.pod.container import Container, Resources
from wherry.api.core.pod.qos import qos_class
from wherry.api.core.pod.validation.spec import MIRROR
from wherry.machinery.field_errors import FieldError, forbidden, invalid

if TYPE_CHECKING:
    from wherry.api.core.pod.resource import Pod

_RESIZABLE = frozenset({"cpu", "memory"})


def check_resize(pod: Pod, old: Pod) -> Iterator[FieldError]:
    """A write through `/resize`; everything but the containers' resources has been kept as it was."""
    if MIRROR in old.metadata.annotations:
        yield forbidden("metadata", "static pods cannot be resized")
        return
    before, now = qos_class(old.spec.to_wire()), qos_class(pod.spec.to_wire())
    if before != now:
        yield invalid("spec", before, "Pod QOS Class may not change as a result of resizing")
    pairs = [("spec.containers", list(zip(pod.spec.containers, old.spec.containers, strict=False)))]
    pairs.append(("spec.initContainers", list(zip(pod.spec.init_containers, old.spec.init_containers, strict=False))))
    for path, both in pairs:
        for index, (container, was) in enumerate(both):
            yield from _check_container(f"{path}[{index}].resources", container, was)


def _check_container(path: str, container: Container, old: Container) -> Iterator[FieldError]:
    if container.resources == old.resources:
        return
    is_init = path.startswith("spec.initContainers")
    if is_init and not container.is_sidecar:
        yield forbidden(path, "resources for non-sidecar init containers are immutable")
        return
    if _others(container.resources) != _others(old.resources):
        yield forbidden("spec", "only cpu and memory resources are mutable")
    for side, now, was in (
        ("limits", container.resources.limits, old.resources.limits),
        ("requests", container.resources.requests, old.resources.requests),
    ):
        if any(name in was and name not in now for name in _RESIZABLE):
            yield forbidden(f"{path}.{side}", f"resource {side} cannot be removed")


def _others(resources: Resources) -> object:
    sides = (resources.limits, resources.requests)
    kept = [{name: amount for name, amount in side.items() if name not in _RESIZABLE} for side in sides]
    return kept, resources.claims
