"""What an older server stored may be more than is accepted today: it is served, and the rest of it can be changed."""

import orjson
import pytest

from apiserver.storage import open_store
from tests.apiserver.custom_kinds import DEFINITIONS, WIDGETS, a_definition, a_version, told
from tests.apiserver.kind_samples import RULE, WEBHOOK
from tests.apiserver.local_api import running_api
from tests.apiserver.test_more_than_anybody_needs import ADMISSION, COLUMN, EXPRESSION, LIST_OF_DEFAULTS, a_schema

RULES = "x-kubernetes-validations"
LONG = ".spec" + ".a" * 510
WIDGET = f"{DEFINITIONS}/widgets.example.com"
HEAD = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "p", "uid": "1"}}
CONDITIONS = [{"name": f"c{number}", **EXPRESSION} for number in range(60)]


def with_versions(count):
    return [a_version(f"v{number + 1}", storage=not number, selectableFields=[]) for number in range(count)]


def with_rules(count, **more):
    rules = [{"rule": f"self.size != {number}"} for number in range(count)]
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, **more}, RULES: rules}
    return [a_version(schema=a_schema(properties={"spec": spec}), selectableFields=[])]


def with_path(path):
    return [a_version(additionalPrinterColumns=[{**COLUMN, "jsonPath": path}])]


def with_columns(count):
    return [a_version(additionalPrinterColumns=[COLUMN] * count)]


def with_defaults(**more):
    schema = a_schema(properties={"l": {**LIST_OF_DEFAULTS, "default": [{}] * 1000}, **more})
    return [a_version(schema=schema, selectableFields=[])]


def a_policy(count):
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "failurePolicy": "Fail", "validations": [EXPRESSION] * count}
    return {**HEAD, "kind": "ValidatingAdmissionPolicy", "spec": spec}


def a_configuration(count):
    hooks = [{**WEBHOOK, "name": f"h{number}.example.com", "matchConditions": CONDITIONS} for number in range(count)]
    return {**HEAD, "kind": "ValidatingWebhookConfiguration", "webhooks": hooks}


async def stored(key, manifest):
    store = await open_store("memory")
    ordered = {"kind": manifest["kind"], "apiVersion": manifest["apiVersion"], **manifest}
    await store.put(f"/registry/{key}", orjson.dumps(ordered), expected=0)
    return running_api(store)


async def a_stored_definition(versions):
    definition = a_definition(versions=versions)
    definition["metadata"]["uid"] = "1"
    names = {**definition["spec"]["names"], "singular": "widget", "listKind": "WidgetList"}
    definition["spec"] |= {"names": names, "conversion": {"strategy": "None"}}
    definition["status"] = {"storedVersions": ["v1"], "conditions": [], "acceptedNames": {}}
    return await stored("apiextensions.k8s.io/customresourcedefinitions/widgets.example.com", definition)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (with_versions(101), with_versions(102), "spec.versions: Too many: 102"),
        (with_columns(257), with_columns(258), "additionalPrinterColumns: Too many: 258"),
        (with_path(LONG), with_path(LONG + ".b"), "is longer than 1024 characters"),
    ],
    ids=["versions", "columns", "path"],
)
async def test_a_kind_with_more_than_is_accepted_today_lives_on(before, after, complaint):
    async with await a_stored_definition(before) as api:
        await told(api, "widgets.example.com")
        served = await api.get(WIDGETS)
        labelled = await api.patch(WIDGET, {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/f"]}})
        shorter = await api.patch(WIDGET, {"spec": {"names": {"shortNames": ["wdg"]}}})
        refused = await api.patch(WIDGET, {"spec": {"versions": after}})

    assert (served.status, labelled.status, shorter.status) == (200, 200, 200)
    assert (refused.status, complaint in refused.json["message"]) == (422, True)


@pytest.mark.parametrize(
    ("before", "another", "complaint"),
    [
        (with_rules(1001), with_rules(1001, more={"type": "string"}), ""),
        (with_rules(1001), with_rules(2100), "must have at most 1000 rules"),
        (with_defaults(), with_defaults(more={"type": "string"}), ""),
        (with_versions(1), with_defaults(), "its defaults are longer than"),
    ],
    ids=["rules", "more rules", "defaults", "more defaults"],
)
async def test_a_schema_with_more_than_is_accepted_today_changes_elsewhere(before, another, complaint):
    async with await a_stored_definition(before) as api:
        status = await api.patch(f"{WIDGET}/status", {"status": {"acceptedNames": {"plural": "x"}}})
        changed = await api.patch(WIDGET, {"spec": {"versions": another}})

    assert (status.status, changed.status) == (200, 422 if complaint else 200)
    assert complaint in changed.json.get("message", "")


@pytest.mark.parametrize(
    ("resource", "manifest"),
    [("validatingadmissionpolicies", a_policy), ("validatingwebhookconfigurations", a_configuration)],
)
async def test_a_configuration_with_more_expressions_than_are_accepted_today_lives_on(resource, manifest):
    count = 501 if resource.endswith("policies") else 9
    url = f"{ADMISSION}/{resource}/p"
    async with await stored(f"{resource}/p", manifest(count)) as api:
        labelled = await api.patch(url, {"metadata": {"labels": {"a": "b"}}})
        refused = await api.patch(url, {**manifest(count + 1), "metadata": {}})

    assert (labelled.status, refused.status) == (200, 422), labelled.body
