"""Autoscaling: observes for controllers/autoscaling/ what no watch brings: scales of any kind, and numbers.

Each autoscaler is looked at every 15 s, and at once when its spec changes. What it remembers is kept here and lost
with the process (controllers/autoscaling/memory.py says what that means).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from controllers.autoscaling.memory import Memory
from controllers.autoscaling.plan import decide, refused, remembered, rescaled, told
from controllers.autoscaling.seen import Missing, Seen, Target
from controllers.parts.metadata import metadata_view
from controllers.parts.scalable import scalable_kind
from controllers.shells.bench import Bench
from controllers.shells.desk import ShellDesk
from controllers.shells.metric_sources import MetricSources
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.autoscaling.metric_views import CrossVersionObjectReference
from wherry.api.autoscaling.scale import Scale
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import ApiError, Conflict, Unavailable
from wherry.machinery.resource import Resource
from wherry.machinery.selectors import parse_label_selector

# Kubernetes: --horizontal-pod-autoscaler-sync-period and --concurrent-horizontal-pod-autoscaler-syncs.
PERIOD_SECONDS = 15.0
WORKERS = 5


class Autoscaling:
    """See the module. `pods` is an informer that runs anyway; `informer` is its own, of autoscalers."""

    def __init__(self, client: Client, pods: Informer[Pod], may_act: Callable[[], bool]) -> None:
        self._client, self._pods, self._sources = client, pods, MetricSources(client)
        self.informer = Informer(client, HorizontalPodAutoscaler)
        self._desk = ShellDesk("autoscaling", client, may_act, component="horizontal-pod-autoscaler")
        self._bench = Bench("horizontal-pod-autoscaler", self._look_at, workers=WORKERS)
        self._memories: dict[str, Memory] = {}
        # The selector of each autoscaler's target, as it was last seen: two that want the same pods want none.
        self._selectors: dict[str, str] = {}
        self.informer.subscribe(self._changed)

    @property
    def is_idle(self) -> bool:
        """Whether no autoscaler is being looked at just now."""
        return self._bench.is_idle

    def among(self, informers: Mapping[type[Resource], Informer[Any]]) -> dict[type[Resource], Informer[Any]]:
        """These informers and its own."""
        return {**informers, HorizontalPodAutoscaler: self.informer}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.informer.run(), name="informer horizontalpodautoscalers")
            await self._pods.synced()
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _changed(self, change: Change[HorizontalPodAutoscaler]) -> None:
        before, after = change
        if after is None and before is not None:
            self._memories.pop(before.key, None)
            self._selectors.pop(before.key, None)
        elif after is not None and (before is None or before.spec != after.spec):
            self._bench.add(after.key)

    async def _look_at(self, key: str) -> float | None:
        hpa = self.informer.get(key)
        if hpa is None:
            return None
        seen = await self._observe(hpa)
        decision = decide(hpa, seen)
        self._remember(key, decision.memory)
        try:
            await self._desk.carry_out(hpa, rescaled(decision))
        except (Conflict, Unavailable):
            raise
        except ApiError as error:
            await self._desk.carry_out(hpa, refused(decision, error.message))
            return PERIOD_SECONDS
        self._remember(key, remembered(decision, seen))
        await self._desk.carry_out(hpa, told(seen, decision))
        return PERIOD_SECONDS

    def _remember(self, key: str, memory: Memory) -> None:
        if self.informer.get(key) is not None:
            self._memories[key] = memory

    async def _observe(self, hpa: HorizontalPodAutoscaler) -> Seen:
        now, namespace = clock.now(), hpa.metadata.namespace
        memory = self._memories.get(hpa.key, Memory())
        target = await self._target(hpa.spec.scale_target_ref, namespace)
        if isinstance(target, Missing):
            return Seen(now, target, memory=memory)
        self._selectors[hpa.key] = target.selector
        try:
            pods = self._selected(namespace, target.selector)
        except ValueError:
            return Seen(now, target, memory=memory)  # the plan says so
        specs = hpa.spec.metrics
        usage = await self._sources.usage(specs, namespace, target.selector)
        values = await self._sources.values(specs, namespace, target.selector)
        return Seen(now, target, pods, usage, values, self._rivals(hpa.key, pods), memory)

    async def _target(self, reference: CrossVersionObjectReference, namespace: str) -> Target | Missing:
        try:
            kind = scalable_kind(reference) or await self._client.kind_of(
                {"apiVersion": reference.api_version, "kind": reference.kind}
            )
            scale = Scale.read(await self._client.request("GET", kind.path(namespace, reference.name, "scale")))
        except Unavailable:
            raise
        except ApiError as error:
            return Missing(error.message)
        obj = metadata_view(kind)(metadata=scale.metadata)
        return Target(obj, scale.spec.replicas, scale.status.replicas, scale.status.selector)

    def _selected(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        if not selector:
            return ()
        wanted = parse_label_selector(selector)
        return tuple(pod for pod in self._pods.shelf.in_namespace(namespace) if wanted.matches(pod.metadata.labels))

    def _rivals(self, key: str, pods: tuple[Pod, ...]) -> tuple[str, ...]:
        """Every autoscaler that selects one of these pods, if there are others than this one."""
        namespace = key.partition("/")[0]
        claims = [
            (other, parse_label_selector(text))
            for other, text in self._selectors.items()
            if text and other.partition("/")[0] == namespace
        ]
        found = {other for other, wanted in claims if any(wanted.matches(pod.metadata.labels) for pod in pods)}
        return tuple(sorted(found)) if found - {key} else ()
