"""Grow, mend and shrink a StatefulSet. Each step says whether everything after it must wait.

OrderedReady does one thing at a time: a pod is made only when all before it are up, and deleted only when all are.
Parallel waits for nobody. Kubernetes: processReplica and processCondemned.
"""

from __future__ import annotations

from collections.abc import Generator

from controllers.statefulset.claims import going_claim, missing_claims, retained
from controllers.statefulset.crew import Crew, is_running
from controllers.statefulset.identity import identity_labels, new_pod, ordinal_of, pod_name
from wherry.api.core.pod import Pod
from wherry.client.plan import Action, CheckAgain, Create, Delete, Event, Plan, Update
from wherry.client.world import World

Step = Generator[Action, None, bool]
RETRY_SECONDS = 10.0


def grown(crew: Crew, world: World) -> Step:
    """Make the pods that are missing, mend those that are there, replace those that have ended."""
    waits, missing = False, []
    for ordinal, pod in crew.replicas.items():
        if pod is None:
            missing.append(ordinal)
        elif pod.is_finished:
            waits = True
            if pod.metadata.deleted_at is None:
                yield from _ended(crew, pod)
        else:
            yield from _mended(crew, ordinal, pod, world)
        if crew.is_ordered and (pod is None or not crew.is_up(pod)):
            waits = True
            break
    return (yield from _made(crew, missing, world)) or waits


def _ended(crew: Crew, pod: Pod) -> Plan:
    """The name is free only when the pod is gone: the next plan makes the new one."""
    reason, kind = "RecreatingFailedPod", "Warning"
    if pod.status.phase == "Succeeded":
        reason, kind = "RecreatingTerminatedPod", "Normal"
    what = "terminated" if kind == "Normal" else "failed"
    message = f"StatefulSet {crew.sts.key} is recreating {what} Pod {pod.metadata.name}"
    yield Event(crew.sts, reason, message, kind)
    yield Delete(pod)


def _mended(crew: Crew, ordinal: int, pod: Pod, world: World) -> Plan:
    """Labels that say who it is, claims that say whose they are, and those without which it cannot start."""
    labels = identity_labels(crew.sts, ordinal)
    if not labels.items() <= pod.metadata.labels.items() and pod.metadata.deleted_at is None:
        yield Update(pod, {"metadata": {"labels": labels}})
    if pod.status.phase == "Pending":
        for claim in missing_claims(crew.sts, ordinal, world):
            yield Create(claim)
    yield from retained(crew.sts, ordinal, pod, False, world)


def _made(crew: Crew, missing: list[int], world: World) -> Step:
    """New pods, after the claims that they need."""
    sts, waits, ready, claims = crew.sts, False, [], []
    for ordinal in missing:
        name = pod_name(sts, ordinal)
        obstacle = _obstacle(crew, ordinal, name, world)
        if obstacle:
            waits = True
            message = f"create Pod {name} in StatefulSet {sts.metadata.name} failed error: {obstacle}"
            yield Event(sts, "FailedCreate", message, "Warning")
            yield CheckAgain(RETRY_SECONDS)
            continue
        ready.append(ordinal)
        claims += [(claim, name) for claim in missing_claims(sts, ordinal, world)]
    for claim, _ in claims:
        yield Create(claim)
    for claim, name in claims:
        told = f"create Claim {claim['metadata']['name']} Pod {name} in StatefulSet {sts.metadata.name} success"
        yield Event(sts, "SuccessfulCreate", told)
    for ordinal in ready:
        yield Create(new_pod(sts, ordinal, crew.version_for(ordinal)))
    return waits


def _obstacle(crew: Crew, ordinal: int, name: str, world: World) -> str:
    """Why the pod cannot be made now, if so."""
    if world.get(Pod, name, crew.sts.metadata.namespace) is not None:
        return f'pods "{name}" already exists'
    going = going_claim(crew.sts, ordinal, world, name)
    return f"pvc {going} is being deleted" if going else ""


def shrunk(crew: Crew, world: World) -> Step:
    """Delete the pods that must go, the highest number first."""
    for pod in crew.condemned:
        yield from retained(crew.sts, ordinal_of(pod), pod, True, world)
    if not crew.is_ordered:
        for pod in crew.condemned:
            if pod.metadata.deleted_at is None:
                yield Delete(pod)
        return False
    if not crew.condemned:
        return False
    # A pod that is not up blocks those above it, for its turn might come while somebody mends it.
    last, lame = crew.condemned[0], next((pod for pod in reversed(crew.condemned) if not is_running(pod)), None)
    if last.metadata.deleted_at is None and (crew.is_up(last) or last is lame):
        yield Delete(last)
    return True
