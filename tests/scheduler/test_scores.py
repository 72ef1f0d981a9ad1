"""Which of the nodes that can hold a pod is best."""

import pytest
from make import a_container
from scheduling import a_node, a_view, decide, gpu_node, snapshot_of, tainted

from scheduler.cycle.answers import Answers
from scheduler.cycle.plan import plan
from scheduler.framework import Plugin
from scheduler.plugins.image_locality import ImageLocality
from scheduler.plugins.node_resources_fit import NodeResourcesFit, NodeResourcesFitArgs


def scores_of(plugin: str, pod, *nodes, placed=()) -> list[float]:
    decision = decide(pod, *nodes, placed=placed)
    return next((scores.values.round(2).tolist() for scores in decision.scores if scores.plugin == plugin), [])


def fit_scores(strategy, pod, *nodes, placed=()) -> list[float]:
    args = NodeResourcesFitArgs.model_validate({"scoringStrategy": strategy})
    decision = plan(pod, snapshot_of(*nodes, placed=placed).columns, [NodeResourcesFit(args)])
    return decision.scores[0].values.round(2).tolist()


NODES = a_node("a", cpu="4", memory="8Gi"), a_node("b", cpu="4", memory="8Gi")
HALF = a_view(requests={"cpu": "2", "memory": "4Gi"})
QUARTER = a_view(requests={"cpu": "1", "memory": "2Gi"})


def test_least_allocated_prefers_what_stays_free():
    assert fit_scores({"type": "LeastAllocated"}, QUARTER, *NODES, placed=[(HALF, "a")]) == [25.0, 75.0]


def test_most_allocated_prefers_what_is_used():
    assert fit_scores({"type": "MostAllocated"}, QUARTER, *NODES, placed=[(HALF, "a")]) == [75.0, 25.0]


def test_gpus_count_by_their_weight_for_pods_that_want_them():
    strategy = {"type": "MostAllocated", "resources": [{"name": "nvidia.com/gpu", "weight": 3}, {"name": "cpu"}]}
    nodes = gpu_node("four", 4), gpu_node("two", 2)
    pod = a_view(requests={"nvidia.com/gpu": "1", "cpu": "1"})

    assert fit_scores(strategy, pod, *nodes) == [25.0, 43.75]
    assert fit_scores(strategy, a_view(requests={"cpu": "1"}), *nodes) == [25.0, 25.0]


def test_pods_that_ask_for_nothing_are_spread_all_the_same():
    assert decide(a_view(), *NODES, placed=[(a_view(), "a")]).winner == "b"


def test_balance_means_that_shares_come_closer_together():
    pod, even = a_view(requests={"cpu": "1", "memory": "6Gi"}), a_view(requests={"cpu": "1", "memory": "2Gi"})
    placed = [(a_view(requests={"cpu": "2"}), "a")]

    assert scores_of("NodeResourcesBalancedAllocation", pod, *NODES, placed=placed) == [87.5, 62.5]
    assert scores_of("NodeResourcesBalancedAllocation", even, *NODES, placed=placed) == [75.0, 75.0]
    assert scores_of("NodeResourcesBalancedAllocation", a_view(), *NODES) == []


def test_the_node_with_the_fewest_soft_taints_is_best():
    nodes = a_node("a"), tainted("b", "x=:PreferNoSchedule"), tainted("c", "x=:PreferNoSchedule", "y=:PreferNoSchedule")

    assert scores_of("TaintToleration", a_view(), *nodes) == [100.0, 50.0, 0.0]


def test_preferences_add_up_by_weight():
    def prefers(key, weight):
        return {"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}

    wishes = {"preferredDuringSchedulingIgnoredDuringExecution": [prefers("x", 10), prefers("y", 30), {"weight": 9}]}
    nodes = a_node("a"), a_node("b", labels={"x": ""}), a_node("c", labels={"x": "", "y": ""})

    assert scores_of("NodeAffinity", a_view(affinity={"nodeAffinity": wishes}), *nodes) == [0.0, 25.0, 100.0]


def test_only_nodes_that_can_hold_the_pod_are_compared():
    nodes = a_node("a"), tainted("b", "x=:PreferNoSchedule"), tainted("c", "x=:PreferNoSchedule", "y=:NoSchedule")

    assert scores_of("TaintToleration", a_view(), *nodes) == [100.0, 0.0, 0.0]


def test_the_seed_decides_between_equals():
    nodes = snapshot_of(*(a_node(f"n{index}") for index in range(20))).columns
    fit: list[Plugin] = [NodeResourcesFit()]

    winners = [plan(a_view(), nodes, fit, seed).winner for seed in range(30)]

    assert len(set(winners)) > 5
    assert winners == [plan(a_view(), nodes, fit, seed).winner for seed in range(30)]


@pytest.mark.parametrize("size", ["4", "8Ei"])
def test_a_node_that_offers_nothing_scores_without_a_warning(size):
    bare = a_node("bare", cpu="0", memory="0")

    assert decide(a_view(requests={"cpu": size}), bare).winner == ""
    assert decide(a_view(), bare).winner == "bare"


def test_a_shape_says_what_each_use_is_worth():
    points = [{"utilization": 0, "score": 0}, {"utilization": 50, "score": 10}, {"utilization": 100, "score": 2}]
    shape = {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": points}}

    assert fit_scores(shape, QUARTER, *NODES, placed=[(HALF, "a")]) == [60.0, 50.0]


def with_images(name, **sizes):
    images = [{"names": [f"{image}:1"], "sizeBytes": megabytes << 20} for image, megabytes in sizes.items()]
    return a_node(name, status={"images": images})


def test_nodes_that_have_the_images_are_better_unless_they_are_the_only_ones():
    pod = a_view(image="big:1")
    nodes = with_images("a", big=1000), with_images("b", big=1000, small=20), with_images("c", small=20), a_node("d")

    assert scores_of("ImageLocality", pod, *nodes) == [48.82, 48.82, 0.0, 0.0]
    assert scores_of("ImageLocality", pod, *nodes[1:]) == [31.76, 0.0, 0.0]
    assert scores_of("ImageLocality", a_view(image="nowhere:1"), *nodes) == []


def test_the_images_of_volumes_count_like_those_of_containers():
    pod = a_view(image="nowhere:1", volumes=[{"name": "model", "image": {"reference": "big:1"}}])
    both = a_view(containers=[a_container("a", image="nowhere:1"), a_container("b", image="big:1")])
    nodes = with_images("a", big=1000), with_images("b", big=1000), a_node("c")

    assert scores_of("ImageLocality", pod, *nodes) == scores_of("ImageLocality", both, *nodes)
    assert scores_of("ImageLocality", pod, *nodes)[0] > 0


def test_an_image_that_is_pulled_counts_at_once_for_all_nodes():
    snapshot = snapshot_of(with_images("a", big=1000), a_node("b"))
    answers, pod = Answers(snapshot, [ImageLocality()]), a_view(image="big:1")
    assert answers.to(pod).best().node == "a"

    snapshot.set_node(with_images("b", big=1000))
    snapshot.set_node(a_node("a"))

    assert answers.to(pod).best().node == "b"
    snapshot.remove_node("b")
    assert scores_of("ImageLocality", pod, *(a_node("a"),)) == []
