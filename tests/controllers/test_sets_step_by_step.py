"""StatefulSets and DaemonSets under whatever befalls them, checked at every single step.

Pods live and die as chance has it: they get ready or lame, fail, are deleted by somebody, and take their time to go.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_condition, a_daemonset, a_node, a_statefulset
from simulated import Cluster

from controllers.daemonset.plan import plan as plan_daemonset
from controllers.daemonset.pods import node_of
from controllers.statefulset.identity import ordinal_of
from controllers.statefulset.plan import plan as plan_statefulset
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client.plan import Create, Delete
from wherry.machinery.time import time_text

KEY = "default/set"
READY = {"phase": "Running", "conditions": [a_condition("Ready")]}
LAME = {"phase": "Running", "conditions": [a_condition("Ready", False)]}
FAILED = {"phase": "Failed", "conditions": []}
SOURCES = st.sampled_from(
    ["plan", "plan", "plan", "ready", "ready", "lame", "fail", "delete", "gone", "gone", "change"]
)
STORIES = st.lists(st.tuples(SOURCES, st.integers(0, 99)), max_size=60)


def is_up(pod):
    return pod.status.ready and pod.is_active


class Slow(Cluster):
    """Pods that are deleted stay until they are gone; `judge` sees each creation and deletion before it is done."""

    def __init__(self, kind, plan, judge, *objects):
        super().__init__(*objects)
        self.kind, self.plan, self.judge = kind, plan, judge

    @property
    def pods(self):
        return self.list(Pod)

    def owner(self):
        return self.get(self.kind, KEY)

    def _act(self, action, world):
        is_pod = isinstance(action, Create) and action.manifest["kind"] == "Pod"
        if is_pod or (isinstance(action, Delete) and isinstance(action.obj, Pod)):
            self.judge(self, action)
        if isinstance(action, Delete) and isinstance(action.obj, Pod):
            self.change(action.obj, {"metadata": {"deletionTimestamp": time_text(self.now)}})
        else:
            super()._act(action, world)

    def happen(self, what, number, change):
        """One thing: the plan, the user, or fate for one of the pods."""
        self.passes(1)
        if what == "plan":
            self.run(self.kind, self.plan, KEY)
        elif what == "change":
            change(self, number)
        elif self.pods:
            self._befall(what, self.pods[number % len(self.pods)])

    def _befall(self, what, pod):
        is_going = pod.metadata.deleted_at is not None
        if what == "gone" and is_going:
            self.remove(pod)
        elif what == "delete" and not is_going:
            self.change(pod, {"metadata": {"deletionTimestamp": time_text(self.now)}})
        elif what in ("ready", "lame", "fail") and not pod.is_finished:
            self.change(pod, {"status": {"ready": READY, "lame": LAME, "fail": FAILED}[what]})

    def heal(self):
        """Nothing bad happens any more, until nothing happens at all."""
        for _ in range(400):
            changed = self.run(self.kind, self.plan, KEY)
            for pod in self.pods:
                if pod.metadata.deleted_at is not None:
                    self.remove(pod)
                elif not pod.is_finished and not pod.status.ready:
                    self.change(pod, {"status": READY})
                else:
                    continue
                changed = True
            self.passes(1000)
            if not changed:
                return
        raise AssertionError("it never comes to rest")


def roll_to(cluster, number):
    template = cluster.owner().spec.template.raw
    spec = {"containers": [{"name": "app", "image": f"app:{number % 3}"}]}
    cluster.change(cluster.owner(), {"spec": {"template": {**template, "spec": spec}}})


def versions(cluster):
    return {pod.spec.containers[0].image for pod in cluster.pods}


def wanted_version(cluster):
    return {cluster.owner().spec.template.spec.containers[0].image}


# -- StatefulSets ------------------------------------------------------------------------------------------------------


def in_order(cluster, action):
    """OrderedReady: whoever comes finds everybody before it up, and one at a time goes."""
    sts, others = cluster.owner(), {ordinal_of(pod): pod for pod in cluster.pods}
    if isinstance(action, Create):
        ordinal = ordinal_of(Pod.read(action.manifest))
        assert ordinal not in others
        assert all(before in others and is_up(others[before]) for before in range(ordinal))
        return
    going = others[ordinal_of(action.obj)]
    if not is_up(going):
        return
    first = range(sts.spec.replicas)
    assert all(ordinal in others and is_up(others[ordinal]) for ordinal in first)
    if ordinal_of(going) in first:
        assert set(others) == set(first)
        assert going.spec.containers[0].image not in wanted_version(cluster)


def change_statefulset(cluster, number):
    if number % 2:
        roll_to(cluster, number // 2)
    else:
        cluster.change(cluster.owner(), {"spec": {"replicas": number // 2 % 5}})


@settings(max_examples=120, deadline=None)
@given(STORIES, st.integers(0, 4))
def test_a_statefulset_keeps_its_order_and_its_names(story, replicas):
    cluster = Slow(StatefulSet, plan_statefulset, in_order, a_statefulset("set", replicas=replicas, image="app:0"))
    for what, number in story:
        cluster.happen(what, number, change_statefulset)
    # A version that never gets ready blocks the way out as well: fate makes everybody ready now.
    cluster.heal()

    sts = cluster.owner()
    assert [pod.metadata.name for pod in cluster.pods] == [f"set-{number}" for number in range(sts.spec.replicas)]
    assert versions(cluster) <= wanted_version(cluster)
    assert sts.status.current_revision == sts.status.update_revision


def never_too_few(most):
    """Parallel: what goes of those that should be there leaves enough behind."""

    def judge(cluster, action):
        sts = cluster.owner()
        staying = {pod.metadata.name: pod for pod in cluster.pods if ordinal_of(pod) < sts.spec.replicas}
        if isinstance(action, Create):
            assert action.manifest["metadata"]["name"] not in {pod.metadata.name for pod in cluster.pods}
        elif action.obj.metadata.name in staying and is_up(staying[action.obj.metadata.name]):
            assert sum(map(is_up, staying.values())) - 1 >= sts.spec.replicas - most

    return judge


@settings(max_examples=80, deadline=None)
@given(STORIES, st.integers(1, 3))
def test_under_parallel_never_more_are_missing_than_allowed(story, most):
    strategy = {"type": "RollingUpdate", "rolling_update": {"partition": 0, "max_unavailable": most}}
    sts = a_statefulset(
        "set", replicas=4, image="app:0", pod_management_policy="Parallel", update_strategy=strategy, claims=["data"]
    )
    cluster = Slow(StatefulSet, plan_statefulset, never_too_few(most), sts)
    for what, number in story:
        cluster.happen(what, number, change_statefulset)
    cluster.heal()

    assert len(cluster.pods) == cluster.owner().spec.replicas
    assert versions(cluster) <= wanted_version(cluster)


# -- DaemonSets --------------------------------------------------------------------------------------------------------


def at_most(surge):
    """Never more pods on a node than one and, while surging, one of the other version."""

    def judge(cluster, action):
        if isinstance(action, Create):
            node = node_of(Pod.read(action.manifest))
            here = [pod for pod in cluster.pods if node_of(pod) == node and pod.is_active]
            assert len(here) <= (1 if surge else 0)
            assert not any(pod.spec.containers[0].image in wanted_version(cluster) for pod in here)

    return judge


def change_daemonset(cluster, number):
    nodes = cluster.list(Node)
    if number % 2:
        roll_to(cluster, number // 2)
    else:
        node = nodes[number % len(nodes)]
        colour = "red" if node.metadata.labels.get("colour") == "blue" else "blue"
        cluster.change(node, {"metadata": {"labels": {"colour": colour}}})


@settings(max_examples=120, deadline=None)
@given(STORIES, st.booleans())
def test_a_daemonset_never_has_two_pods_of_a_kind_on_a_node(story, surge):
    bounds = {"max_unavailable": 0, "max_surge": 2} if surge else {"max_unavailable": 2, "max_surge": 0}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "app:0"}], "nodeSelector": {"colour": "blue"}},
    }
    ds = a_daemonset("set", template=template, update_strategy={"type": "RollingUpdate", "rolling_update": bounds})
    nodes = [a_node(f"n{number}", labels={"colour": "blue"}) for number in range(4)]
    cluster = Slow(DaemonSet, plan_daemonset, at_most(surge), ds, *nodes)
    for what, number in story:
        cluster.happen(what, number, change_daemonset)
    cluster.heal()

    wanted = cluster.owner().spec.template.spec.node_selector.items()
    expected = [node.metadata.name for node in cluster.list(Node) if wanted <= node.metadata.labels.items()]
    assert sorted(map(node_of, cluster.pods)) == expected
    assert versions(cluster) <= wanted_version(cluster)
