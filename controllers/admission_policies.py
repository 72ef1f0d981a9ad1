"""Say of each validating policy which of its expressions cannot be right.

Kubernetes: the validatingadmissionpolicy-status controller.
"""

from __future__ import annotations

from wherry.api.admission.type_checking import warnings_of
from wherry.api.admission.validating_admission_policy import TypeChecking, ValidatingAdmissionPolicy
from wherry.client.controller import controller
from wherry.client.plan import Plan, SetStatus
from wherry.client.world import World


@controller(ValidatingAdmissionPolicy)
def plan(policy: ValidatingAdmissionPolicy, world: World) -> Plan:
    """Look at each generation once."""
    generation = policy.metadata.generation
    if policy.metadata.deleted_at is not None or policy.status.observed_generation == generation:
        return
    checked = TypeChecking(expression_warnings=warnings_of(policy.spec))
    yield SetStatus(policy.with_status(observed_generation=generation, type_checking=checked))
