"""ValidatingAdmissionWebhook: webhooks that may refuse, asked all at once. Kubernetes: ValidatingAdmissionWebhook."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.matching.attributes import Attributes
from apiserver.webhooks.asking import ask
from apiserver.webhooks.hooks import Hooks
from apiserver.writing.rest import Write
from wherry.api.admission.validating_webhook_configuration import ValidatingWebhookConfiguration

if TYPE_CHECKING:
    from apiserver.server import Server


class ValidatingAdmissionWebhook(AdmissionPlugin):
    """Kubernetes: ValidatingAdmissionWebhook."""

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    order = 900

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._hooks = Hooks(server, ValidatingWebhookConfiguration)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if not self._hooks.all():
            return
        attributes = Attributes(draft, old, write, self.server.custom.served)
        concerned = [each async for each in self._hooks.concerned(attributes)]
        asked = (
            ask(self.server, attributes, each, is_mutating=False, place=f"round_0_index_{index}")
            for index, each in enumerate(concerned)
        )
        # Each is asked to the end, also where another one has refused: side effects of all are as they say.
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
