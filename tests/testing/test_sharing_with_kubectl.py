"""Sharing as people see it: real kubectl and the verbs, on nodes whose cards only pretend."""

import json
import subprocess

import pytest
from click.testing import CliRunner
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing
from wherry.cli import main

pytestmark = pytest.mark.xdist_group("sharing_with_kubectl")


@pytest.fixture(scope="module")
def cluster():
    with wherry.testing.cluster(nodes=1, gpus=4) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kubectl(cluster):
    def run(*words, given=None):
        command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *words)
        text = json.dumps(given) if given else None
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    return run


def ask(cluster, *words):
    result = CliRunner().invoke(main, [*words, "--kubeconfig", cluster.kubeconfig])
    return result.output.splitlines()


def a_pod(name, limits, **labels):
    container = {"name": "app", "image": "app:1", "resources": {"limits": limits}}
    metadata = {"name": name, "labels": {f"wherry.dev/{key}": value for key, value in labels.items()}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def wait(kubectl, name, condition="Ready"):
    return "condition met" in kubectl("wait", f"--for=condition={condition}", f"pod/{name}", "--timeout=30s")


def test_who_holds_which_cards(cluster, kubectl):
    assert ask(cluster, "who") == ["nobody holds a card", "free: fake-1 gpu-0,gpu-1,gpu-2,gpu-3"]
    kubectl("apply", "-f-", given=a_pod("train", {"nvidia.com/gpu": "2"}, user="alice"))
    assert wait(kubectl, "train")

    head, row, free = ask(cluster, "who")
    [item] = json.loads("\n".join(ask(cluster, "who", "-o", "json")))["items"]

    assert head.split() == ["USER", "POD", "WORKLOAD", "NODE", "CARDS", "SINCE"]
    assert row.split()[:5] == ["alice", "default/train", "Pod/train", "fake-1", "gpu-0,gpu-1"]
    assert free == "free: fake-1 gpu-2,gpu-3"
    assert [card["uuid"] for card in item["cards"]] == ["GPU-fake-1-0", "GPU-fake-1-1"]
    assert ask(cluster, "who", "--user", "bob")[0] == "bob holds no card"
    kubectl("delete", "pod", "train", "--wait=true")


def an_object(kind, name, spec):
    metadata = {"name": name}
    return {"apiVersion": "scheduling.wherry.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def test_with_fair_share_who_has_had_less_is_next_and_everybody_can_see_it(cluster, kubectl):
    assert ask(cluster, "fairshare")[0].startswith("fair share is off")
    assert "must be a duration" in kubectl("apply", "-f-", given=an_object("FairShare", "default", {"halfLife": "7d"}))
    kubectl("apply", "-f-", given=an_object("FairShare", "default", {"weights": {"bob": 2}}))
    kubectl("apply", "-f-", given=a_pod("all", {"nvidia.com/gpu": "4"}, user="alice"))
    assert wait(kubectl, "all")
    for name, user in (("more", "alice"), ("first", "bob"), ("second", "bob")):
        kubectl("apply", "-f-", given=a_pod(name, {"nvidia.com/gpu": "3"}, user=user))
        assert wait(kubectl, name, "PodScheduled=false")

    line = json.loads("\n".join(ask(cluster, "queue", "-o", "json")))["items"]
    head, bob, alice, note = ask(cluster, "fairshare")

    assert [(each["place"], each["pod"], each["why"]) for each in line] == [
        (place, name, "0/1 nodes are available: 1 Insufficient nvidia.com/gpu." + NO_VICTIMS)
        for place, name in enumerate(("first", "second", "more"), 1)
    ]
    assert head.split() == ["TURN", "USER", "GPU-HOURS", "CPU-HOURS", "SHARE", "WEIGHT", "HOLDS", "WAITING"]
    assert bob.split() == ["1", "bob", "0.00", "0.00", "0%", "2", "0", "2"]
    assert alice.split()[0:2] + alice.split()[4:] == ["2", "alice", "100%", "1", "4", "1"]
    assert note == "use counts half after 168h; a core counts 10m of a card"
    kubectl("delete", "pod", "all", "--wait=true")
    assert wait(kubectl, "first")
    assert "168h" in kubectl("get", "fairshares")
    assert "After this time use counts half" in kubectl("explain", "fairshare.spec.halfLife")
    kubectl("delete", "pod", "first", "second", "more", "--wait=true")
    kubectl("delete", "fairshare", "default")


NO_VICTIMS = (
    " no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)


def test_a_queue_borrows_gives_back_and_says_so(cluster, kubectl):
    queues = [an_object("Queue", name, {"nominal": {"nvidia.com/gpu": 2}}) for name in ("nlp", "vision")]
    refused = kubectl("apply", "-f-", given=an_object("Queue", "q", {"borrowingLimit": {"cpu": 1}}))
    assert "spec.borrowingLimit[cpu]: Forbidden: there is no nominal amount of it to go beyond" in refused
    for queue in queues:
        assert "created" in kubectl("apply", "-f-", given=queue)
    for number in range(4):
        kubectl("apply", "-f-", given=a_pod(f"nlp-{number}", {"nvidia.com/gpu": "1"}, queue="nlp"))
        assert wait(kubectl, f"nlp-{number}")
    kubectl("apply", "-f-", given=a_pod("beyond", {"nvidia.com/gpu": "1"}, queue="nlp"))
    assert wait(kubectl, "beyond", "PodScheduled=false")

    assert (
        "is forbidden: it is the queue of 5 pods: default/beyond, default/nlp-0, default/nlp-1 and 2 more; "
        "delete them first" in kubectl("delete", "queue", "nlp")
    )
    why = "queue nlp: 1 nvidia.com/gpu wanted; of its 2 it uses 4, and it may borrow 0 more"
    waits = kubectl("get", "pod", "beyond", "-o", "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}")
    assert waits.startswith(f"0/1 nodes are available: {why}.")
    assert any(why in line for line in ask(cluster, "why", "pod/beyond"))
    assert ask(cluster, "queue")[-2].split() == ["nlp", "nvidia.com/gpu", "2", "4", "2", "1"]
    kubectl("apply", "-f-", given=a_pod("mine", {"nvidia.com/gpu": "2"}, queue="vision"))
    assert wait(kubectl, "mine")
    reclaimed = kubectl("get", "events", "--field-selector=reason=Preempted", "-o", "name").split()
    assert len(reclaimed) == 2
    assert "nvidia.com/gpu=2   whatever is idle" in kubectl("get", "queues")
    kubectl("delete", "pod", "--all", "--wait=true")
    kubectl("label", "namespace", "default", "wherry.dev/queue=nlp")
    assert "it is the queue of namespace default; take the label" in kubectl("delete", "queue", "nlp")
    kubectl("label", "namespace", "default", "wherry.dev/queue-")
    kubectl("delete", "queue", "--all")


def test_several_pods_share_a_card_by_its_memory_and_nobody_gets_it_whole(cluster, kubectl):
    assert kubectl("get", "node", "fake-1", "-o", "jsonpath={.status.allocatable.wherry\\.dev/gpu-memory}") == "160Gi"
    for name, user in (("one", "alice"), ("two", "bob")):
        kubectl("apply", "-f-", given=a_pod(name, {"wherry.dev/gpu-memory": "15Gi"}, user=user))
        assert wait(kubectl, name)
    kubectl("apply", "-f-", given=a_pod("whole", {"nvidia.com/gpu": "3"}, user="carol"))
    assert wait(kubectl, "whole")
    kubectl("apply", "-f-", given=a_pod("large", {"wherry.dev/gpu-memory": "20Gi"}))
    assert wait(kubectl, "large", "PodScheduled=false")

    cards = {line.split()[0]: line.split()[4] for line in ask(cluster, "who")[1:4]}
    assert cards["alice"] == cards["bob"]
    assert cards["alice"].endswith("[15Gi/40Gi]")
    assert len(set(cards["carol"].split(",")) - {cards["alice"].partition("[")[0]}) == 3
    assert "0/1 nodes are available: 1 no card with 20Gi of memory left (the largest" in " ".join(
        ask(cluster, "why", "pod/large")
    )
    kubectl("delete", "pod", "whole", "--wait=true")
    assert wait(kubectl, "large")
    kubectl("delete", "pod", "--all", "--wait=true")
