"""Groups: which pods belong to which pod group, and whether enough of them are there. Pure; follows the watch.

Who has succeeded was there once, and counts as if it still were: a gang of eight of which one is done does not wait for
another eighth.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from scheduler.pods import PodView
from wherry.api.core.pod import Pod
from wherry.api.scheduling.pod_group import PodGroup

TOO_FEW = "waiting for minCount pods from a gang to appear in scheduling queue"


def group_of(pod: Pod) -> str:
    """The key of the group that a pod names, `namespace/name`; empty if it names none."""
    group = pod.spec.scheduling_group
    return f"{pod.metadata.namespace}/{group.pod_group_name}" if group and group.pod_group_name else ""


@dataclass(slots=True)
class Members:
    """The pods of one group by uid: those that want a node or have one, and those that have succeeded."""

    pods: dict[str, PodView] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    @property
    def number(self) -> int:
        """How many there are, or were."""
        return len(self.pods) + len(self.done)


class Groups:
    """See the module."""

    def __init__(self) -> None:
        self._groups: dict[str, PodGroup] = {}
        self._members: dict[str, Members] = {}

    @property
    def keys(self) -> Collection[str]:
        """All groups that have pods."""
        return self._members.keys()

    def get(self, key: str) -> PodGroup | None:
        """The group itself, if there is one."""
        return self._groups.get(key)

    def members(self, key: str) -> Members:
        """The pods of a group."""
        return self._members.get(key) or Members()

    def put(self, group: PodGroup) -> None:
        """A group appeared, or changed."""
        self._groups[group.key] = group

    def remove(self, key: str) -> None:
        """A group is gone; its pods are not."""
        self._groups.pop(key, None)

    def pod_changed(self, before: Pod | None, after: Pod | None) -> None:
        """A pod appeared, changed, or went."""
        seen = after or before
        key = group_of(seen) if seen else ""
        if seen is None or not key:
            return
        members, uid = self._members.setdefault(key, Members()), seen.metadata.uid
        members.pods.pop(uid, None)
        members.done.discard(uid)
        if after is not None and after.status.phase == "Succeeded":
            members.done.add(uid)
        elif after is not None and not after.is_finished and (after.spec.node_name or not after.metadata.deleted_at):
            members.pods[uid] = PodView(after)
        if not members.number:
            del self._members[key]

    def lacking_group(self, pod: Pod) -> str:
        """Which group a pod waits for that is not there; empty if it waits for none."""
        key = group_of(pod)
        return self.lacking(key) if key and key not in self._groups else ""

    def lacking(self, key: str) -> str:
        """Why pods of this group are not looked at yet, in Kubernetes' words; empty if they may be."""
        group = self._groups.get(key)
        if group is None:
            return f'waiting for pods\'s pod group "{key.partition("/")[2]}" to appear in scheduling queue'
        return TOO_FEW if self.members(key).number < group.spec.min_count else ""
