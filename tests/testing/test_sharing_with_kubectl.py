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
    assert ask(cluster, "who", "--user", "bob")[0] == "nobody holds a card"
    kubectl("delete", "pod", "train", "--wait=true")
