"""How fast: what recent recommendations, policies and bounds make of a wanted number of replicas.

Kubernetes: horizontal.go, normalizeDesiredReplicas with and without behavior.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from controllers.autoscaling.memory import Memory
from wherry.api.autoscaling.horizontal_pod_autoscaler import (
    HorizontalPodAutoscalerSpec,
    ScalingBehavior,
    ScalingPolicy,
    ScalingRules,
)

# Kubernetes: --horizontal-pod-autoscaler-downscale-stabilization.
DOWN_WINDOW_SECONDS = 300
_UP_FACTOR, _UP_AT_LEAST = 2, 4

_DOUBLING = ScalingPolicy(type="Percent", value=100, period_seconds=15)
_UP_POLICIES = (ScalingPolicy(type="Pods", value=4, period_seconds=15), _DOUBLING)


class Verdict(NamedTuple):
    """A reason and the words for it, as conditions have them."""

    reason: str
    message: str


MATCHES = Verdict("ReadyForNewScale", "recommended size matches current size")
HELD_UP = Verdict(
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
HELD_DOWN = Verdict(
    "ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation"
)
IN_RANGE = Verdict("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW = Verdict("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_MANY = Verdict("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FAST_UP = Verdict("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
TOO_FAST_DOWN = Verdict("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")


class Pace(NamedTuple):
    """How many replicas now, whether recent recommendations or a limit decided that, and what to remember."""

    replicas: int
    stable: Verdict
    limit: Verdict
    memory: Memory

    @property
    def is_limited(self) -> bool:
        """Whether it would have been more or fewer without limits."""
        return self.limit is not IN_RANGE


class Course(NamedTuple):
    """From how many replicas to how many, seen from now."""

    current: int
    wanted: int
    now: datetime
    memory: Memory


def paced(spec: HorizontalPodAutoscalerSpec, least: int, course: Course) -> Pace:
    """The next step on a course."""
    memory = course.memory.recommending(course.wanted, course.now)
    if spec.behavior is None:
        stable = max([course.wanted, *course.memory.within(DOWN_WINDOW_SECONDS, course.now)])
        replicas, limit = _bounded(spec, least, course._replace(wanted=stable))
        return Pace(replicas, MATCHES if stable == course.wanted else HELD_UP, limit, memory)
    stable = _stabilized(spec.behavior, course)
    held = HELD_DOWN if course.wanted >= course.current else HELD_UP
    replicas, limit = _limited(spec, least, course._replace(wanted=stable))
    return Pace(replicas, MATCHES if stable == course.wanted else held, limit, memory)


def _bounded(spec: HorizontalPodAutoscalerSpec, least: int, course: Course) -> tuple[int, Verdict]:
    """At most twice as many at once, within the bounds."""
    fastest = max(_UP_FACTOR * course.current, _UP_AT_LEAST)
    most, limit = (fastest, TOO_FAST_UP) if spec.max_replicas > fastest else (spec.max_replicas, TOO_MANY)
    if course.wanted < least:
        return least, TOO_FEW
    return (most, limit) if course.wanted > most else (course.wanted, IN_RANGE)


def _stabilized(behavior: ScalingBehavior, course: Course) -> int:
    """Up no further than the lowest, down no further than the highest of the recent recommendations."""
    up = _window(behavior.scale_up, 0)
    down = _window(behavior.scale_down, DOWN_WINDOW_SECONDS)
    lowest = min([course.wanted, *course.memory.within(up, course.now)])
    highest = max([course.wanted, *course.memory.within(down, course.now)])
    return min(max(course.current, lowest), highest)


def _window(rules: ScalingRules | None, default: int) -> int:
    given = rules.stabilization_window_seconds if rules is not None else None
    return default if given is None else given


def _limited(spec: HorizontalPodAutoscalerSpec, least: int, course: Course) -> tuple[int, Verdict]:
    """As fast as the policies allow, within the bounds."""
    behavior = spec.behavior or ScalingBehavior()
    if course.wanted > course.current:
        fastest = max(_furthest(behavior.scale_up or ScalingRules(), course, up=True), course.current)
        most, limit = (fastest, TOO_FAST_UP) if spec.max_replicas > fastest else (spec.max_replicas, TOO_MANY)
        return (most, limit) if course.wanted > most else (course.wanted, IN_RANGE)
    if course.wanted < course.current:
        fastest = min(_furthest(behavior.scale_down or ScalingRules(), course, up=False), course.current)
        fewest, limit = (fastest, TOO_FAST_DOWN) if least < fastest else (least, TOO_FEW)
        return (fewest, limit) if course.wanted < fewest else (course.wanted, IN_RANGE)
    return course.wanted, IN_RANGE


def _furthest(rules: ScalingRules, course: Course, *, up: bool) -> int:
    """How far the policies let it go in one direction."""
    if rules.select_policy == "Disabled":
        return course.current
    policies = rules.policies or (_UP_POLICIES if up else (_DOUBLING,))
    ends = [_end(policy, course, up=up) for policy in policies]
    return max(ends) if up is (rules.select_policy != "Min") else min(ends)


def _end(policy: ScalingPolicy, course: Course, *, up: bool) -> int:
    begin = course.memory.at_start_of(policy.period_seconds, course.current, course.now)
    if policy.type == "Pods":
        return begin + policy.value if up else begin - policy.value
    share = policy.value / 100
    # Up is rounded up, or one replica would never become two.
    return math.ceil(begin * (1 + share)) if up else int(begin * (1 - share))
