"""The versions of a template that a StatefulSet or DaemonSet remembers, each in a ControllerRevision.

Kubernetes: pkg/controller/history. `kubectl rollout history` and `undo` read what is written here: `data` is a patch
that brings a version back. Differs: as with Deployments the hash is taken over the template's JSON, so names differ
from those that a Kubernetes controller would have chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec

from controllers.parts.collision import avoided
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.daemonset import GENERATION, DaemonSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.pod import PodTemplate
from wherry.client.plan import CheckAgain, Create, Delete, Manifest, Plan, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference
from wherry.machinery.names import safe_hash

REVISION_LABEL = "controller-revision-hash"
"""Which version a pod is of."""
_OWN = ("kubectl.kubernetes.io/last-applied-configuration", GENERATION)

Owner = StatefulSet | DaemonSet


class History(NamedTuple):
    """The versions remembered, the oldest first, and the one that is wanted now (None until it is written down)."""

    revisions: tuple[ControllerRevision, ...]
    wanted: ControllerRevision | None

    @property
    def next_number(self) -> int:
        """The number of a version newer than all."""
        return max((revision.revision for revision in self.revisions), default=0) + 1

    def named(self, name: str) -> ControllerRevision | None:
        """The version of that name, if it is remembered."""
        return next((revision for revision in self.revisions if revision.metadata.name == name), None)


def history_of(owner: Owner, revisions: Iterable[ControllerRevision]) -> History:
    """Put in order; of several that hold the current template the newest is the wanted one."""
    by_number = tuple(sorted(revisions, key=lambda one: (one.revision, str(one.metadata.created_at), one.key)))
    data = _data(owner.spec.template)
    return History(by_number, next((one for one in reversed(by_number) if one.data == data), None))


def _data(template: PodTemplate) -> dict[str, Any]:
    """A strategic merge patch; the directive makes it replace the template instead of adding to it.

    Its keys are in order, as Kubernetes writes them: clients compare what is remembered byte by byte.
    """
    written = msgspec.json.encode({"spec": {"template": {**template.raw, "$patch": "replace"}}}, order="deterministic")
    return msgspec.json.decode(written, type=dict[str, Any])


def template_of(revision: ControllerRevision) -> PodTemplate:
    """The template that is remembered; an empty one if somebody else wrote something else there."""
    data: Any = revision.data
    for key in ("spec", "template"):
        data = data.get(key) if isinstance(data, dict) else None
    return PodTemplate({key: part for key, part in data.items() if key != "$patch"} if isinstance(data, dict) else {})


def short_hash(owner: Owner) -> str:
    """A short name for the current template; `status.collisionCount` gives another one when it is taken."""
    text = msgspec.json.encode(_data(owner.spec.template), order="deterministic")
    return safe_hash(text + str(owner.status.collision_count or "").encode())


def remembered(owner: Owner, history: History, label: str, world: World) -> Plan:
    """Write down the version that is wanted now; the next plan finds it. Its hash becomes its label."""
    manifest = _new_revision(owner, history, label)
    taken = world.get(ControllerRevision, manifest["metadata"]["name"], owner.metadata.namespace)
    if taken is not None:
        yield from avoided(owner, taken)
        return
    yield Create(manifest)
    yield CheckAgain(1)


def _new_revision(owner: Owner, history: History, label: str) -> Manifest:
    suffix = short_hash(owner)
    annotations = {key: text for key, text in owner.metadata.annotations.items() if key not in _OWN}
    return {
        "apiVersion": ControllerRevision.kind.api_version,
        "kind": ControllerRevision.kind.name,
        "metadata": {
            "name": f"{owner.metadata.name}-{suffix}",
            "namespace": owner.metadata.namespace,
            "labels": {**owner.spec.template.metadata.labels, label: suffix},
            "annotations": annotations,
            "ownerReferences": [controller_reference(owner)],
        },
        "data": _data(owner.spec.template),
        "revision": history.next_number,
    }


def numbered(history: History) -> Plan:
    """A version that is wanted again becomes the newest one."""
    if history.wanted is not None and history.wanted is not history.revisions[-1]:
        yield Update(history.wanted, {"revision": history.next_number})


def forgotten(history: History, living: Collection[str], limit: int | None) -> Plan:
    """Delete the oldest versions beyond the limit, less those that are living (by name)."""
    old = [one for one in history.revisions if one.metadata.name not in living and one.metadata.deleted_at is None]
    for revision in old[: max(0, len(old) - limit)] if limit is not None else ():
        yield Delete(revision)
