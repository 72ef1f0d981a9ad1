"""What must be true of a workload in a little world at every write, and what it lacks in the end."""

from collections import Counter
from collections.abc import Iterator

from invariants import Limit, is_active, is_finished, is_ready
from little_server import Object, Written
from little_world import NODES, LittleWorld, is_strange
from wishes import controller_of, image_of

# So long it may take until the manager has heard that pods are ready: from them, and then from their ReplicaSet.
HEARD_SECONDS = 2.0
# So long a watch may stay broken: the server is away, and it is tried again ever more rarely.
PAUSE_SECONDS = 10.0
TRACKING = "batch.kubernetes.io/job-tracking"


class Promises:
    """Of every kind: who is made belongs to somebody, and is right in the end."""

    def __init__(self, world: LittleWorld) -> None:
        self.world, self.broken = world, list[str]()
        self.limits: dict[str, Limit] = {}
        world.server.subscribers += (self.written, self._spares_strangers)

    def written(self, write: Written) -> None:
        """Judge it."""

    def _spares_strangers(self, write: Written) -> None:
        if write.actor and write.plural == "pods" and is_strange(write.before):
            self.tell(write, "is somebody else's pod")

    def limit(self, write: Written, number: int) -> None:
        """From now on so many are wanted of this owner; for a while the last number may still be acted on."""
        obj = write.after or write.before or {}
        self.limits.setdefault(obj["metadata"]["uid"], Limit()).set(write.at, number)

    def tell(self, write: Written, what: str) -> None:
        """A promise is broken."""
        self.broken.append(f"{write.at:8.3f} {write.plural} {write.key}: {what}")

    def siblings(self, obj: Object) -> list[Object]:
        """The active pods that have the same controller."""
        uid = controller_of(obj)
        return [pod for pod in self.world.server.of("pods") if is_active(pod) and controller_of(pod) == uid]

    def lacks(self, wish: Object) -> Iterator[str]:
        """What is not as it was wished."""
        wanted, image = self.wanted(wish["spec"]), image_of(wish["spec"]["template"])
        pods, right = self.world.pods(), self.world.right(image)
        if not len(pods) == len(right) == wanted:
            yield f"wanted {wanted} of {image}, there are {len(pods)}, right {len(right)}"
        if len(self.world.server.of("pods")) != len(pods):
            yield "there are pods of nobody"

    def wanted(self, spec: Object) -> int:
        """How many pods there should be in the end."""
        return int(spec["replicas"])


class OfDeployment(Promises):
    """ReplicaSets together never want more than replicas and surge; none has more pods than it wants. Once all were
    ready, and the manager could hear of it, never fewer are than allowed, until the user wants another size or takes
    pods away.
    """

    # `soon` are as many as `least` will be, if nothing gets in the way, after a while from `since` on.
    least, soon, since = 0, 0, 0.0

    def written(self, write: Written) -> None:
        if self.soon and write.at - self.since > HEARD_SECONDS:
            self.least = self.soon
        obj = write.after or write.before or {}
        if write.plural == "pods":
            self._are_enough(write)
        elif write.plural == "deployments" and not write.actor and _size(write.before) != _size(write.after):
            self.least = self.soon = 0
        if write.plural == "deployments":
            spec = obj["spec"]
            self.limit(write, spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"] if write.after else 0)
        elif write.plural == "replicasets":
            self.limit(write, obj["spec"]["replicas"] if write.after else 0)
            uid = controller_of(obj)
            sets = [rs for rs in self.world.server.of("replicasets") if controller_of(rs) == uid]
            total, most = sum(rs["spec"]["replicas"] for rs in sets), self.limits[uid].at(write.at)
            if _has_grown(write) and total > most:
                self.tell(write, f"its Deployment has {total} replicas, allowed are {most}")
        elif write.plural == "pods" and write.before is None:
            count, most = len(self.siblings(obj)), self.limits[controller_of(obj)].at(write.at)
            if count > most:
                self.tell(write, f"its ReplicaSet has {count} pods, allowed are {most}")

    def _are_enough(self, write: Written) -> None:
        deployment = self.world.server.objects.get(("deployments", self.world.key))
        if deployment is None or (not write.actor and _is_told_to_end(write)):
            self.least, self.soon, self.since = 0, 0, write.at
            return
        ready, spec = sum(map(is_ready, self.world.pods())), deployment["spec"]
        if ready < self.least:
            self.tell(write, f"{ready} pods are ready, of at least {self.least}")
        soon = spec["replicas"] - spec["strategy"]["rollingUpdate"]["maxUnavailable"]
        if ready < spec["replicas"] or not self._is_done():
            self.soon = 0
        elif soon != self.soon:
            self.soon, self.since = soon, write.at

    def _is_done(self) -> bool:
        """Whether every ReplicaSet has its pods: those that one was told to give up go, whatever is wanted since."""
        has = Counter(controller_of(pod) for pod in self.world.server.of("pods") if is_active(pod))
        sets = self.world.server.of("replicasets")
        return all(has[rs["metadata"]["uid"]] == rs["spec"]["replicas"] for rs in sets)


def _is_told_to_end(write: Written) -> bool:
    ends = ["deletionTimestamp" in obj["metadata"] for obj in (write.before, write.after) if obj is not None]
    return ends == [False, True] or (ends == [False] and write.after is None)


def _has_grown(write: Written) -> bool:
    """Whether a ReplicaSet wants more than before: while nobody works, what was wanted once is wanted still."""
    before = write.before["spec"]["replicas"] if write.before else 0
    return write.after is not None and write.after["spec"]["replicas"] > before


def _size(deployment: Object | None) -> object:
    return deployment and (deployment["spec"]["replicas"], deployment["spec"]["strategy"])


class OfStatefulSet(Promises):
    """A pod comes when all before it are there, or were a moment ago."""

    def __init__(self, world: LittleWorld) -> None:
        super().__init__(world)
        self.gone_at: dict[str, float] = {}

    def written(self, write: Written) -> None:
        if write.plural != "pods":
            return
        if write.after is None or "deletionTimestamp" in write.after["metadata"] or is_finished(write.after):
            self.gone_at[write.key] = write.at
        elif write.before is None and not is_strange(write.after):
            self.gone_at.pop(write.key, None)
            before = [f"default/db-{number}" for number in range(int(write.key.rpartition("-")[2]))]
            missing = [
                key
                for key in before
                if ("pods", key) not in self.world.server.objects
                and write.at - self.gone_at.get(key, -99.0) > PAUSE_SECONDS
            ]
            if missing:
                self.tell(write, f"came before {missing}")


class OfDaemonSet(Promises):
    """No node has two active pods."""

    def written(self, write: Written) -> None:
        if write.plural == "pods" and write.before is None and write.after is not None:
            same = [
                pod for pod in self.siblings(write.after) if pod["spec"]["affinity"] == write.after["spec"]["affinity"]
            ]
            if len(same) > 1:
                self.tell(write, "is the second on its node")

    def wanted(self, spec: Object) -> int:
        return len(NODES)


class OfJob(Promises):
    """Never more pods at once than wanted, none is made that is not needed, and each that ended is counted once."""

    def __init__(self, world: LittleWorld) -> None:
        super().__init__(world)
        self.succeeded: dict[str, set[str]] = {}

    def written(self, write: Written) -> None:
        if write.plural == "jobs" and write.before is None and write.after is not None:
            self.limit(write, write.after["spec"]["parallelism"])
        if write.plural != "pods" or write.after is None:
            return
        uid = controller_of(write.after)
        if write.before is None and len(self.siblings(write.after)) > self.limits[uid].at(write.at):
            self.tell(write, f"its Job has {len(self.siblings(write.after))} active pods")
        # One that was let go because it was too many is not the Job's any more, however it ends.
        if write.after.get("status", {}).get("phase") == "Succeeded" and TRACKING in _held(write.after):
            self.succeeded.setdefault(uid, set()).add(write.after["metadata"]["uid"])

    def lacks(self, wish: Object) -> Iterator[str]:
        job = self.world.workload()
        done, status = len(self.succeeded.get(job["metadata"]["uid"], ())), job.get("status", {})
        wanted = wish["spec"]["completions"]
        told = {one["type"] for one in status.get("conditions", ()) if one["status"] == "True"}
        if "Complete" not in told or not wanted <= done == status.get("succeeded"):
            yield f"wanted {wanted} completions, counted {status.get('succeeded')}, there were {done}: {status}"
        if held := [pod for pod in self.world.pods() if TRACKING in _held(pod)]:
            yield f"{len(held)} pods are held still"


def _held(pod: Object) -> list[str]:
    return pod["metadata"].get("finalizers") or []


KINDS = {"web": OfDeployment, "db": OfStatefulSet, "agent": OfDaemonSet, "work": OfJob}


def promises_of(world: LittleWorld) -> Promises:
    """Those of its workload, from now on."""
    return KINDS[world.name](world)
