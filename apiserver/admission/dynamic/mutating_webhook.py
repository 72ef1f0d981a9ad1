"""MutatingAdmissionWebhook: webhooks that change what is written, one after the other, and again where others did.

Kubernetes: MutatingAdmissionWebhook with its reinvocation rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.admission.dynamic.rounds import Rounds
from apiserver.matching.attributes import Attributes
from apiserver.patch import PatchError
from apiserver.patch.json_patch import json_patch
from apiserver.webhooks.asking import ask, note
from apiserver.webhooks.hooks import Concerned, Hooks
from apiserver.webhooks.reviews import Verdict
from apiserver.writing.decoding import accept
from apiserver.writing.rest import Write
from wherry.api.admission.mutating_webhook_configuration import MutatingWebhook, MutatingWebhookConfiguration
from wherry.machinery.errors import InternalError

if TYPE_CHECKING:
    from apiserver.server import Server


class MutatingAdmissionWebhook(AdmissionPlugin):
    """Kubernetes: MutatingAdmissionWebhook."""

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    order = 800

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._hooks = Hooks(server, MutatingWebhookConfiguration)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if not self._hooks.all():
            return
        attributes = Attributes(draft, old, write, self.server.custom.served)
        rounds = write.rounds = write.rounds or Rounds()
        again = rounds.reinvoked(type(self).__name__, attributes)
        index = 0
        async for concerned in self._hooks.concerned(attributes):
            hook = concerned.hook
            if rounds.is_second and hook.uid not in again:
                continue
            place = f"round_{int(rounds.is_second)}_index_{index}"
            index += 1
            answer = await ask(self.server, attributes, concerned, is_mutating=True, place=place)
            if answer is None:
                continue
            has_changed = _apply(answer, attributes, concerned)
            note(attributes, hook, place, answer, has_changed=has_changed)
            if has_changed:
                rounds.changed(type(self).__name__)
                again = rounds.due(type(self).__name__)
            if isinstance(hook.webhook, MutatingWebhook) and hook.webhook.reinvocation_policy == "IfNeeded":
                rounds.ask_again(type(self).__name__, hook.uid)
        rounds.ended(type(self).__name__, attributes)


def _apply(answer: Verdict, attributes: Attributes, concerned: Concerned) -> bool:
    """Apply a patch; whether it changed anything."""
    if not answer.patch:
        return False
    cls = concerned.cls
    before = attributes.object_as(cls)
    if before is None:
        why = "webhook attempted to modify the object, which is not supported for this operation"
        raise InternalError(f"Internal error occurred: {why}")
    try:
        after: dict[str, Any] = json_patch(before, answer.patch)
    except (PatchError, RecursionError) as error:
        raise InternalError(f"Internal error occurred: {error or 'the patch nests too deeply'}") from None
    if after == before:
        return False
    if attributes.facet is None:
        after = accept(after, cls, validation="Ignore", warnings=[])
    attributes.take(after, cls)
    return True
