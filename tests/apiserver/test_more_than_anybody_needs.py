"""Little text that would be much work: it is refused, before the work is done."""

import pytest

from tests.apiserver.custom_kinds import DEFINITIONS, WIDGETS, a_definition, a_version, declared
from tests.apiserver.kind_samples import RULE, WEBHOOK
from tests.apiserver.local_api import CORE

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
COLUMN = {"name": "x", "type": "string", "jsonPath": ".spec"}
LIST_OF_DEFAULTS = {
    "type": "array",
    "items": {"type": "object", "properties": {f"f{i}": {"type": "string", "default": "x"} for i in range(1000)}},
}
EXPRESSION = {"expression": "true"}


def a_schema(**words):
    return {"openAPIV3Schema": {"type": "object", **words}}


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ({"additionalPrinterColumns": [COLUMN] * 257}, "additionalPrinterColumns: Too many: 257"),
        ({"additionalPrinterColumns": [{**COLUMN, "jsonPath": ".a" * 513}]}, "is longer than 1024 characters"),
        ({"selectableFields": [{"jsonPath": ".a" * 513}]}, "is longer than 1024 characters"),
        ({"schema": a_schema(**{"x-kubernetes-validations": [{"rule": "true"}] * 1001})}, "must have at most 1000"),
        (
            {"schema": a_schema(properties={"l": {**LIST_OF_DEFAULTS, "default": [{}] * 1000}})},
            "default: Forbidden: its defaults are longer than",
        ),
    ],
)
async def test_a_version_of_a_kind_that_is_too_much_work_is_refused(api, version, complaint):
    refused = await api.post(DEFINITIONS, a_definition(versions=[a_version() | version]))

    assert refused.status == 422
    assert complaint in refused.json["message"]


async def test_a_kind_has_so_many_versions_at_most(api):
    versions = [a_version(f"v{number}", storage=not number) for number in range(101)]

    refused = await api.post(DEFINITIONS, a_definition(versions=versions))

    assert "spec.versions: Too many: 101" in refused.json["message"]


async def test_an_object_does_not_grow_without_end_by_its_defaults(api):
    version = a_version(schema=a_schema(properties={"l": LIST_OF_DEFAULTS}), selectableFields=[])
    await declared(api, a_definition(versions=[version]))

    refused = await api.post(WIDGETS, {"metadata": {"name": "w"}, "l": [{}] * 1000})

    assert (refused.status, "its defaults are longer than" in refused.json["message"]) == (400, True)


@pytest.mark.parametrize("field", ["validations", "variables"])
async def test_a_policy_has_so_many_expressions_at_most(api, field):
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [EXPRESSION]}

    refused = await api.post(
        f"{ADMISSION}/validatingadmissionpolicies",
        {"metadata": {"name": "p"}, "spec": {**spec, field: [EXPRESSION] * 501}},
    )

    assert f"spec.{field}: Too many: 501" in refused.json["message"]


async def test_webhooks_have_so_many_conditions_at_most(api):
    conditions = [{"name": f"c{number}", **EXPRESSION} for number in range(60)]
    hooks = [{**WEBHOOK, "name": f"h{number}.example.com", "matchConditions": conditions} for number in range(9)]

    refused = await api.post(
        f"{ADMISSION}/validatingwebhookconfigurations", {"metadata": {"name": "h"}, "webhooks": hooks}
    )

    assert "must have at most 500 matchConditions in all, but has 540" in refused.json["message"]


async def test_mistakes_are_told_until_it_is_enough(api):
    scopes = [f"unknown-{number}" for number in range(2000)]

    refused = await api.post(f"{CORE}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"scopes": scopes}})

    assert refused.status == 422
    assert 1 < len(refused.json["details"]["causes"]) < 100  # each shows all of them
