"""What people are told about pods that wait, and about pods that do not exist yet."""

from datetime import timedelta

import pytest
from make import NOW, a_node, a_pod, an_object
from scheduling import all_plugins, decide, gpu_node, snapshot_of, tainted

from scheduler.cycle.plan import plan
from scheduler.explaining.attention import Attention
from scheduler.explaining.forecast import Verdict, forecast
from scheduler.explaining.hints import gated, hints
from scheduler.explaining.holders import holders_on
from scheduler.explaining.manifests import wanted_by
from scheduler.explaining.picture import Judgement, Objects, Picture
from scheduler.explaining.text import record_of
from scheduler.plugins.node_affinity import NodeAffinity
from scheduler.pods import PodView
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.policy.disruption_budget import PodDisruptionBudget


def a_picture(*nodes, pods=(), budgets=()):
    objects = Objects({Node: nodes, Pod: pods, PodDisruptionBudget: budgets})
    return Picture(objects, {"default-scheduler": all_plugins()})


def holder(name, node, hours, **more):
    return a_pod(name, node=node, status={"startTime": NOW - timedelta(hours=hours)}, **more)


def hinted(pod, picture):
    view = picture.view(pod)
    judgement = picture.judged(view)
    held = {node: list(holders_on(picture, node, view, NOW)) for node in judgement.decision.nodes}
    return [*gated(view), *hints(view, judgement, held)]


def test_a_pod_that_waits_for_gpus_is_told_who_holds_them_since_when():
    gpus = {"requests": {"nvidia.com/gpu": "4"}, "namespace": "alice"}
    pods = [holder("train-3", "gpu-2", 2, **gpus), *(holder(f"old-{n}", "gpu-1", 30, **gpus) for n in range(2))]
    picture = a_picture(gpu_node("gpu-1", 8), gpu_node("gpu-2", 7), tainted("closed", "a=b:NoSchedule"), pods=pods)

    assert hinted(a_pod("mine", requests={"nvidia.com/gpu": "4"}), picture) == [
        "it fits on gpu-2 when 1 nvidia.com/gpu frees; held by alice/train-3 (4, for 120m)",
        "it fits on gpu-1 when 4 nvidia.com/gpu frees; held by alice/old-0 (4, for 30h), alice/old-1 (4, for 30h)",
    ]


def test_what_can_never_be_is_said_and_what_one_command_would_change():
    picture = a_picture(a_node("small", cpu="2"), a_node("shut", cpu="8", unschedulable=True))

    assert hinted(a_pod(requests={"cpu": "16"}), picture) == ["no node offers 16 cpu, even if it were empty"]
    assert hinted(a_pod(requests={"cpu": "4"}), picture) == ["`kubectl uncordon shut` opens shut"]


def test_what_the_configuration_asks_for_is_not_said_of_the_pod():
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "team", "operator": "Exists"}]}]}
    args = {"addedAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    enforced = NodeAffinity(NodeAffinity.Args.model_validate(args))
    decision = plan(PodView(a_pod()), snapshot_of(a_node("theirs")).columns, [enforced])

    assert list(hints(PodView(a_pod()), Judgement(decision), {"theirs": []})) == [
        "theirs lacks the labels that its scheduler's configuration asks for (addedAffinity)"
    ]


def test_it_is_said_who_would_make_way_and_that_gates_come_first():
    picture = a_picture(a_node("n", cpu="1"), pods=[holder("low", "n", 1, requests={"cpu": "1"})])
    pod = a_pod("urgent", priority=9, requests={"cpu": "1"}, scheduling_gates=[{"name": "wait"}])

    assert hinted(pod, picture) == [
        "it is not looked at before its scheduling gates are removed: wait",
        "it is more important than default/low on n, which would make way",
        "it fits on n when 1 cpu frees; held by default/low (1, for 60m)",
    ]


def test_pods_are_placed_in_thought_one_after_the_other():
    picture = a_picture(a_node("a", cpu="2"), a_node("b", cpu="1"), pods=[holder("low", "b", 1, requests={"cpu": "1"})])
    pods = [a_pod(f"p{n}", priority=5, requests={"cpu": "1"}) for n in range(4)]

    told = forecast(picture, pods)

    assert [fate.node for fate in told.fates] == ["a", "a", "b", ""]
    assert (told.verdict, forecast(a_picture(a_node("a")), pods[:1]).verdict) == (Verdict.DOES_NOT_FIT, Verdict.FITS)
    assert list(told.lines()) == [
        "3 of 4 pods fit:",
        "  a: 2",
        "  b: 1",
        "1 pod would have to make way:",
        "  default/low on b",
    ]


def test_of_pods_with_room_and_gates_the_gates_are_told():
    pods = [a_pod(f"p{n}", scheduling_gates=[{"name": "wait"}]) for n in range(2)]

    told = forecast(a_picture(a_node("a")), pods)

    gates = "it is not looked at before its scheduling gates are removed: wait"
    assert list(told.lines()) == ["2 of 2 pods fit:", "  a: 2", gates]


def test_a_budget_and_promised_room_count_in_a_picture():
    waiting = a_pod("waiting", priority=9, requests={"cpu": "1"}, status={"nominatedNodeName": "a"})
    low = [holder(name, name[-1], 1, requests={"cpu": "1"}, labels={"app": name}) for name in ("low-b", "low-c")]
    budget = an_object(PodDisruptionBudget, "b", selector={"matchLabels": {"app": "low-b"}})
    picture = a_picture(*(a_node(name, cpu="1") for name in "abc"), pods=[waiting, *low], budgets=[budget])

    judgement = picture.judged(PodView(a_pod("peer", priority=9, requests={"cpu": "1"})))

    assert [victim.key for victim in judgement.preemption.victims] == ["default/low-c"]


def test_of_a_large_cluster_the_best_nodes_are_kept_and_some_of_those_that_refuse():
    nodes = [a_node(f"n{n:02}", cpu="4" if n % 2 else "1") for n in range(60)]

    record = record_of(decide(PodView(a_pod("p", requests={"cpu": "2"})), *nodes), most=3)

    assert record.outcome.endswith(" (as good); 30 of 60 nodes can hold it")
    assert (len(record.nodes), record.left_out) == (6, 54)
    assert record.nodes["n00"] == "NodeResourcesFit: Insufficient cpu (wants 2, free 1)"


@pytest.mark.parametrize(
    ("kind", "spec", "number"),
    [
        ("Deployment", {"replicas": 3}, 3),
        ("StatefulSet", {}, 1),
        ("Job", {"parallelism": 8, "completions": 5}, 5),
        ("Job", {"parallelism": 2}, 2),
    ],
)
def test_what_makes_pods_says_how_many(kind, spec, number):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    [wanted] = wanted_by({"kind": kind, "metadata": {"name": "x"}, "spec": {**spec, "template": template}}, "lab")

    metadata = {"generateName": "x-", "namespace": "lab", "labels": {"a": "b"}}
    assert wanted.number == number
    assert wanted.manifest == {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}


def test_what_cannot_be_planned_is_named_and_what_makes_no_pods_passed_over():
    assert list(wanted_by({"kind": "Service", "metadata": {"name": "x"}}, "lab")) == []
    with pytest.raises(ValueError, match=r"Job x: spec.parallelism: 'many': expected a number"):
        list(
            wanted_by(
                {"kind": "Job", "metadata": {"name": "x"}, "spec": {"parallelism": "many", "template": {"spec": {}}}},
                "lab",
            )
        )


def test_of_what_makes_pods_in_its_own_way_no_plan_is_made():
    job = {"template": {"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}}
    jobs = {"kind": "JobSet", "metadata": {"name": "x"}, "spec": {"replicatedJobs": [job]}}

    with pytest.raises(ValueError, match="JobSet lab/x: only its own controller knows which pods it makes"):
        list(wanted_by(jobs, "lab"))
    template = {"template": job["template"]["spec"]["template"]}
    assert list(wanted_by({"kind": "PodTemplate", "metadata": {"name": "x"}, **template}, "lab")) == []


def test_of_many_decisions_in_a_second_the_first_are_explained_in_full():
    attention = Attention()

    assert sum(attention.is_free(1.0) for _ in range(1000)) == 20
    assert sum(attention.is_free(3.0) for _ in range(1000)) == 10


def test_an_explanation_is_worked_out_ahead_for_a_pod_that_may_come_soon():
    attention = Attention()
    while attention.is_free(1.0):
        pass

    assert [(attention.is_near(at), attention.is_free(at)) for at in (1.05, 1.15, 1.25)] == [
        (False, False),
        (True, False),
        (True, True),
    ]
