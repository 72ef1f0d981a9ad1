"""Rules of webhook configurations and admission policies: an object, and the one fault it has."""

from __future__ import annotations

from typing import Any

import pytest
from judging import faults, faults_of_update, thing

V1 = "admissionregistration.k8s.io/v1"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
SERVICE = {"namespace": "default", "name": "judge"}
HOOK = {
    "name": "pods.example.com",
    "clientConfig": {"service": SERVICE},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
MATCH = {"resourceRules": [RULE]}
FORM = "; desired format: https://host[/path]"
Manifest = dict[str, Any]


def hooks(**change: Any) -> Manifest:
    """A configuration with one webhook, changed."""
    return thing("ValidatingWebhookConfiguration", V1, webhooks=[{**HOOK, **change}])


def policy(**spec: Any) -> Manifest:
    """A policy with these fields of the spec."""
    spec = {"matchConstraints": MATCH, "validations": [{"expression": "true"}], **spec}
    return thing("ValidatingAdmissionPolicy", V1, spec=spec)


def binding(**spec: Any) -> Manifest:
    """A binding with these fields of the spec."""
    return thing(
        "ValidatingAdmissionPolicyBinding", V1, spec={"policyName": "p", "validationActions": ["Deny"], **spec}
    )


def mutating(**spec: Any) -> Manifest:
    """A mutating policy with these fields of the spec."""
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
    spec = {"matchConstraints": MATCH, "mutations": [mutation], "reinvocationPolicy": "Never", **spec}
    return thing("MutatingAdmissionPolicy", V1, spec=spec)


FAULTS = [
    (hooks(name=""), "webhooks[0].name: Required value"),
    (
        hooks(name="pods.example"),
        'webhooks[0].name: Invalid value: "pods.example": should be a domain with at least three segments separated by '
        "dots",
    ),
    (hooks(clientConfig={}), "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
    (
        hooks(clientConfig={"url": "http://x.example"}),
        f"webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{FORM}",
    ),
    (
        hooks(clientConfig={"url": "https://x.example?a=b"}),
        'webhooks[0].clientConfig.url: Invalid value: "a=b": query parameters are not permitted in the URL',
    ),
    (
        hooks(clientConfig={"service": {**SERVICE, "path": "pods"}}),
        "webhooks[0].clientConfig.service.path: Invalid value: \"pods\": must start with a '/'",
    ),
    (
        hooks(clientConfig={"service": {**SERVICE, "port": 0}}),
        "webhooks[0].clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, "
        "inclusive",
    ),
    (hooks(sideEffects=None), "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
    (
        hooks(sideEffects="Some"),
        'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
    ),
    (
        hooks(timeoutSeconds=31),
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
    ),
    (
        hooks(admissionReviewVersions=["v2"]),
        'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
    ),
    (
        hooks(rules=[{**RULE, "resources": ["*", "pods"]}]),
        'webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other '
        "resources without subresources",
    ),
    (
        hooks(rules=[{**RULE, "resources": ["pods/*", "pods/log"]}]),
        "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify "
        "pods/log",
    ),
    (
        hooks(rules=[{**RULE, "operations": ["PATCH"]}]),
        'webhooks[0].rules[0].operations[0]: Unsupported value: "PATCH": supported values: "*", "CONNECT", "CREATE", '
        '"DELETE", "UPDATE"',
    ),
    (
        hooks(matchConditions=[{"name": "a", "expression": " "}]),
        "webhooks[0].matchConditions[0].expression: Required value",
    ),
    (
        thing("ValidatingWebhookConfiguration", V1, webhooks=[HOOK, HOOK]),
        'webhooks[1].name: Duplicate value: "pods.example.com"',
    ),
    (
        thing("MutatingWebhookConfiguration", V1, webhooks=[{**HOOK, "reinvocationPolicy": "Always"}]),
        'webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
    ),
    (policy(matchConstraints={}), "spec.matchConstraints.resourceRules: Required value"),
    (policy(paramKind={"apiVersion": "v1"}), "spec.paramKind.kind: Required value"),
    (
        policy(variables=[{"name": "if", "expression": "1"}]),
        'spec.variables[0].name: Invalid value: "if": name is not a valid CEL identifier',
    ),
    (
        policy(validations=[{"expression": "true", "message": "a\nb"}]),
        'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
    ),
    (
        policy(auditAnnotations=[{"key": "a", "valueExpression": ""}]),
        "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified",
    ),
    (
        binding(validationActions=[]),
        "spec.validationActions: Required value: at least one validation action is required",
    ),
    (
        binding(paramRef={"parameterNotFoundAction": "Deny"}),
        "spec.paramRef: Required value: one of name or selector must be specified",
    ),
    (
        binding(paramRef={"name": "x"}),
        "spec.paramRef.parameterNotFoundAction: Required value",
    ),
    (mutating(mutations=[]), "spec.mutations: Required value: mutations must contain at least one item"),
    (
        mutating(mutations=[{"patchType": "JSONPatch"}]),
        "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
    ),
]


@pytest.mark.parametrize(("manifest", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_broken_rule_is_named(manifest: Manifest, fault: str):
    assert faults(manifest) == [fault]


def test_what_was_stored_without_a_rule_is_not_held_to_it():
    before, after = hooks(sideEffects="Some"), hooks(sideEffects="Some", timeoutSeconds=5)

    assert faults_of_update(before, after) == []
    assert len(faults(after)) == 1
