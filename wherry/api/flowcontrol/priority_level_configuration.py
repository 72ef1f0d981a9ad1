"""PriorityLevelConfiguration: a share of the API server's time, and what happens to requests beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2
from typing import Any

from wherry.api.filling import fill_empty
from wherry.api.flowcontrol.flow_schema import GROUP, check_conditions
from wherry.api.flowcontrol.mandatory import PRIORITY_LEVELS
from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import in_range, non_negative, under
from wherry.machinery.view import View

DEFINITIONS = "io.k8s.api.flowcontrol.v1."
TYPES = ("Exempt", "Limited")
RESPONSES = ("Queue", "Reject")
MAX_QUEUES = 10_000_000
# What the hash by which requests are dealt to queues yields. Kubernetes: shufflesharding.MaxHashBits.
MAX_HASH_BITS = 60

fill_empty(DEFINITIONS + "QueuingConfiguration", queues=64, handSize=8, queueLengthLimit=50)
defaults.literal(DEFINITIONS + "ExemptPriorityLevelConfiguration", nominalConcurrencyShares=0, lendablePercent=0)
defaults.literal(DEFINITIONS + "LimitedPriorityLevelConfiguration", nominalConcurrencyShares=30, lendablePercent=0)


@defaults(DEFINITIONS + "PriorityLevelConfigurationSpec")
def _exempt(spec: dict[str, Any]) -> None:
    if spec.get("type") == "Exempt":
        spec.setdefault("exempt", {})


class QueuingConfiguration(View):
    """How many queues, how many of them one flow may use, and how long each may be."""

    queues: int = 0
    hand_size: int = 0
    queue_length_limit: int = 0


class LimitResponse(View):
    """What happens to requests beyond the share."""

    type: str = ""
    queuing: QueuingConfiguration | None = None


class ExemptPriorityLevelConfiguration(View):
    """Requests that never wait, and what they lend to others."""

    nominal_concurrency_shares: int | None = None
    lendable_percent: int | None = None


class LimitedPriorityLevelConfiguration(ExemptPriorityLevelConfiguration):
    """Requests that may have to wait."""

    limit_response: LimitResponse = LimitResponse()
    borrowing_limit_percent: int | None = None


class PriorityLevelConfigurationSpec(View):
    """`type` says which of the two is set."""

    type: str = ""
    limited: LimitedPriorityLevelConfiguration | None = None
    exempt: ExemptPriorityLevelConfiguration | None = None


class PriorityLevelConfigurationStatus(View):
    """What is to be said of it."""

    conditions: Conditions = ()


def _shares(level: PriorityLevelConfiguration) -> Any:
    limited = level.spec.limited
    return "<none>" if limited is None else limited.nominal_concurrency_shares or 0


def _queuing(field: str) -> Any:
    def cell(level: PriorityLevelConfiguration) -> Any:
        queuing = None if level.spec.limited is None else level.spec.limited.limit_response.queuing
        return "<none>" if queuing is None else getattr(queuing, field)

    return cell


class PriorityLevelConfiguration(Resource, group=GROUP, version="v1", scope="Cluster", subresources=("status",)):
    """A share of the API server's time."""

    spec: PriorityLevelConfigurationSpec = PriorityLevelConfigurationSpec()
    status: PriorityLevelConfigurationStatus = PriorityLevelConfigurationStatus()

    counts_generations = True
    columns = (
        Column("Type", lambda level: level.spec.type),
        Column("NominalConcurrencyShares", _shares),
        Column("Queues", _queuing("queues")),
        Column("HandSize", _queuing("hand_size")),
        Column("QueueLengthLimit", _queuing("queue_length_limit")),
        AGE,
    )

    def validate(self, old: PriorityLevelConfiguration | None) -> Iterator[FieldError]:
        """Every broken rule of a level; those that every cluster has are fixed."""
        spec, name = self.spec, self.metadata.name
        if (name == "exempt") != (spec.type == "Exempt"):
            yield invalid("spec.type", spec.type, "type must be 'Exempt' if and only if name is 'exempt'")
        yield from under("spec", _check_spec(spec))
        fixed = PRIORITY_LEVELS.get(name)
        if name == "catch-all" and fixed is not None and spec != PriorityLevelConfigurationSpec.read(fixed):
            yield invalid("spec", spec.to_wire(), f"spec of '{name}' must equal the fixed value")

    def validate_status(self, old: PriorityLevelConfiguration) -> Iterator[FieldError]:
        """Every broken rule of a report."""
        return check_conditions("status.conditions", self.status.conditions)


def _check_spec(spec: PriorityLevelConfigurationSpec) -> Iterator[FieldError]:
    if spec.type not in TYPES:
        yield not_supported("type", spec.type, TYPES)
    elif spec.type == "Exempt":
        if spec.limited is not None:
            yield forbidden("limited", "must be nil if the type is not Limited")
        if spec.exempt is not None:
            yield from under("exempt", _check_share(spec.exempt))
    elif spec.limited is None:
        yield required("limited", "must not be empty when type is Limited")
    else:
        if spec.exempt is not None:
            yield forbidden("exempt", "must be nil if the type is Limited")
        yield from under("limited", _check_limited(spec.limited))


def _check_share(share: ExemptPriorityLevelConfiguration) -> Iterator[FieldError]:
    if (share.nominal_concurrency_shares or 0) < 0:
        why = "must be a non-negative integer"
        yield invalid("nominalConcurrencyShares", share.nominal_concurrency_shares, why)
    if share.lendable_percent is not None:
        yield from in_range("lendablePercent", share.lendable_percent, 0, 100)


def _check_limited(limited: LimitedPriorityLevelConfiguration) -> Iterator[FieldError]:
    yield from _check_share(limited)
    if limited.borrowing_limit_percent is not None:
        yield from non_negative("borrowingLimitPercent", limited.borrowing_limit_percent)
    response = limited.limit_response
    if response.type not in RESPONSES:
        yield not_supported("limitResponse.type", response.type, RESPONSES)
    elif response.type == "Reject":
        if response.queuing is not None:
            why = "must be nil if limited.limitResponse.type is not Limited"
            yield forbidden("limitResponse.queuing", why)
    elif response.queuing is None:
        yield required("limitResponse.queuing", "must not be empty if limited.limitResponse.type is Limited")
    else:
        yield from under("limitResponse.queuing", _check_queuing(response.queuing))


def _check_queuing(queuing: QueuingConfiguration) -> Iterator[FieldError]:
    for field, number in (("queueLengthLimit", queuing.queue_length_limit), ("queues", queuing.queues)):
        if number <= 0:
            yield invalid(field, number, "must be positive")
    if queuing.queues > MAX_QUEUES:
        yield invalid("queues", queuing.queues, f"must not be greater than {MAX_QUEUES}")
    hand, queues = queuing.hand_size, queuing.queues
    if hand <= 0:
        yield invalid("handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid("handSize", hand, f"should not be greater than queues ({queues})")
    elif ceil(log2(queues) * hand) > MAX_HASH_BITS:
        why = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        yield invalid("handSize", hand, why)
