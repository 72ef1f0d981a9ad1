"""Seen: all that a decision about one autoscaler rests on, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from controllers.autoscaling.memory import EMPTY, Memory
from wherry.api.core.pod import Pod
from wherry.api.metrics.usage_metrics import PodMetrics
from wherry.machinery.resource import Resource


class Missing(NamedTuple):
    """What could not be had, and why."""

    why: str


class Target(NamedTuple):
    """What is scaled: how many replicas it should have and has, and the selector (as text) that finds its pods."""

    obj: Resource
    replicas: int
    current: int
    selector: str


class Sample(NamedTuple):
    """A number of one pod, in thousandths, as of `at` and measured over so many seconds."""

    millis: int
    at: datetime | None = None
    window_seconds: float = 60.0


Samples = Mapping[str, Sample]
"""By the names of the pods."""


@dataclass(frozen=True)
class Seen:
    """`values` has what other APIs than that of resources said, by the place of the metric in the spec: samples of
    pods, or one number in thousandths. `rivals` are the autoscalers, more than one, that select the same pods.
    """

    now: datetime
    target: Target | Missing
    pods: tuple[Pod, ...] = ()
    usage: tuple[PodMetrics, ...] | Missing = ()
    values: Mapping[int, Samples | int | Missing] = field(default_factory=dict)
    rivals: tuple[str, ...] = ()
    memory: Memory = EMPTY
