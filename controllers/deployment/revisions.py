"""Which ReplicaSet stands for which version of a Deployment's template: hash, revision number, history.

Kubernetes: deployment_util.go. `kubectl rollout history` and `undo` read these annotations. Differs: the hash is taken
over the template's JSON, so names differ from those that a Kubernetes controller would have chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import PodTemplate
from wherry.client.plan import Manifest
from wherry.machinery.meta import controller_reference
from wherry.machinery.names import safe_hash

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
# What a ReplicaSet does not take over from its Deployment.
_OWN = {REVISION, HISTORY, DESIRED, MOST}
_OWN |= {"kubectl.kubernetes.io/last-applied-configuration", "deprecated.deployment.rollback.to"}
MOST_HISTORY_CHARACTERS = 2000
_LARGEST = 2**63 - 1
_DIGITS = 20  # more make a number longer than that, and slow to read


class Fleet(NamedTuple):
    """The ReplicaSets of a Deployment: the one of the current template, if there is one, and the others by age."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        """Everyone."""
        return (*self.old, self.new) if self.new is not None else self.old

    @property
    def active(self) -> tuple[ReplicaSet, ...]:
        """Those that should have pods."""
        return tuple(rs for rs in self.all if rs.spec.replicas > 0)


def fleet_of(deployment: Deployment, replicasets: Iterable[ReplicaSet]) -> Fleet:
    """Tell new from old; of several with the current template the oldest is the new one."""
    by_age = sorted(replicasets, key=lambda rs: (str(rs.metadata.created_at), rs.metadata.name))
    current = _comparable(deployment.spec.template)
    new = next((rs for rs in by_age if _comparable(rs.spec.template) == current), None)
    return Fleet(new, tuple(rs for rs in by_age if rs is not new))


def _comparable(template: PodTemplate) -> dict[str, Any]:
    metadata = {key: value for key, value in (template.raw.get("metadata") or {}).items() if value}
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key != HASH_LABEL}
    return {**template.raw, "metadata": {**metadata, "labels": labels}}


def revision_of(rs: ReplicaSet) -> int:
    """The number of the version that it stands for, 0 if it has none."""
    return number(rs.metadata.annotations.get(REVISION, ""))


def next_revision(fleet: Fleet) -> int:
    """The number of the current version, if it is newer than all others."""
    return max((revision_of(rs) for rs in fleet.old), default=0) + 1


def number(text: str) -> int:
    """The number that an annotation holds, 0 if it holds none that Kubernetes could count with."""
    is_number = text.isascii() and text.isdigit() and len(text) < _DIGITS
    return int(text) if is_number and int(text) <= _LARGEST else 0


def wanted_annotations(deployment: Deployment, present: Mapping[str, str], revision: int) -> dict[str, str]:
    """All annotations of the ReplicaSet of the current version, which has `present` now."""
    wanted = {**present, **{key: text for key, text in deployment.metadata.annotations.items() if key not in _OWN}}
    before = present.get(REVISION, "")
    if number(before) < revision:
        wanted[REVISION] = str(revision)
        if before:  # rolled back: the version gets a new number and remembers the ones it had
            wanted[HISTORY] = _history(present.get(HISTORY, ""), before)
    return wanted


def _history(history: str, before: str) -> str:
    numbers = [*filter(None, history.split(",")), before]
    while len(numbers) > 1 and len(",".join(numbers)) > MOST_HISTORY_CHARACTERS:
        del numbers[0]
    return ",".join(numbers)


def template_hash(deployment: Deployment) -> str:
    """A short name for the current template; `status.collisionCount` gives another one when it is taken."""
    text = msgspec.json.encode(_comparable(deployment.spec.template), order="deterministic")
    return safe_hash(text + str(deployment.status.collision_count or "").encode())


def new_name(deployment: Deployment) -> str:
    """What the ReplicaSet of the current version is called."""
    return f"{deployment.metadata.name}-{template_hash(deployment)}"


def new_replicaset(deployment: Deployment, fleet: Fleet, replicas: int, most: int) -> Manifest:
    """The ReplicaSet of the current version, as JSON."""
    template, suffix = deployment.spec.template.raw, template_hash(deployment)
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: suffix}
    selector = deployment.spec.selector
    counted = {DESIRED: str(deployment.spec.replicas), MOST: str(most)}
    return {
        "apiVersion": ReplicaSet.kind.api_version,
        "kind": ReplicaSet.kind.name,
        "metadata": {
            "name": new_name(deployment),
            "namespace": deployment.metadata.namespace,
            "labels": labels,
            "annotations": {**wanted_annotations(deployment, {}, next_revision(fleet)), **counted},
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": {**selector.raw, "matchLabels": {**selector.match_labels, HASH_LABEL: suffix}},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }
