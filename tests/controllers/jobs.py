"""Jobs and their pods for tests, and a cluster in which their controller may die after any write."""

from __future__ import annotations

from typing import Any

from make import a_pod, a_template, a_workload
from simulated import Cluster

from controllers.job.indexed import INDEX
from controllers.job.plan import plan
from wherry.api.batch.job import TRACKING, Job
from wherry.api.core.pod import Pod
from wherry.client.plan import Action, Delete
from wherry.client.world import World
from wherry.machinery.time import time_text

LABELS = {"job-name": "work"}


def a_job(name: str = "work", **more: Any) -> Job:
    """A Job as the API server stores it."""
    policy = more.pop("restart_policy", "Never")
    template = a_template(LABELS, restartPolicy=policy)
    if "completions" not in more and "parallelism" not in more:
        more["completions"] = 1
    job: Job = a_workload(Job, name, api_version="batch/v1", labels=LABELS, template=template, **more)
    return job


def an_indexed_job(**more: Any) -> Job:
    """A Job whose pods have indexes."""
    return a_job(completion_mode="Indexed", **more)


def a_job_pod(job: Job, name: str = "", *, index: int | None = None, **more: Any) -> Pod:
    """A pod of the Job that is not counted yet."""
    annotations = {**more.pop("annotations", {}), **({} if index is None else {INDEX: str(index)})}
    more.setdefault("finalizers", [TRACKING])
    return a_pod(name, owner=job, annotations=annotations, **more)


def ended(code: int, at: Any = None) -> dict[str, Any]:
    """The status of a pod whose container ended with this code."""
    terminated = {"exitCode": code, **({"finishedAt": time_text(at)} if at else {})}
    return {"containerStatuses": [{"name": "app", "state": {"terminated": terminated}}]}


class JobCluster(Cluster):
    """Deletion waits for finalizers, and a plan may be cut short."""

    def plan(self, key: str = "default/work", writes: int | None = None) -> bool:
        """Plan the Job and carry out so many of the actions; says whether anything changed."""
        world, before = self.world(), self.revision
        for action in list(plan(self.get(Job, key), world))[:writes]:
            self._act(action, world)
        return self.revision != before

    def _act(self, action: Action, world: World) -> None:
        if isinstance(action, Delete) and self._objects[type(action.obj), action.obj.key]["metadata"].get("finalizers"):
            self.change(action.obj, {"metadata": {"deletionTimestamp": time_text(self.now)}})
        else:
            super()._act(action, world)

    def sweep(self) -> None:
        """Nodes and server are done with what was deleted and waits for nobody."""
        for pod in self.list(Pod):
            if pod.metadata.deleted_at is not None and not pod.metadata.finalizers:
                self.remove(pod)
