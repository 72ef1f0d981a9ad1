"""DeviceReporter: tells the cluster of the machine's cards, and the pods of those that break.

A card that stops working is taken out alone: the slice marks it, the node offers one less, and the pod that has it is
told. When the card answers again, it is offered again. Kubernetes: a DRA driver's kubelet plugin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from kubelet.resources.gpus import Gpus
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import Gpu, granted_to
from wherry.client.device_slices import Publisher
from wherry.client.events import EventRecorder
from wherry.machinery.errors import ApiError

log = structlog.get_logger()

LOOK_SECONDS = 10.0
_RETRY_SECONDS = 1.0


class DeviceReporter:
    """One per kubelet. `pods` are those of the node; `changed` is called when the node has more or fewer to offer."""

    def __init__(
        self, gpus: Gpus, publisher: Publisher, recorder: EventRecorder, pods: Callable[[], list[Pod]]
    ) -> None:
        self._gpus, self._publisher, self._recorder, self._pods = gpus, publisher, recorder, pods

    async def begin(self) -> None:
        """Tell of the cards before the node offers them: nobody counts what has no name yet."""
        while self._gpus.cards:
            try:
                await self._publisher.publish(self._gpus.cards)
                break
            except ApiError as error:
                log.warning("devices not published yet", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def run(self, changed: Callable[[], None]) -> None:
        """Look again and again, until cancelled."""
        while self._gpus.find is not None:
            await asyncio.sleep(LOOK_SECONDS)
            before = self._gpus.cards
            for card in self._gpus.see(await asyncio.to_thread(self._gpus.find)):
                self._tell(card)
            if self._gpus.cards != before:
                changed()
            try:
                self._publisher.forget()
                await self._publisher.publish(self._gpus.cards)
            except ApiError as error:
                log.warning("devices not published", error=str(error))

    def _tell(self, card: Gpu) -> None:
        log.warning("device is in trouble", device=card.uuid, why=card.trouble)
        holders = self._gpus.users(card.uuid)
        for pod in self._pods():
            if pod.metadata.uid in holders or card.uuid in (granted_to(pod) or ()):
                message = f"device {card.name} ({card.uuid}) does not work any more: {card.trouble}"
                self._recorder.record(pod, "DeviceUnhealthy", message, "Warning")
