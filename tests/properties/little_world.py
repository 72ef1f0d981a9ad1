"""A little world: workloads, a manager that may die at any write, kubelets, a collector of orphans, and a user.

One life is one workload of one kind, a few wishes, and misfortunes that strike at chosen writes of the manager.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import Any

from invariants import is_active, is_finished, is_ready
from little_server import LittleServer, Object, Written, now_text
from wishes import KINDS, controller_of, image_of

from controllers.catalogue import load
from wherry.client.controller import controller_named
from wherry.client.http import Client
from wherry.client.runner import Runner
from wherry.machinery.errors import NotFound
from wherry.sim.network import Faults
from wherry.sim.part import Part

MANAGER = "manager"
CONTROLLERS = {
    "web": ("deployment", "replicaset"),
    "db": ("statefulset",),
    "agent": ("daemonset",),
    "work": ("job", "job_orphans"),
}
NODES = ("n1", "n2", "n3")
BAD_NETWORK = Faults(
    lose_requests=0.1, lose_answers=0.1, cut_watches_after_seconds=10.0, watch_lag_seconds=0.5, repeat_events=0.05
)
# Hardly any answer gets through: whoever tries again and again knows in the end no more than at first.
DEAF = replace(BAD_NETWORK, lose_answers=0.9)
BACK_AFTER_SECONDS = (0.0, 0.5, 3.0)
STRANGER = "stranger"


def is_strange(pod: Object | None) -> bool:
    """Whether it is no business of the workload's."""
    return pod is not None and pod["metadata"].get("labels", {}).get("app") == STRANGER


class Kubelets:
    """Pods run a moment after they came, and end a moment after they were told to; those of Jobs end by themselves."""

    def __init__(self, server: LittleServer, chance: random.Random, *, fails: float) -> None:
        self._server, self._chance, self._fails = server, chance, fails
        server.subscribers.append(self._written)

    def _written(self, write: Written) -> None:
        before, after = write.before, write.after
        if write.plural != "pods" or after is None:
            return
        later, uid = asyncio.get_running_loop().call_later, after["metadata"]["uid"]
        if before is None:
            later(self._chance.uniform(0.05, 1.5), self._start, write.key, uid)
        elif after["metadata"].get("deletionTimestamp") and not before["metadata"].get("deletionTimestamp"):
            later(self._chance.uniform(0.05, 1.5), self._end, write.key, uid, "Failed")

    def _start(self, key: str, uid: str) -> None:
        pod = self._server.objects.get(("pods", key))
        if pod is None or pod["metadata"]["uid"] != uid or not is_active(pod):
            return
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now_text()}
        status = {"phase": "Running", "conditions": [ready], "startTime": now_text()}
        self._server.change("pods", key, {"spec": {"nodeName": _node_for(pod)}, "status": status})
        if pod["spec"].get("restartPolicy") == "Never":
            phase = "Failed" if self._chance.random() < self._fails else "Succeeded"
            asyncio.get_running_loop().call_later(self._chance.uniform(0.05, 2.0), self._end, key, uid, phase)

    def _end(self, key: str, uid: str, phase: str) -> None:
        pod = self._server.objects.get(("pods", key))
        if pod is None or pod["metadata"]["uid"] != uid or is_finished(pod):
            return
        # Who is told to end is a failure to its Job from then on.
        phase = "Failed" if "deletionTimestamp" in pod["metadata"] else phase
        container = {"name": "app", "state": {"terminated": {"exitCode": int(phase == "Failed")}}}
        self._server.change(
            "pods", key, {"status": {"phase": phase, "conditions": [], "containerStatuses": [container]}}
        )


def _node_for(pod: Object) -> str:
    affinity = pod["spec"].get("affinity")
    if not affinity:
        return NODES[0]
    [term] = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return str(term["matchFields"][0]["values"][0])


class Collector:
    """What belongs to nobody who is there goes."""

    def __init__(self, server: LittleServer) -> None:
        self._server = server
        server.subscribers.append(self._written)

    def _written(self, write: Written) -> None:
        if write.after is None or (write.before is None and write.actor):
            asyncio.get_running_loop().call_later(0.3, self._collect)

    def _collect(self) -> None:
        uids = {obj["metadata"]["uid"] for obj in self._server.objects.values()}
        for (plural, key), obj in list(self._server.objects.items()):
            owners = obj["metadata"].get("ownerReferences", ())
            if owners and not any(owner["uid"] in uids for owner in owners):
                self._server.delete(plural, key)


class LittleWorld:
    """See the module. To be used inside a `TaskGroup`."""

    def __init__(self, name: str, chance: random.Random, tasks: asyncio.TaskGroup, *, fails: float = 0.0) -> None:
        load()
        self.server = LittleServer(chance)
        self.kubelets = Kubelets(self.server, chance, fails=fails)
        Collector(self.server)
        self.name, self.plural, self.key = name, KINDS[name].kind.plural, f"default/{name}"
        self.story: list[str] = []
        self.writes = 0
        self._chance, self._tasks, self._outside = chance, tasks, copy_context()
        self._strikes: dict[int, Callable[[], None]] = {}
        self._terms = 0
        self._managers: list[Part] = []
        self.manager = self._another()
        self.server.subscribers.append(self._count)
        for node in NODES:
            status = {"conditions": [{"type": "Ready", "status": "True"}]}
            self.server.create(
                "nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": node}, "status": status}
            )

    def _another(self) -> Part:
        self._terms += 1
        term = self._terms

        async def work(client: Client) -> None:
            controllers = [controller_named(name) for name in CONTROLLERS[self.name]]
            await Runner(client, controllers, may_act=lambda: self._terms == term).run()

        part = Part(self.server, self._tasks, MANAGER, (), work)  # type: ignore[arg-type]  # a network, for all it asks
        self._managers.append(part)
        return part

    def _count(self, write: Written) -> None:
        if write.actor:
            self.writes += 1
            if strike := self._strikes.pop(self.writes, None):
                strike()

    def arm(self) -> None:
        """Something befalls the manager, or the server, at one of the next writes."""
        misfortune = self._chance.choice(
            (self.kill, self.kill, self.change_leader, self.pause, self.take_down, self.forget, self.jump, self.deafen)
        )
        at = self.writes + self._chance.randint(1, 6)
        self.tell(f"at write {at}: {misfortune.__name__}")
        self._strikes[at] = misfortune

    def tell(self, what: str) -> None:
        """For whoever replays this life."""
        self.story.append(f"{asyncio.get_running_loop().time():8.3f} {what}")

    def kill(self) -> None:
        """As kill -9, between this write and the next."""
        self.manager.kill()
        self._later(self.manager.start)

    def change_leader(self) -> None:
        """Another one leads from now on; the first one finds out when it next wants to write. Nobody leads before what
        the first one asked for is done: a lease runs out some time after, or is given back when all work has ended.
        """
        before, self.manager = self.manager, self._another()
        self._later(self.manager.start, BACK_AFTER_SECONDS[1:])
        self._later(before.kill)

    def pause(self) -> None:
        """SIGSTOP, and SIGCONT a while later."""
        self.manager.pause()
        self._later(self.manager.resume)

    def take_down(self) -> None:
        """The server is away for a while."""
        self.server.stop()
        self._later(self.server.start)

    def forget(self) -> None:
        """The store compacts, and every watch breaks."""
        self.server.forget()
        self.take_down()

    def jump(self) -> None:
        """The manager's clock is off by an hour."""
        self.manager.set_clock(hours=self._chance.choice((-1, 1)))

    def deafen(self) -> None:
        """Requests arrive, and answers do not."""
        self.server.faults = DEAF
        self._later(self._hear, (1.0, 3.0, 6.0))

    def _hear(self) -> None:
        if self.server.faults is DEAF:
            self.server.faults = BAD_NETWORK

    def _later(self, act: Callable[[], None], after_seconds: Sequence[float] = BACK_AFTER_SECONDS) -> None:
        # Not in the context of the manager whose write it was: who starts anew would inherit its wrong clock.
        loop, seconds = asyncio.get_running_loop(), self._chance.choice(after_seconds)
        loop.call_later(seconds, act, context=self._outside)

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._strikes.clear()
        self.server.faults = Faults()
        self.manager.set_clock()

    def end(self) -> None:
        """The life is over, also for managers that lead no more."""
        for manager in self._managers:
            manager.kill()

    # -- what a user does ------------------------------------------------------------------------------------------

    def apply(self, manifest: Object) -> None:
        """Create the workload, or change it into this."""
        spec = {"spec": manifest["spec"]}
        self.tell(f"apply {manifest['spec'].get('replicas', '')} {image_of(manifest['spec']['template'])}")
        try:
            self.server.change(self.plural, self.key, spec)
        except NotFound:
            self.server.create(self.plural, manifest)

    def delete(self) -> None:
        """The workload, and its children later."""
        self.tell("delete")
        self.server.delete(self.plural, self.key)

    def lose_a_pod(self) -> None:
        """Somebody deletes one, or it fails."""
        pods = [pod for pod in self.server.of("pods") if is_active(pod)]
        if pods:
            key = f"default/{self._chance.choice(pods)['metadata']['name']}"
            self.tell(f"lose {key}")
            self.server.delete("pods", key)

    def squat(self) -> None:
        """Somebody's own pod takes the place, and the name, of the last one for a while."""
        if last := max((pod["metadata"]["name"] for pod in self.server.of("pods") if is_active(pod)), default=""):
            self.tell(f"squat {last}")
            self.server.remove("pods", f"default/{last}")
            metadata = {"name": last, "namespace": "default", "labels": {"app": STRANGER}}
            self.server.create("pods", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {}})
            self._later(lambda: self._leave(f"default/{last}"), (2.0,))

    def _leave(self, key: str) -> None:
        if is_strange(self.server.objects.get(("pods", key))):
            self.server.remove("pods", key)

    # -- what there is ---------------------------------------------------------------------------------------------

    def pods(self) -> list[Object]:
        """All pods of the workload, be it through ReplicaSets."""
        owner = self.server.objects.get((self.plural, self.key))
        uids = {owner["metadata"]["uid"]} if owner else set[str]()
        uids |= {rs["metadata"]["uid"] for rs in self.server.of("replicasets") if controller_of(rs) in uids}
        return [pod for pod in self.server.of("pods") if controller_of(pod) in uids]

    def right(self, image: str) -> list[Object]:
        """Those of them that are ready and of this version."""
        return [pod for pod in self.pods() if is_ready(pod) and image_of(pod) == image]

    def workload(self) -> dict[str, Any]:
        """It, as it is stored."""
        return self.server.get(self.plural, self.key)
