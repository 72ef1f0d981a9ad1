"""What must be true of a simulated cluster at every moment, judged at every write."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from wherry.machinery.quantity import millis
from wherry.sim.journal import Journal, Object, Write

# So long may somebody act on what was wanted before: an informer's longest pause, a request's retries, and a restart.
LAG_SECONDS = 30.0


class Limit:
    """A number that was wanted, and for a while may still be acted on after it was lowered."""

    def __init__(self) -> None:
        self._wanted: deque[tuple[float, int]] = deque()

    def set(self, at: float, number: int) -> None:
        if not self._wanted or self._wanted[-1][1] != number:
            self._wanted.append((at, number))

    def at(self, now: float) -> int:
        # The newest of the old ones was in force until the next one came.
        while len(self._wanted) > 1 and self._wanted[1][0] < now - LAG_SECONDS:
            self._wanted.popleft()
        return max(number for _, number in self._wanted)


class Invariants:
    """Follows a journal; `broken` tells what went wrong, in order.

    A Deployment's promise is one about its ReplicaSets: together they never want more pods than replicas and surge.
    As in Kubernetes, there may be more pods for a moment, those that a ReplicaSet has yet to delete.
    """

    def __init__(self, journal: Journal) -> None:
        self.objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self.broken: list[str] = []
        self._limits: defaultdict[str, Limit] = defaultdict(Limit)
        journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.after is None:
            self.objects[write.resource].pop(write.key, None)
        else:
            self.objects[write.resource][write.key] = write.after
        if write.resource == "deployments":
            self._limit(write, most_pods)
        elif write.resource == "replicasets":
            self._limit(write, lambda rs: int(rs["spec"]["replicas"]))
            if write.after is not None:
                self._judge_deployment(write, owner_of(write.after))
        elif write.resource == "pods" and write.after is not None:
            self._judge_pod(write, write.before, write.after)

    def _limit(self, write: Write, read: Callable[[Object], int]) -> None:
        obj = write.after or write.before or {}
        self._limits[obj["metadata"]["uid"]].set(write.at, read(write.after) if write.after else 0)

    def _judge_deployment(self, write: Write, uid: str) -> None:
        most = self._limits[uid].at(write.at)
        wanted = sum(rs["spec"]["replicas"] for rs in self.objects["replicasets"].values() if owner_of(rs) == uid)
        if wanted > most:
            self._break(write, f"the ReplicaSets of its Deployment want {wanted} pods, allowed are {most}")

    def _judge_pod(self, write: Write, before: Object | None, after: Object) -> None:
        was, node = (before or {}).get("spec", {}).get("nodeName"), after["spec"].get("nodeName")
        if was and was != node:
            self._break(write, f"moved from {was} to {node}")
        if node and not was:
            self._judge_node(write, node)
        if before is None:
            uid = owner_of(after)
            count = sum(is_active(pod) and owner_of(pod) == uid for pod in self.pods())
            most = self._limits[uid].at(write.at)
            if count > most:
                self._break(write, f"its ReplicaSet has {count} pods, wanted are {most}")

    def _judge_node(self, write: Write, name: str) -> None:
        here = [pod for pod in self.pods() if pod["spec"].get("nodeName") == name and not is_finished(pod)]
        wanted = sum(cpu_of(pod) for pod in here)
        has = millis(self.objects["minions"][f"/registry/minions/{name}"]["status"]["allocatable"]["cpu"])
        if wanted > has:
            self._break(write, f"{name} has {has}m cpu, its pods want {wanted}m")

    def pods(self) -> list[Object]:
        """Every pod there is."""
        return list(self.objects["pods"].values())

    def orphans(self) -> list[str]:
        """What belongs to somebody who is not there."""
        uids = {obj["metadata"]["uid"] for kind in self.objects.values() for obj in kind.values()}
        return sorted(
            f"{resource} {name_of(key)}"
            for resource in ("pods", "replicasets")
            for key, obj in self.objects[resource].items()
            if not any(owner["uid"] in uids for owner in obj["metadata"].get("ownerReferences", ()))
        )

    def state(self) -> dict[str, Any]:
        """Where Deployments, ReplicaSets and pods have come to, less what differs from run to run."""
        deployments = {name_of(key): _told(obj) for key, obj in self.objects["deployments"].items()}
        replicasets = {name_of(key): _told(obj) for key, obj in self.objects["replicasets"].items()}
        pods = Counter((pod["metadata"]["ownerReferences"][0]["name"], state_of(pod)) for pod in self.pods())
        return {"deployments": deployments, "replicasets": replicasets, "pods": pods}

    def _break(self, write: Write, what: str) -> None:
        self.broken.append(f"at {write.at:.3f}, {write.key} written by {write.actor or 'the API server'}: {what}")


def _told(obj: Object) -> dict[str, Any]:
    status = {key: value for key, value in obj.get("status", {}).items() if key != "conditions"}
    # How often it was written depends on how often somebody had to try again.
    status.pop("observedGeneration", None)
    conditions = sorted((one["type"], one["status"], one["reason"]) for one in obj["status"].get("conditions", ()))
    return {"spec": obj["spec"], "status": status, "conditions": conditions}


def name_of(key: str) -> str:
    """The last part of a key of the store."""
    return key.rpartition("/")[2]


def owner_of(obj: Object) -> str:
    """The uid of its owner; tests let no object have none or several."""
    [owner] = obj["metadata"]["ownerReferences"]
    return str(owner["uid"])


def most_pods(deployment: Object) -> int:
    """Replicas and surge; tests give both as numbers."""
    spec = deployment["spec"]
    return int(spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"])


def is_finished(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and not is_finished(pod)


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return is_active(pod) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def state_of(pod: Object) -> str:
    return "ready" if is_ready(pod) else "active" if is_active(pod) else "ending"


def cpu_of(pod: Object) -> int:
    """What its containers ask for, in thousandths."""
    requests = (container["resources"]["requests"]["cpu"] for container in pod["spec"]["containers"])
    return sum(millis(text) for text in requests)
