"""Workloads of every kind that a user may wish for, and what a cluster still lacks of them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from invariants import is_active, is_finished, is_ready

from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.batch.cronjob import CronJob
from wherry.api.batch.job import Job
from wherry.client import clock
from wherry.machinery.resource import Resource
from wherry.machinery.time import parse_time
from wherry.sim.journal import Journal, Object, Write

KINDS: dict[str, type[Resource]] = {
    "web": Deployment,
    "db": StatefulSet,
    "agent": DaemonSet,
    "work": Job,
    "tick": CronJob,
}
CHILDREN = ("pods", "replicasets", "controllerrevisions", "jobs")
# Every minute, and a little later.
TICK_SECONDS = 62.0
# Three that are done, and one that is not.
MOST_JOBS = 4
FATE = "sim.wherry.dev/fate"


def a_workload(name: str, *, image: str = "v1", fate: str = "", **spec: Any) -> dict[str, Any]:
    """A workload of the kind that goes by this name; `fate` is what becomes of its pods."""
    template: dict[str, Any] = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [_container(image)]}}
    if fate:
        template["metadata"]["annotations"] = {FATE: fate}
    if name in ("work", "tick"):
        template["spec"]["restartPolicy"] = "Never"
    spec = {"template": template, **spec}
    if name == "tick":
        spec = {"schedule": "* * * * *", "suspend": spec.pop("suspend", False), "jobTemplate": {"spec": spec}}
    elif name != "work":
        spec["selector"] = {"matchLabels": {"app": name}}
    kind = KINDS[name].kind
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}


def _container(image: str) -> dict[str, Any]:
    return {"name": "app", "image": image}


class Present:
    """Follows a journal from its beginning: all objects there are."""

    def __init__(self, journal: Journal) -> None:
        self._objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.after is None:
            self._objects[write.resource].pop(write.key, None)
        else:
            self._objects[write.resource][write.key] = write.after

    def all(self, resource: str) -> list[Object]:
        """All objects of a kind."""
        return list(self._objects[resource].values())

    def named(self, name: str) -> Object | None:
        """The workload of this name."""
        return self._objects[KINDS[name].kind.plural].get(f"/registry/{KINDS[name].kind.plural}/default/{name}")

    def pods_of(self, name: str) -> list[Object]:
        """The pods that a workload controls, be it through others, and that its selector finds."""
        top = self.named(name)
        uids = {top["metadata"]["uid"]} if top else set()
        for resource in ("replicasets", "jobs"):
            uids |= {obj["metadata"]["uid"] for obj in self.all(resource) if controller_of(obj) in uids}
        pods = [pod for pod in self.all("pods") if controller_of(pod) in uids]
        if name in ("work", "tick"):
            return pods  # Jobs know their pods by other labels
        return [pod for pod in pods if pod["metadata"].get("labels", {}).get("app") == name]

    def orphans(self) -> Iterator[str]:
        """Children all of whose owners are gone."""
        uids = {obj["metadata"]["uid"] for kind in self._objects.values() for obj in kind.values()}
        for resource in CHILDREN:
            for obj in self.all(resource):
                owners = obj["metadata"].get("ownerReferences", ())
                if owners and not any(owner.get("uid") in uids for owner in owners):
                    yield f"{resource} {obj['metadata']['name']} belongs to nobody who is there"


def controller_of(obj: Object) -> str:
    """The uid of its controller, if it has one."""
    owners = obj["metadata"].get("ownerReferences", ())
    return next((str(owner.get("uid", "")) for owner in owners if owner.get("controller")), "")


def image_of(pod: Object) -> str:
    """What runs in it."""
    return str(pod["spec"]["containers"][0]["image"])


def node_of(pod: Object) -> str:
    """Where it is."""
    return str(pod["spec"].get("nodeName", ""))


def lacks(present: Present, wish: dict[str, Any], nodes: set[str]) -> Iterator[str]:
    """What is not as the manifest says; `nodes` are those that a DaemonSet should serve."""
    name, spec = wish["metadata"]["name"], wish["spec"]
    pods = present.pods_of(name)
    if name in ("web", "db", "agent"):
        image = image_of(spec["template"])
        right = [pod for pod in pods if is_ready(pod) and image_of(pod) == image]
        if not len(right) == len(pods) == (len(nodes) if name == "agent" else spec["replicas"]):
            yield f"{name}: {len(pods)} pods, {len(right)} ready of {image}"
        if name == "db" and {pod["metadata"]["name"] for pod in pods} != {f"db-{n}" for n in range(spec["replicas"])}:
            yield f"db: {[pod['metadata']['name'] for pod in pods]}"
        if name == "agent" and {node_of(pod) for pod in pods} != nodes:
            yield f"agent: on {sorted(node_of(pod) for pod in pods)}, not on {sorted(nodes)}"
    elif name == "work":
        yield from _lacks_of_job(present, spec, pods)
    elif name == "tick":
        yield from _lacks_of_cronjob(present, spec)


def _lacks_of_job(present: Present, spec: dict[str, Any], pods: list[Object]) -> Iterator[str]:
    active, done = [pod for pod in pods if is_active(pod)], sum(map(is_finished, pods))
    job = present.named("work") or {}
    if spec.get("suspend"):
        wanted = 0
    elif spec["template"]["metadata"].get("annotations"):
        wanted = min(spec["parallelism"], spec["completions"])
    else:
        wanted = 0
        if job.get("status", {}).get("succeeded") != spec["completions"] != 0:
            yield f"work: {job.get('status')}, {done} pods are done"
    if len(active) != wanted:
        yield f"work: {len(active)} active pods, wanted {wanted}"


def _lacks_of_cronjob(present: Present, spec: dict[str, Any]) -> Iterator[str]:
    cronjob = present.named("tick") or {"metadata": {"uid": ""}}
    jobs = [job for job in present.all("jobs") if controller_of(job) == cronjob["metadata"]["uid"]]
    if len(jobs) > MOST_JOBS:
        yield f"tick: {len(jobs)} Jobs are kept"
    last = parse_time(cronjob.get("status", {}).get("lastScheduleTime") or "1970-01-01T00:00:00Z")
    if not spec["suspend"] and (clock.now() - last).total_seconds() > TICK_SECONDS:
        yield f"tick: its last time was {last}"
