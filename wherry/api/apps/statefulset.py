"""StatefulSet: pods with names, storage and an order of their own. Behaviour: controllers/statefulset/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS, check_label_match, check_never_ends, check_set_selector
from wherry.api.core.pod import PodTemplate
from wherry.api.filling import fill_empty
from wherry.api.meta import NOTHING, Conditions, Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import (
    at_most_all,
    check_amount_or_percent,
    check_annotations,
    check_labels,
    check_name,
    leading_number,
    non_negative,
    under,
)
from wherry.machinery.view import Verbatim, View

APPS = "io.k8s.api.apps.v1."
RETENTION = ("Delete", "Retain")
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)

defaults.literal(
    APPS + "StatefulSetSpec",
    replicas=1,
    revisionHistoryLimit=10,
    updateStrategy={},
    persistentVolumeClaimRetentionPolicy={},
)
defaults.literal(APPS + "RollingUpdateStatefulSetStrategy", partition=0)
fill_empty(APPS + "StatefulSetSpec", podManagementPolicy="OrderedReady")
fill_empty(APPS + "StatefulSetUpdateStrategy", type="RollingUpdate")
fill_empty(APPS + "StatefulSetPersistentVolumeClaimRetentionPolicy", whenDeleted="Retain", whenScaled="Retain")


@defaults(APPS + "StatefulSetUpdateStrategy")
def _bounds_of_a_rolling_update(strategy: dict[str, Any]) -> None:
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {})


@defaults(APPS + "StatefulSetSpec")
def _claims_say_what_they_are(spec: dict[str, Any]) -> None:
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("status", {}).setdefault("phase", "Pending")


class RollingUpdate(View):
    """Only ordinals from `partition` on are updated, so many at a time that `max_unavailable` are missing at most."""

    partition: int = 0
    max_unavailable: int | str | None = None


class UpdateStrategy(View):
    """RollingUpdate or OnDelete."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class Ordinals(View):
    """The number of the first pod."""

    start: int = 0


class ClaimRetention(View):
    """Whether claims go with their pods (`when_scaled`) and with the whole (`when_deleted`): Retain or Delete."""

    when_deleted: str = "Retain"
    when_scaled: str = "Retain"


class ClaimTemplate(Verbatim):
    """A claim that each pod gets its own copy of."""

    @property
    def name(self) -> str:
        """The name that volume mounts use."""
        return str((self.raw.get("metadata") or {}).get("name", ""))


class StatefulSetSpec(View):
    """How many pods, made how, in which order, with which storage."""

    selector: Selector = NOTHING
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    volume_claim_templates: tuple[ClaimTemplate, ...] = ()
    persistent_volume_claim_retention_policy: ClaimRetention = ClaimRetention()
    ordinals: Ordinals = Ordinals()


class StatefulSetStatus(View):
    """How many pods there are, and of which version."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: Conditions = ()


class StatefulSet(
    Resource, group="apps", version="v1", short=("sts",), categories=("all",), subresources=("scale", "status")
):
    """Pods with names, storage and an order of their own."""

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()

    counts_generations = True
    columns = (
        Column("Ready", lambda sts: f"{sts.status.ready_replicas}/{sts.spec.replicas}"),
        AGE,
        *TEMPLATE_COLUMNS[:2],
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The counts that clients insist on are there from the beginning."""
        draft["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate(self, old: StatefulSet | None) -> Iterator[FieldError]:
        """Every broken rule; who pods are and what they store stays as it was created."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None and _identity(self.spec) != _identity(old.spec):
            yield forbidden("spec", _FIXED)

    def validate_status(self, old: StatefulSet) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        status, over = self.status, "cannot be greater than status.replicas"
        counts = {
            "readyReplicas": status.ready_replicas,
            "currentReplicas": status.current_replicas,
            "updatedReplicas": status.updated_replicas,
            "availableReplicas": status.available_replicas,
        }
        for field, value in {"replicas": status.replicas, **counts}.items():
            yield from non_negative(f"status.{field}", value)
        for field, value in counts.items():
            if value > status.replicas:
                yield invalid(f"status.{field}", value, over)
        if status.available_replicas > status.ready_replicas:
            why = "cannot be greater than status.readyReplicas"
            yield invalid("status.availableReplicas", status.available_replicas, why)
        if (status.collision_count or 0) < (old.status.collision_count or 0):
            yield invalid("status.collisionCount", status.collision_count, "cannot be decremented")


def _identity(spec: StatefulSetSpec) -> tuple[Any, ...]:
    return spec.selector.raw, spec.service_name, spec.pod_management_policy, spec.volume_claim_templates


def _check_spec(spec: StatefulSetSpec) -> Iterator[FieldError]:
    if spec.pod_management_policy not in ("OrderedReady", "Parallel"):
        yield invalid("podManagementPolicy", spec.pod_management_policy, "must be 'OrderedReady' or 'Parallel'")
    yield from under("updateStrategy", _check_strategy(spec.update_strategy))
    retention = spec.persistent_volume_claim_retention_policy
    for field, policy in (("whenDeleted", retention.when_deleted), ("whenScaled", retention.when_scaled)):
        if policy not in RETENTION:
            yield not_supported(f"persistentVolumeClaimRetentionPolicy.{field}", policy, RETENTION)
    yield from non_negative("replicas", spec.replicas)
    yield from non_negative("minReadySeconds", spec.min_ready_seconds)
    yield from non_negative("ordinals.start", spec.ordinals.start)
    if spec.revision_history_limit is not None:
        yield from non_negative("revisionHistoryLimit", spec.revision_history_limit)
    if spec.service_name:
        yield from check_name("serviceName", spec.service_name, names.dns1123_label)
    yield from check_set_selector(spec.selector, "statefulset")
    yield from check_label_match(spec.selector, spec.template)
    # Volumes come from the claims as well: the rest of the template is judged when pods are made of it.
    yield from check_labels("template.labels", spec.template.metadata.labels)
    yield from check_annotations("template.annotations", spec.template.metadata.annotations)
    yield from check_never_ends(spec.template, "StatefulSet")


def _check_strategy(strategy: UpdateStrategy) -> Iterator[FieldError]:
    if strategy.type == "OnDelete":
        if strategy.rolling_update is not None:
            shown = strategy.rolling_update.to_wire()
            yield invalid("rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")
    elif strategy.type != "RollingUpdate":
        yield invalid("", strategy.to_wire(), "must be 'RollingUpdate' or 'OnDelete'")
    elif strategy.rolling_update is None:
        yield required("rollingUpdate", "this should be defaulted and never be nil")
    else:
        yield from under("rollingUpdate", _check_bounds(strategy.rolling_update))


def _check_bounds(bounds: RollingUpdate) -> Iterator[FieldError]:
    yield from non_negative("partition", bounds.partition)
    most = bounds.max_unavailable
    if most is not None:
        yield from check_amount_or_percent("maxUnavailable", most)
        if leading_number(most) == 0:
            yield invalid("maxUnavailable", most, "cannot be 0")
        yield from at_most_all("maxUnavailable", most)
