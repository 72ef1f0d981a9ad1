"""Stories of a whole cluster, told the same way each time; `make transcripts` writes them down anew.

Each story is a function, and beside this file lies its transcript, which begins with the function's docstring.
"""

import os
from collections.abc import Awaitable, Callable
from inspect import getdoc
from pathlib import Path

import pytest
from story import Story

from wherry.api.apps.statefulset import StatefulSet
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.transcript import Transcript
from wherry.sim.virtual_time import run

SEED = 1
RECORDS = "WHERRY_RECORD" in os.environ


async def a_deployments_life(story: Story) -> None:
    """A Deployment's life: three pods, then five, then a new version of all of them, then nothing.

    Watch who does what. You write the Deployment only; the controllers make a ReplicaSet of it and pods of that; the
    scheduler chooses a node for each pod; the nodes run them. Nobody calls anybody: all of them write to the API
    server and watch what the others write. During the update at most 25 % more pods than wanted exist (two, since it
    is rounded up), and at most 25 % fewer are available (one, since it is rounded down).
    """
    await story.create_deployment("web", "web:1", replicas=3)
    await story.scale("web", 5)
    await story.set_image("web", "web:2")
    await story.delete("web")


async def a_nodes_death(story: Story) -> None:
    """A node's death: its kubelet falls silent, and 350 seconds later its pods live on elsewhere.

    A node renews its Lease every ten seconds. 50 seconds after the last time, the controllers call it Unknown: its
    pods count as not ready, so the Service sends them nothing more, and taints keep new pods away. Every pod
    tolerates that for 300 seconds, for most nodes come back. Then it is deleted and replaced, but it is not gone:
    only its own kubelet can say that its containers have stopped. So it stays, being deleted, until the node returns.
    """
    await story.create_deployment("web", "web:1", replicas=3)
    await story.expose("web", port=80)
    await story.lose("node-2", seconds=400)
    await story.bring_back("node-2")


async def a_rollout_gone_wrong_and_undone(story: Story) -> None:
    """A rollout gone wrong and undone: the new image does not exist, and no user of the service notices.

    The update stops by itself: as long as the new pods are not ready, no more old ones are taken away than the
    Deployment allows (25 % of four is one). After 600 seconds without progress it says so, and waits for somebody to
    decide. Undoing is an update like any other, to the template of the version before; its ReplicaSet is still there.
    """
    await story.create_deployment("web", "web:1", replicas=4)
    await story.set_image("web", "web:missing")
    await story.wait(610)
    await story.undo("web")


async def a_statefulsets_life(story: Story) -> None:
    """A StatefulSet's life: pods that come one after the other, and keep their names and what they have stored.

    A pod is made only when the one before it is ready, and its claim before it. A pod that is deleted comes back under
    its name, to its own claim; of a Deployment it would be another one. A new version goes from the last pod to the
    first, one at a time. When the set shrinks the last pod goes first, and its claim stays: whoever scales up again
    finds everything where it was.
    """
    await story.create_statefulset("db", "db:1", replicas=3)
    await story.delete_pod("db-1")
    await story.set_image("db", "db:2", StatefulSet)
    await story.scale("db", 2, StatefulSet)


async def an_urgent_pod(story: Story) -> None:
    """An urgent pod finds every node full: the fewest and least important others make way for it.

    The scheduler looks for the node where that costs least, promises the room to the pod, and tells the victims why
    they go; they have their usual time to end. Only then is the pod bound. Whoever was replaced by their controller
    waits in turn, and gets the room again when the urgent pod is done.
    """
    await story.create_priority_class("urgent", 1000)
    await story.apply_deployment("web", "web:1", replicas=6, cpu="4")
    await story.run_pod("training", "train:1", cpu="6", priority="urgent")
    await story.delete_pod("training")


def transcript_of(tell: Callable[[Story], Awaitable[None]]) -> str:
    async def play() -> str:
        async with SimulatedCluster(nodes=3) as cluster:
            await cluster.settle()
            transcript = Transcript(cluster.journal, getdoc(tell) or "")
            await tell(Story(cluster, transcript))
            return transcript.text()

    return run(play(), seed=SEED)


@pytest.mark.parametrize(
    "tell", [a_deployments_life, a_nodes_death, a_rollout_gone_wrong_and_undone, a_statefulsets_life, an_urgent_pod]
)
def test_the_story_is_told_as_ever(tell: Callable[[Story], Awaitable[None]]):
    golden = Path(__file__).with_name(f"{tell.__name__}.txt")
    told = transcript_of(tell)
    if RECORDS:
        golden.write_text(told)

    assert told == golden.read_text()


def test_one_seed_is_one_run():
    assert transcript_of(a_deployments_life) == transcript_of(a_deployments_life)
