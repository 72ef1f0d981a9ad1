"""ValidatingWebhookConfiguration: who may refuse a write."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.matching import GROUP
from wherry.api.admission.webhooks import Webhook, check_webhooks
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE


class ValidatingWebhookConfiguration(
    Resource, group=GROUP, version="v1", scope="Cluster", categories=("api-extensions",)
):
    """Who may refuse a write."""

    webhooks: tuple[Webhook, ...] = ()

    counts_generations = True
    unconditional_update = False
    columns = (Column("Webhooks", lambda configuration: len(configuration.webhooks), type="integer"), AGE)

    def validate(self, old: ValidatingWebhookConfiguration | None) -> Iterator[FieldError]:
        """Every broken rule of the webhooks."""
        return check_webhooks(self.webhooks, None if old is None else old.webhooks)
