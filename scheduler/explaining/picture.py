"""Picture: a cluster at one moment, as the scheduler sees it, for questions that must not change anything.

    picture = await Picture.taken(client, profiles)
    picture.judged(pod).decision

What `wherry why` and `wherry plan` say is what the scheduler would do: the same columns, the same plugins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.explaining import thought_devices, thought_volumes
from scheduler.explaining.thought_devices import ThoughtDevices
from scheduler.explaining.thought_volumes import ThoughtVolumes
from scheduler.framework import Plugin
from scheduler.gangs.groups import Groups
from scheduler.kin import KINDS, Kin
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.nominations import Nominations
from scheduler.preemption.plan import NEVER, Ground, Preemption, preempt
from scheduler.sharing.limits import Limits
from scheduler.snapshot import Snapshot
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.policy.disruption_budget import PodDisruptionBudget
from wherry.api.scheduling.pod_group import PodGroup
from wherry.api.sharing.queue import Queue
from wherry.client.http import Client
from wherry.client.world import Shelf
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource

_KINDS: tuple[type[Resource], ...] = (
    *(Node, Pod, Namespace, PodDisruptionBudget),
    *(*thought_volumes.KINDS, *thought_devices.KINDS, *KINDS),
    *(PodGroup, Queue),
)


def shelf_of(objects: Iterable[Any]) -> Shelf[Any]:
    """Objects of a kind as informers keep them."""
    shelf: Shelf[Any] = Shelf()
    for obj in objects:
        shelf.put(obj)
    return shelf


class Judgement(NamedTuple):
    """The decision about a pod, and, if it fits nowhere, who would make way for it."""

    decision: Decision
    preemption: Preemption = Preemption()


@dataclass(frozen=True)
class Objects:
    """What a picture is made of, by kind."""

    of: Mapping[type[Resource], Sequence[Any]] = field(default_factory=dict)

    def shelf(self, kind: type[Resource]) -> Shelf[Any]:
        """The objects of one kind."""
        return shelf_of(self.of.get(kind, ()))


class Picture:
    """See the module. `profiles` are plugins by scheduler name; a pod that names another goes by the first."""

    def __init__(self, objects: Objects, profiles: Mapping[str, Sequence[Plugin]]) -> None:
        self.snapshot, self.groups = Snapshot(), Groups()
        self.nodes: Mapping[str, Node] = {node.metadata.name: node for node in objects.of.get(Node, ())}
        self._panels = {name: Panel(plugins) for name, plugins in profiles.items()}
        self._default = next(iter(self._panels.values()))
        self.nominations = Nominations(self.snapshot)
        self.budgets = Budgets(objects.of.get(PodDisruptionBudget, ()))
        self._volumes = ThoughtVolumes(objects.of, self.snapshot)
        self._kin = Kin({kind: objects.shelf(kind) for kind in KINDS})
        for node in self.nodes.values():
            self.snapshot.set_node(node)
        for namespace in objects.of.get(Namespace, ()):
            self.snapshot.set_namespace(namespace.metadata.name, namespace.metadata.labels)
        for group in objects.of.get(PodGroup, ()):
            self.groups.put(group)
        pods = objects.of.get(Pod, ())
        self.devices = ThoughtDevices(objects.of, self.snapshot)
        queues, namespaces = objects.shelf(Queue), objects.shelf(Namespace)
        self.nominations.grants = self.devices.grants
        self._limits = Limits(queues, namespaces, lambda: pods, self.devices.cards_claimed)
        self._limits.count_anew()
        self._put_down(pods)

    @classmethod
    async def taken(
        cls, client: Client, profiles: Mapping[str, Sequence[Plugin]], and_with: Iterable[Resource] = ()
    ) -> Self:
        """The cluster as it is now, and with these objects as well where it has none of their name."""
        # All answers are waited for, also when one is a refusal: nothing may be under way when the client closes.
        listed = await asyncio.gather(*(_listed(client, kind) for kind in _KINDS), return_exceptions=True)
        found: dict[type[Resource], Sequence[Any]] = {}
        for kind, answer in zip(_KINDS, listed, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found[kind] = answer
        new = [obj for obj in and_with if all(obj.key != known.key for known in found[type(obj)])]
        for obj in new:
            if not isinstance(obj, PersistentVolumeClaim):
                found[type(obj)] = (*found[type(obj)], obj)
        picture = cls(Objects(found), profiles)
        for obj in new:
            if isinstance(obj, PersistentVolumeClaim):
                picture._volumes.imagine_claim(obj)
        return picture

    def view(self, pod: Pod) -> PodView:
        """The pod with what its claims ask for."""
        return self._kin.view(self._limits.view(self.devices.view(self._volumes.view(PodView(pod)))))

    def forget(self, pod: Pod) -> None:
        """From now on the pod counts on no node."""
        uid = PodView(pod).uid
        self.snapshot.remove(uid)
        self._limits.drop(uid)
        self.devices.drop(PodView(pod))

    def cards_taken_on(self, node: str) -> Iterator[str]:
        """Who has the cards of a node that nobody counts: claims, and pods with parts of one."""
        return self.devices.taken_on(node)

    def devices_in_the_way(self, pod: PodView, node: str) -> list[str] | None:
        """The devices that would have to become free there for the pod, and who has each; None: that would not help."""
        return self.devices.in_the_way(pod, node)

    def imagined(self, pod: Pod) -> Pod:
        """A pod that does not exist yet, with the claims that would be made for it."""
        self._volumes.imagine(pod)
        return self.devices.imagine(pod)

    def place(self, pod: PodView, node: str, victims: Iterable[PodView] = ()) -> None:
        """From now on the pod is on the node, and those that made way for it are gone."""
        for victim in victims:
            self.snapshot.remove(victim.uid)
            self.devices.drop(victim)
            self._limits.drop(victim.uid)
        if node:
            self.devices.take(pod, node)
            self._count(pod, node)

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod is there in thought, and may be lifted; False if its devices are not to be had."""
        if not self.devices.put(pod, node):
            return False
        self._count(pod, node)
        return True

    def _count(self, pod: PodView, node: str) -> None:
        self.snapshot.place(pod, node)
        self._volumes.take(pod, node)
        self._limits.hold(pod)

    @contextmanager
    def without_others(self, uids: Collection[str]) -> Iterator[None]:
        """Meanwhile all nodes are empty, but for these pods."""
        there = [
            (pod, node) for node in self.nodes for uid, pod in self.snapshot.pods_on(node).items() if uid not in uids
        ]
        for pod, _ in there:
            self.snapshot.remove(pod.uid)
        try:
            yield
        finally:
            for pod, node in there:
                self.snapshot.place(pod, node)

    def panel(self, pod: PodView) -> Panel:
        """The plugins of the pod's profile."""
        return self._panels.get(pod.spec.scheduler_name, self._default)

    def lift(self, pod: PodView) -> None:
        """From now on the pod is not there any more, with nothing left of it."""
        self.snapshot.remove(pod.uid)
        self._limits.drop(pod.uid)
        self._volumes.let_go(pod.uid)
        self.devices.grants.lift(pod)

    def judged(self, pod: PodView, *, preempts: bool = True) -> Judgement:
        """What the scheduler would find, were the pod to be placed now; who makes way, only if it `preempts`."""
        panel = self.panel(pod)
        with self.nominations.making_way(pod):
            pod = self.view(pod.pod) if self.nominations else pod
            decision = plan(pod, self.snapshot.columns, panel.plugins)
            evicts = preempts and any(plugin.name == "DefaultPreemption" for plugin in panel.plugins)
            if decision.winner or not evicts:
                return Judgement(decision)
            if pod.spec.preemption_policy == "Never":
                return Judgement(decision, Preemption(message=NEVER))
            ground = Ground(self.snapshot, panel, self.budgets, lent=self._limits.lent(pod))
            return Judgement(decision, preempt(pod, decision, ground))

    def _put_down(self, pods: Iterable[Pod]) -> None:
        for pod in pods:
            self.groups.pod_changed(None, pod)
            if pod.is_finished:
                continue
            if pod.spec.node_name:
                self.snapshot.place(PodView(pod), pod.spec.node_name)
            elif pod.status.nominated_node_name:
                self.nominations.nominate(PodView(pod), pod.status.nominated_node_name)


async def _listed(client: Client, kind: type[Resource]) -> Sequence[Resource]:
    try:
        return (await client.list(kind)).items
    except NotFound:
        return ()  # a cluster without such a kind has none of it
