"""Probes: a task per container asks in the background; thresholds make answers into health.

Kubernetes: pkg/kubelet/prober. The start-up probe goes first; liveness and readiness wait for it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from kubelet.actions import Target, perform
from kubelet.charge import Charge
from kubelet.runtime.base import ContainerRecord, RuntimeUnavailable
from kubelet.seen import Health
from wherry.api.core.pod import Container, Probe
from wherry.client import clock
from wherry.client.serving.counting import Histogram


class Tally(NamedTuple):
    """How many answers of one sort came in a row, and what they have led to so far. Pure."""

    verdict: bool
    last: bool | None = None
    in_a_row: int = 0

    def after(self, is_success: bool, probe: Probe) -> Tally:
        """The tally with one more answer; the verdict turns when a threshold is reached."""
        in_a_row = self.in_a_row + 1 if is_success == self.last else 1
        threshold = probe.success_threshold if is_success else probe.failure_threshold
        return Tally(is_success if in_a_row >= threshold else self.verdict, is_success, in_a_row)


# Kubernetes: those of prober_probe_duration_seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ProbeTally:
    """How often a probe turned out how, and how long its answers took."""

    def __init__(self) -> None:
        self.results = {"successful": 0, "failed": 0}
        self.seconds = Histogram(BUCKETS)

    def count(self, seconds: float, *, is_success: bool) -> None:
        """One more answer."""
        self.results["successful" if is_success else "failed"] += 1
        self.seconds.observe(seconds)


def begin_probes(charge: Charge, record: ContainerRecord, pod_ip: str) -> None:
    """Start the probes of a running container, once."""
    container = charge.container(record.name)
    if container is None or record.id in charge.probed:
        return
    charge.probed.add(record.id)
    target = Target(charge.host.runtime, record.id, container, pod_ip)
    if container.startup_probe or container.liveness_probe or container.readiness_probe:
        charge.spawn(_probe_container(charge, record, container, target))


async def _probe_container(charge: Charge, record: ContainerRecord, container: Container, target: Target) -> None:
    health = charge.health.get(record.id, Health())
    if container.startup_probe is not None and not health.is_started:
        await _Prober(charge, record, target, container.startup_probe, "Startup").run()
    probers = [
        _Prober(charge, record, target, probe, kind)
        for probe, kind in ((container.liveness_probe, "Liveness"), (container.readiness_probe, "Readiness"))
        if probe is not None
    ]
    async with asyncio.TaskGroup() as tasks:
        for prober in probers:
            tasks.create_task(prober.run())


class _Prober:
    """One probe of one container, until the container is being stopped or, for start-up, the question is settled."""

    def __init__(self, charge: Charge, record: ContainerRecord, target: Target, probe: Probe, kind: str) -> None:
        self._charge, self._record, self._target = charge, record, target
        self._probe, self._kind = probe, kind
        health = charge.health.get(record.id, Health())
        initial = {"Startup": False, "Liveness": True, "Readiness": health.is_ready}[kind]
        self._tally = Tally(initial)

    async def run(self) -> None:
        started_at = self._record.started_at or self._record.created_at
        first_at = self._probe.initial_delay_seconds - (clock.now() - started_at).total_seconds()
        await asyncio.sleep(max(0.0, first_at))
        while self._record.id in self._charge.health and self._record.id not in self._charge.stopping:
            await self._ask()
            if self._kind == "Startup" and (self._tally.verdict or self._is_given_up()):
                return
            await asyncio.sleep(max(1, self._probe.period_seconds))

    def _is_given_up(self) -> bool:
        return self._tally.last is False and self._tally.in_a_row >= self._probe.failure_threshold

    async def _ask(self) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            outcome = await perform(self._probe, self._target, max(1, self._probe.timeout_seconds))
        except RuntimeUnavailable:
            return  # no answer is no verdict on the container
        tally = self._charge.probe_tallies.setdefault((self._record.name, self._kind), ProbeTally())
        tally.count(asyncio.get_running_loop().time() - begun, is_success=outcome.is_success)
        before = self._charge.health.get(self._record.id)
        if before is None or self._record.id in self._charge.stopping:
            return
        self._tally = self._tally.after(outcome.is_success, self._probe)
        if not outcome.is_success:
            why = f"{self._kind} probe failed: {outcome.message}"
            self._charge.tell("Unhealthy", why, "Warning", container=self._record.name)
        after = self._applied(before)
        if after != before:
            self._charge.health[self._record.id] = after
            self._charge.wake()

    def _applied(self, health: Health) -> Health:
        if self._kind == "Startup":
            return health._replace(is_started=self._tally.verdict, is_live=not self._is_given_up())
        if self._kind == "Liveness":
            return health._replace(is_live=self._tally.verdict)
        return health._replace(is_ready=self._tally.verdict)
