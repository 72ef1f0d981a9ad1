"""Transcript: what happens in a simulated cluster, line by line, as course material and as golden test.

    $ kubectl scale deployment web --replicas=5
    +  0.003  you          Deployment web              wants 5
    +  0.008  controllers  ReplicaSet web-76f464fd7c   wants 5

A line says when (seconds since the last command), who wrote, which object, and what is new about it. What there is to
say about an object is decided here, one function per kind: its facts. Facts that stay as they are make no line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from apiserver.keys import folder
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.api.meta import Conditions, find_condition
from wherry.machinery.resource import Resource
from wherry.sim.journal import Journal, Object, Write

_ACTORS = {
    "": "API server",
    "admin": "you",
    "system:kube-controller-manager": "controllers",
    "system:kube-scheduler": "scheduler",
}
_REVISION = "deployment.kubernetes.io/revision"


def _deployment(deployment: Deployment) -> Iterator[str]:
    yield f"wants {deployment.spec.replicas}"
    yield f"of {_images(deployment.spec.template.spec.containers)}"
    status = deployment.status
    if status.observed_generation:
        yield f"has {status.replicas}"
        yield f"{status.updated_replicas} up to date"
        yield f"{status.available_replicas} available"
    yield from _told(status.conditions, "Progressing")


def _replica_set(rs: ReplicaSet) -> Iterator[str]:
    yield f"wants {rs.spec.replicas}"
    yield f"of {_images(rs.spec.template.spec.containers)}"
    yield f"revision {rs.metadata.annotations.get(_REVISION, 'none')}"
    if rs.status.observed_generation:
        yield f"has {rs.status.replicas}"
        yield f"{rs.status.ready_replicas} ready"


def _stateful_set(sts: StatefulSet) -> Iterator[str]:
    yield f"wants {sts.spec.replicas}"
    yield f"of {_images(sts.spec.template.spec.containers)}"
    status = sts.status
    if status.observed_generation:
        yield f"has {status.replicas}"
        yield f"{status.updated_replicas} up to date"
        yield f"{status.available_replicas} available"
        yield f"all are {status.current_revision}" if status.current_revision == status.update_revision else "updating"


def _claim(claim: PersistentVolumeClaim) -> Iterator[str]:
    yield claim.status.phase


def _revision(revision: ControllerRevision) -> Iterator[str]:
    yield f"version {revision.revision}"


def _pod(pod: Pod) -> Iterator[str]:
    if pod.spec.node_name:
        yield f"on {pod.spec.node_name}"
    elif pod.status.nominated_node_name:
        yield f"promised to be on {pod.status.nominated_node_name}"
    if pod.status.phase != "Pending":
        yield pod.status.phase
    if pod.status.container_statuses:
        yield "ready" if pod.status.ready else "not ready"
    for status in pod.status.container_statuses:
        if status.state.waiting:
            yield status.state.waiting.reason
    yield from _told(pod.status.conditions, "DisruptionTarget")


def _node(node: Node) -> Iterator[str]:
    ready = find_condition(node.status.conditions, "Ready")
    yield {"True": "Ready", "False": "NotReady"}.get(ready.status, "Unknown") if ready else "new"
    taints = sorted(f"{taint.key.rpartition('/')[2]}:{taint.effect}" for taint in node.spec.taints)
    yield f"tainted {' and '.join(taints)}" if taints else "no taints"


def _slice(piece: EndpointSlice) -> Iterator[str]:
    ready = sum(endpoint.conditions.ready is not False for endpoint in piece.endpoints)
    yield f"{ready} of {len(piece.endpoints)} ready"


def _images(containers: tuple[Any, ...]) -> str:
    return " and ".join(container.image for container in containers)


def _told(conditions: Conditions, type: str) -> Iterator[str]:
    found = find_condition(conditions, type)
    if found is not None:
        yield found.reason


FACTS: dict[type[Resource], Callable[[Any], Iterator[str]]] = {
    Deployment: _deployment,
    ReplicaSet: _replica_set,
    StatefulSet: _stateful_set,
    ControllerRevision: _revision,
    PersistentVolumeClaim: _claim,
    Pod: _pod,
    Node: _node,
    EndpointSlice: _slice,
}
_FOLDERS = {folder(kind.kind).removeprefix("/registry/").rstrip("/"): kind for kind in FACTS}


class Transcript:
    """See the module. It begins when it is made."""

    def __init__(self, journal: Journal, comment: str = "") -> None:
        self._lines = [f"# {line}".rstrip() for line in comment.strip().splitlines()]
        self._since = asyncio.get_running_loop().time()
        journal.subscribe(self._written)

    def command(self, text: str) -> None:
        """Write down what the story's hero does; times are counted from here."""
        self._lines += ["", f"$ {text}"]
        self._since = asyncio.get_running_loop().time()

    def text(self) -> str:
        """The transcript so far."""
        return "\n".join(self._lines) + "\n"

    def _written(self, write: Write) -> None:
        kind = _FOLDERS.get(write.resource)
        news = ", ".join(_news(kind, write.before, write.after)) if kind else ""
        if kind and news:
            actor = _ACTORS.get(write.actor, write.actor.removeprefix("system:node:"))
            name = f"{kind.kind.name} {write.key.rpartition('/')[2]}"
            self._lines.append(f"+{write.at - self._since:8.3f}  {actor:<11}  {name:<28}  {news}")


def _news(kind: type[Resource], before: Object | None, after: Object | None) -> Iterator[str]:
    """What is true of an object now and was not before."""
    if after is None:
        yield "gone"
        return
    known = set(_facts(kind, before)) if before is not None else set()
    if before is None:
        yield "created"
    yield from (fact for fact in _facts(kind, after) if fact not in known)


def _facts(kind: type[Resource], obj: Object) -> Iterator[str]:
    view = kind.read(obj)
    if view.metadata.deleted_at is not None:
        yield "being deleted"
    yield from FACTS[kind](view)
