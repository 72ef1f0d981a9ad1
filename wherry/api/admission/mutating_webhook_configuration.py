"""MutatingWebhookConfiguration: who may change a write."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.matching import DEFINITIONS, GROUP, supported
from wherry.api.admission.webhooks import Webhook, check_webhooks
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE

REINVOCATION_POLICIES = ("IfNeeded", "Never")

defaults.literal(DEFINITIONS + "MutatingWebhook", reinvocationPolicy="Never")


class MutatingWebhook(Webhook):
    """Somebody to be asked, and whether again after others have changed the object."""

    reinvocation_policy: str | None = None


class MutatingWebhookConfiguration(
    Resource, group=GROUP, version="v1", scope="Cluster", categories=("api-extensions",)
):
    """Who may change a write."""

    webhooks: tuple[MutatingWebhook, ...] = ()

    counts_generations = True
    unconditional_update = False
    columns = (Column("Webhooks", lambda configuration: len(configuration.webhooks), type="integer"), AGE)

    def validate(self, old: MutatingWebhookConfiguration | None) -> Iterator[FieldError]:
        """Every broken rule of the webhooks."""
        yield from check_webhooks(self.webhooks, None if old is None else old.webhooks)
        for index, hook in enumerate(self.webhooks):
            field = f"webhooks[{index}].reinvocationPolicy"
            yield from supported(field, hook.reinvocation_policy, REINVOCATION_POLICIES)
