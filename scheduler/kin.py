"""Kin: who counts as a pod's like, by the Services that select it and the workload it is of.

Kubernetes: the scheduler plugins' DefaultSelector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.pods import PodView
from scheduler.pods.terms import Group
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.replication_controller import ReplicationController
from wherry.api.core.service import Service
from wherry.client.informer import Change
from wherry.client.world import Shelf
from wherry.machinery.meta import OwnerReference
from wherry.machinery.resource import Resource
from wherry.machinery.selectors import Requirement, Requirements, from_label_selector

# Sorts of pods whose like is remembered.
MOST_KNOWN = 4096
KINDS: tuple[type[Resource], ...] = (Service, ReplicationController, ReplicaSet, StatefulSet)


class Kin:
    """See the module. The shelves, one for each of `KINDS`, are current when a change is told."""

    def __init__(self, shelves: Mapping[type[Resource], Shelf[Any]]) -> None:
        self._services: Shelf[Service] = shelves[Service]
        self._workloads = {(kind.kind.api_version, kind.kind.name): shelves[kind] for kind in KINDS[1:]}
        self._known: dict[tuple[Group, OwnerReference | None], Requirements | None] = {}

    def changed(self, change: Change[Any]) -> None:
        """A service or a workload is another one."""
        before, after = change
        if before is None or after is None or before.spec.selector != after.spec.selector:
            self._known.clear()

    def view(self, pod: PodView) -> PodView:
        """The pod with what selects its like; the same one if nothing does, or it says itself how it is spread."""
        if pod.spec.topology_spread_constraints:
            return pod
        kin = self._of(pod)
        return pod if kin == pod.kin else pod.replace(kin=kin)

    def _of(self, pod: PodView) -> Requirements | None:
        owner = pod.metadata.controller
        if owner is None and not len(self._services):
            return None
        key = (pod.group, owner)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._found(pod, owner)
        return self._known[key]

    def _found(self, pod: PodView, owner: OwnerReference | None) -> Requirements | None:
        labels, namespace = pod.metadata.labels, pod.metadata.namespace
        equal: dict[str, str] = {}
        for service in self._services.in_namespace(namespace):
            asked = service.spec.selector
            if asked and asked.items() <= labels.items():
                equal |= asked
        shelf = self._workloads.get((owner.api_version, owner.kind)) if owner is not None else None
        workload = shelf.get(f"{namespace}/{owner.name}") if shelf is not None and owner is not None else None
        more: tuple[Requirement, ...] = ()
        if isinstance(workload, ReplicationController):
            equal |= workload.spec.selector
        elif workload is not None:
            more = from_label_selector(workload.spec.selector.raw).terms
        terms = (*(Requirement(name, "=", (value,)) for name, value in sorted(equal.items())), *more)
        return Requirements(terms) if terms else None
