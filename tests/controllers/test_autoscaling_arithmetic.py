"""The autoscaler's arithmetic against an oracle, and its pace against a clockwork."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from controllers.autoscaling import arithmetic
from controllers.autoscaling.arithmetic import Tolerance
from controllers.autoscaling.memory import Memory
from controllers.autoscaling.pace import Course, paced
from controllers.autoscaling.pods import Groups, Unmeasured
from tests.controllers.autoscaling_oracle import Clockwork, Worker, replicas_for
from tests.make import NOW
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscalerSpec

WORKERS = some.builds(
    Worker, some.one_of(some.none(), some.integers(0, 400)), some.sampled_from((50, 100, 250)), some.booleans()
)
POLICIES = some.fixed_dictionaries(
    {
        "type": some.sampled_from(("Pods", "Percent")),
        "value": some.integers(1, 150),
        "periodSeconds": some.sampled_from((15, 30, 60, 300)),
    }
)
RULES = some.fixed_dictionaries(
    {
        "stabilizationWindowSeconds": some.sampled_from((0, 15, 40, 300)),
        "selectPolicy": some.sampled_from(("Max", "Min", "Disabled")),
        "policies": some.lists(POLICIES, min_size=1, max_size=3),
    }
)
BEHAVIORS = some.fixed_dictionaries({"scaleUp": RULES, "scaleDown": RULES})


def planned(workers: list[Worker], percent: int) -> int | None:
    """What the controller would do."""
    named = {f"web-{number}": worker for number, worker in enumerate(workers)}
    up = {name: worker for name, worker in named.items() if worker.is_up}
    missing = frozenset(name for name, worker in up.items() if worker.used is None)
    groups = Groups(len(up) - len(missing), frozenset(named.keys() - up.keys()), missing, frozenset())
    values = {name: worker.used for name, worker in named.items() if worker.used is not None}
    requests = {name: worker.requested for name, worker in named.items()}
    pods = arithmetic.Pods(len(workers), groups, Tolerance())
    try:
        return arithmetic.by_utilization(pods, values, requests, percent)[0]
    except Unmeasured:
        return None


@given(some.lists(WORKERS, min_size=1, max_size=12), some.integers(1, 200))
@settings(max_examples=400, deadline=None)
def test_replicas_are_what_the_oracle_says(workers: list[Worker], percent: int):
    # 1.0 + 0.1 and 1.0 - 0.1 are the floats nearest to 1.1 and 0.9, so both agree at the bounds, too.
    share = replicas_for(workers, percent, Fraction(1, 10))

    assert planned(workers, percent) == share


@given(
    BEHAVIORS,
    some.integers(1, 20),
    some.lists(some.tuples(some.integers(1, 90), some.integers(0, 60)), min_size=1, max_size=25),
)
@settings(max_examples=200, deadline=None)
def test_its_pace_is_that_of_the_clockwork(behavior: dict[str, Any], replicas: int, wishes: list[tuple[int, int]]):
    spec = HorizontalPodAutoscalerSpec.read({"maxReplicas": 40, "behavior": behavior})
    clockwork, memory, now = Clockwork(replicas, 1, 40, behavior), Memory().begun(replicas, NOW), 0

    for seconds, wish in wishes:
        now += seconds
        at = NOW + timedelta(seconds=now)
        pace = paced(spec, 1, Course(replicas, wish, at, memory))
        memory, replicas = pace.memory.scaled(replicas, pace.replicas, at), pace.replicas
        assert replicas == clockwork.step(now, wish)


@given(some.lists(some.integers(0, 60), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_without_behavior_it_at_most_doubles_and_never_shrinks_below_what_was_wanted_lately(wishes: list[int]):
    spec, memory, replicas = HorizontalPodAutoscalerSpec(max_replicas=40), Memory().begun(3, NOW), 3

    for number, wish in enumerate(wishes):
        recent = wishes[max(0, number - 19) : number + 1]
        pace = paced(spec, 1, Course(replicas, wish, NOW + timedelta(seconds=15 * (number + 1)), memory))
        assert pace.replicas <= max(4, 2 * replicas)
        assert pace.replicas >= min(replicas, max(recent))
        memory, replicas = pace.memory, pace.replicas
