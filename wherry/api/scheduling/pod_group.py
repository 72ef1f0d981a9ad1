"""PodGroup: pods that are scheduled together. Pods name it in `spec.schedulingGroup`. Behaviour: scheduler/gangs/.

Differs: the columns are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.meta import Conditions, find_condition
from wherry.api.scheduling.group_policy import GROUP, GroupRules, check_change, check_rules
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import required_name, unchanged, under
from wherry.machinery.view import View

SCHEDULED = "PodGroupInitiallyScheduled"


class WorkloadReference(View):
    """The template that the group was made from."""

    workload_name: str = ""
    template_name: str = ""


class PodGroupSpec(GroupRules):
    """How the pods of the group are scheduled."""

    workload_ref: WorkloadReference | None = None
    parent_composite_pod_group_name: str | None = None


class PodGroupStatus(View):
    """Whether enough of its pods have had a node at the same time; once true, for ever."""

    conditions: Conditions = ()


def _policy(group: PodGroup) -> str:
    return f"gang of {group.spec.min_count}" if group.spec.min_count else "basic"


def _status(group: PodGroup) -> str:
    condition = find_condition(group.status.conditions, SCHEDULED)
    return condition.reason if condition else "Pending"


class PodGroup(Resource, group=GROUP, version="v1beta1", subresources=("status",)):
    """Pods that are scheduled together."""

    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus = PodGroupStatus()

    counts_generations = True
    columns = (
        Column("Policy", _policy),
        Column("Status", _status),
        Column("Workload", lambda group: group.spec.workload_ref.workload_name if group.spec.workload_ref else ""),
        AGE,
    )

    def validate(self, old: PodGroup | None) -> Iterator[FieldError]:
        """Every broken rule of a group."""
        return under("spec", _check(self.spec, old.spec if old else None))


def _check(spec: PodGroupSpec, before: PodGroupSpec | None) -> Iterator[FieldError]:
    yield from check_rules(spec)
    if spec.workload_ref is not None:
        reference = spec.workload_ref
        yield from required_name("workloadRef.workloadName", reference.workload_name, names.dns1123_subdomain)
        yield from required_name("workloadRef.templateName", reference.template_name, names.dns1123_label)
    if spec.parent_composite_pod_group_name is not None:
        yield forbidden("parentCompositePodGroupName", "groups of groups are not served here")
    if before is not None:
        yield from check_change(spec, before)
        yield from unchanged("workloadRef", spec.workload_ref, before.workload_ref)
