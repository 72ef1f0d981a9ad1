"""A policy's expressions are looked at once a generation, and what cannot be right is said in its status."""

from typing import Any

import pytest

from controllers.admission_policies import plan
from wherry.api import kinds
from wherry.api.admission.validating_admission_policy import ValidatingAdmissionPolicy
from wherry.client.world import World


def a_policy(*expressions: str, observed: int = 0) -> ValidatingAdmissionPolicy:
    rule = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    spec: dict[str, Any] = {"matchConstraints": {"resourceRules": [rule]}}
    spec["validations"] = [{"expression": each} for each in expressions]
    metadata = {"name": "p", "generation": 1}
    return ValidatingAdmissionPolicy.read(
        {"metadata": metadata, "spec": spec, "status": {"observedGeneration": observed}}
    )


def warnings(*expressions: str) -> list[tuple[str, str]]:
    kinds.load()
    policy = a_policy(*expressions)
    [action] = plan(policy, World(policy))
    found = action.obj.status.type_checking.expression_warnings
    return [(each.field_ref, each.warning) for each in found]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("object.spec.replicas > '1'", "found no matching overload for '_>_' applied to '(int, string)'"),
        ("object.spec.replica > 1", "undefined field 'replica'"),
        ("oldObject.metadata.name == true", "found no matching overload for '_==_' applied to '(string, bool)'"),
    ],
)
def test_what_cannot_be_right_is_said(expression: str, problem: str):
    said = f"apps/v1, Kind=Deployment: ERROR: <input>: {problem}\n | {expression}"

    assert warnings("object.spec.replicas > 1", expression) == [("spec.validations[1].expression", said)]


@pytest.mark.parametrize(
    "expression",
    [
        "object.metadata.labels.app == 'x'",
        "object.spec.strategy.rollingUpdate.maxSurge == 1",
        "object.spec.template.spec.containers.all(c, c.image.startsWith('r/') && c.none > 1)",
        "params.x > '1' && request.userInfo.username == 'a'",
    ],
)
def test_what_may_be_right_is_left_alone(expression: str):
    assert warnings(expression) == []


def test_a_generation_is_looked_at_once():
    policy = a_policy("object.x", observed=1)

    assert list(plan(policy, World(policy))) == []
