"""Roll-outs as a whole: the Deployment and ReplicaSet controllers in a simulated cluster, checked at every step."""

from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_condition, a_deployment
from simulated import Cluster

from controllers.deployment.plan import plan as plan_deployment
from controllers.deployment.rollout import bounds
from controllers.replicaset import plan as plan_replicaset
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod

KEY = "default/web"
LIMITS = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "10%", "25%", "50%", "100%"]))


def image_of(pod):
    return pod.spec.containers[0].image


class RollOut:
    """A Deployment in a cluster whose pods become ready when told to."""

    def __init__(self, **spec):
        self.cluster = Cluster(a_deployment("web", progress_deadline_seconds=600, **spec))

    @property
    def deployment(self):
        return self.cluster.get(Deployment, KEY)

    @property
    def pods(self):
        return self.cluster.list(Pod)

    def plan(self):
        """Every controller plans once; says whether anything changed."""
        changed = self.cluster.run(Deployment, plan_deployment, KEY)
        self.check()
        for rs in self.cluster.list(ReplicaSet):
            changed = self.cluster.run(ReplicaSet, plan_replicaset, rs.key) or changed
            self.check()
        return changed

    def settle(self, broken=()):
        """Plan and make pods ready until nothing changes; images in `broken` never become ready."""
        for _ in range(300):
            changed = self.plan()
            for pod in self.pods:
                if not pod.status.ready and image_of(pod) not in broken:
                    self.make_ready(pod)
                    changed = True
            if not changed:
                return
        raise AssertionError("the cluster never comes to rest")

    def make_ready(self, pod):
        self.cluster.change(pod, {"status": {"phase": "Running", "conditions": [a_condition("Ready")]}})

    def roll_to(self, image):
        template = self.deployment.spec.template.raw
        spec = {**template["spec"], "containers": [{"name": "app", "image": image}]}
        self.cluster.change(self.deployment, {"spec": {"template": {"metadata": template["metadata"], "spec": spec}}})

    def check(self):
        """Called after each step of each controller; tests replace it."""


class GuardedRollOut(RollOut):
    """Checks at every step that the bounds hold."""

    guarded = False

    def check(self):
        if not self.guarded:
            return
        deployment, allowed = self.deployment, bounds(self.deployment)
        wanted = deployment.spec.replicas
        assert sum(rs.spec.replicas for rs in self.cluster.list(ReplicaSet)) <= wanted + allowed.surge
        assert len(self.pods) <= wanted + allowed.surge
        assert sum(pod.status.ready for pod in self.pods) >= wanted - allowed.unavailable


def guarded(replicas, surge, unavailable):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    rollout = GuardedRollOut(replicas=replicas, strategy=strategy)
    rollout.settle()
    rollout.guarded = True
    return rollout


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), LIMITS, LIMITS)
def test_a_rollout_never_breaks_its_bounds_and_always_comes_to_its_end(replicas, surge, unavailable):
    rollout = guarded(replicas, surge, unavailable)

    rollout.roll_to("app:2")
    rollout.settle()

    assert [image_of(pod) for pod in rollout.pods] == ["app:2"] * replicas
    assert rollout.deployment.status.conditions[-1].reason in ("NewReplicaSetAvailable", "MinimumReplicasAvailable")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), LIMITS, LIMITS)
def test_a_broken_rollout_stops_within_its_bounds_and_undo_restores_all(replicas, surge, unavailable):
    rollout = guarded(replicas, surge, unavailable)

    rollout.roll_to("broken:1")
    rollout.settle(broken={"broken:1"})
    rollout.roll_to("app:1")
    rollout.settle(broken={"broken:1"})

    assert [image_of(pod) for pod in rollout.pods] == ["app:1"] * replicas


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 8), st.sampled_from(["a:1", "a:2", "a:3"])), max_size=8), st.data())
def test_any_sequence_of_wishes_ends_in_the_last_one(wishes, data):
    rollout = RollOut(replicas=2)

    for wish in wishes:
        if isinstance(wish, int):
            rollout.cluster.change(rollout.deployment, {"spec": {"replicas": wish}})
        else:
            rollout.roll_to(wish)
        for _ in range(data.draw(st.integers(0, 3))):
            rollout.plan()
            for pod in rollout.pods[::2]:
                rollout.make_ready(pod)
    rollout.settle()

    deployment = rollout.deployment
    assert [image_of(pod) for pod in rollout.pods] == [
        deployment.spec.template.spec.containers[0].image
    ] * deployment.spec.replicas
    assert not rollout.plan()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), LIMITS, LIMITS, st.data())
def test_replicasets_that_lag_make_no_pod_too_many(replicas, surge, unavailable, data):
    rollout = guarded(replicas, surge, unavailable)
    rollout.guarded = False
    most = replicas + bounds(rollout.deployment).surge

    for image in data.draw(st.lists(st.sampled_from(["a:1", "a:2", "a:3"]), max_size=5)):
        rollout.roll_to(image)
        for _ in range(data.draw(st.integers(0, 4))):
            rollout.cluster.run(Deployment, plan_deployment, KEY)
            for rs in rollout.cluster.list(ReplicaSet):
                if data.draw(st.booleans()):
                    rollout.cluster.run(ReplicaSet, plan_replicaset, rs.key)
            for pod in rollout.pods[::2]:
                rollout.make_ready(pod)
            assert len(rollout.pods) <= most
    rollout.settle()


def test_recreate_never_mixes_versions():
    class Unmixed(RollOut):
        def check(self):
            assert len({image_of(pod) for pod in self.pods}) <= 1

    rollout = Unmixed(replicas=3, strategy={"type": "Recreate"})
    rollout.settle()
    rollout.roll_to("app:2")
    rollout.settle()

    assert [image_of(pod) for pod in rollout.pods] == ["app:2"] * 3


def test_the_story_of_a_rollout_is_told_in_events_and_revisions():
    rollout = RollOut(replicas=2)
    rollout.settle()
    rollout.roll_to("app:2")
    rollout.settle()
    first, second = sorted(
        rollout.cluster.list(ReplicaSet), key=lambda rs: rs.metadata.annotations["deployment.kubernetes.io/revision"]
    )

    one, two = first.metadata.name, second.metadata.name
    assert rollout.cluster.events == [
        f"ScalingReplicaSet: Scaled up replica set {one} from 0 to 2",
        f"ScalingReplicaSet: Scaled up replica set {two} from 0 to 1",
        f"ScalingReplicaSet: Scaled down replica set {one} from 2 to 1",
        f"ScalingReplicaSet: Scaled up replica set {two} from 1 to 2",
        f"ScalingReplicaSet: Scaled down replica set {one} from 1 to 0",
    ]
    assert rollout.deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "2"


def test_a_paused_rollout_goes_nowhere_until_resumed():
    rollout = RollOut(replicas=2, paused=True)
    rollout.cluster.change(rollout.deployment, {"spec": {"paused": None}})
    rollout.settle()
    rollout.cluster.change(rollout.deployment, {"spec": {"paused": True}})
    rollout.roll_to("app:2")
    rollout.settle()
    assert [image_of(pod) for pod in rollout.pods] == ["app:1"] * 2

    rollout.cluster.change(rollout.deployment, {"spec": {"paused": None}})
    rollout.settle()
    assert [image_of(pod) for pod in rollout.pods] == ["app:2"] * 2
