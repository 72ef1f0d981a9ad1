"""The configured webhooks, compiled once for each state of the configurations, and which of them a write concerns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from apiserver.matching.attributes import Attributes
from apiserver.matching.conditions import Conditions
from apiserver.matching.known import Known
from apiserver.matching.rules import is_exempt, matched
from apiserver.matching.selectors import selects_namespace, selects_object
from apiserver.request import SERVER_ITSELF
from wherry.api.admission.webhooks import Webhook
from wherry.machinery.errors import forbidden
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server


class Hook(NamedTuple):
    """One webhook of a configuration. `uid` tells it from all others."""

    configuration: str
    uid: str
    webhook: Webhook
    conditions: Conditions

    @property
    def name(self) -> str:
        return self.webhook.name

    @property
    def fails_open(self) -> bool:
        """Whether a write goes on without an answer."""
        return self.webhook.failure_policy == "Ignore"


class Concerned(NamedTuple):
    """A webhook that is to be asked, and the kind in whose form it wants to see the object."""

    hook: Hook
    cls: type[Resource]


class Hooks:
    """The webhooks of one kind of configuration, in the order of the names of the configurations."""

    def __init__(self, server: Server, configuration: Any) -> None:
        self._server, self._configuration = server, configuration
        self._cache = server.cache.of(configuration)
        self._revision = -1
        self._hooks: list[Hook] = []

    def all(self) -> list[Hook]:
        """Every webhook there is."""
        if self._revision != self._cache.revision:
            self._revision = self._cache.revision
            self._hooks = [
                Hook(stored.name, f"{stored.name}/{hook.name}/{index}", hook, Conditions(hook.match_conditions))
                for stored in self._cache.objects()
                for index, hook in enumerate(self._configuration.read(stored.item).webhooks)
            ]
        return self._hooks

    async def concerned(self, attributes: Attributes) -> AsyncIterator[Concerned]:
        """Whom to ask about a write, as it stands when the question comes up.

        The server's own writes are nobody's business: it could not start without its webhooks, nor they without it.
        """
        if attributes.write.user is SERVER_ITSELF or is_exempt(attributes):
            return
        for hook in self.all():
            cls = matched(hook.webhook.rules, attributes, exact=hook.webhook.match_policy == "Exact")
            if cls is not None and await self._is_meant(hook, attributes, cls):
                yield Concerned(hook, cls)

    async def _is_meant(self, hook: Hook, attributes: Attributes, cls: type[Resource]) -> bool:
        webhook = hook.webhook
        if not selects_object(webhook.object_selector, attributes):
            return False
        if not await selects_namespace(self._server, webhook.namespace_selector, attributes):
            return False
        if not hook.conditions:
            return True
        outcome = hook.conditions.evaluate(Known(self._server, attributes, cls))
        if outcome.problems and not hook.fails_open:
            write = attributes.write
            raise forbidden(write.cls.kind.resource, write.name, ", ".join(outcome.problems))
        return outcome.holds
