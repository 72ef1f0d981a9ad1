"""ValidatingAdmissionPolicyBinding: where a policy holds, and what happens where it is broken."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.matching import GROUP, supported
from wherry.api.admission.policies import BINDING_COLUMNS, BindingSpec, check_binding
from wherry.machinery.field_errors import FieldError, duplicate, invalid, required
from wherry.machinery.resource import Resource
from wherry.machinery.validation import repeats, under

ACTIONS = ("Audit", "Deny", "Warn")
_TWICE = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)


class ValidatingAdmissionPolicyBindingSpec(BindingSpec):
    """Where a policy holds, and what happens where it is broken."""

    validation_actions: tuple[str, ...] = ()


class ValidatingAdmissionPolicyBinding(
    Resource, group=GROUP, version="v1", scope="Cluster", categories=("api-extensions",)
):
    """Where a policy holds."""

    spec: ValidatingAdmissionPolicyBindingSpec = ValidatingAdmissionPolicyBindingSpec()

    counts_generations = True
    unconditional_update = False
    columns = BINDING_COLUMNS

    def validate(self, old: ValidatingAdmissionPolicyBinding | None) -> Iterator[FieldError]:
        """Every broken rule of a binding."""
        yield from under("spec", check_binding(self.spec))
        yield from under("spec.validationActions", _check_actions(self.spec.validation_actions))


def _check_actions(actions: tuple[str, ...]) -> Iterator[FieldError]:
    for index, is_repeated in enumerate(repeats(actions)):
        yield from supported(f"[{index}]", actions[index], ACTIONS)
        if is_repeated:
            yield duplicate(f"[{index}]", actions[index])
    if {"Deny", "Warn"} <= set(actions):
        yield invalid("", actions, _TWICE)
    if not actions:
        yield required("", "at least one validation action is required")
