"""One sound object of each kind that has no story of its own, and a status that somebody could report."""

from __future__ import annotations

from typing import Any, NamedTuple

ADMISSION = "admissionregistration.k8s.io/v1"
CONDITION = {
    "type": "Odd",
    "status": "True",
    "reason": "Told",
    "message": "by hand",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
CONDITIONS = {"conditions": [CONDITION]}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
WEBHOOK = {
    "name": "pods.example.com",
    "clientConfig": {"service": {"namespace": "default", "name": "judge", "path": "/pods"}},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
MATCH = {"matchConstraints": {"resourceRules": [RULE]}}
PARAMS = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}


class Sample(NamedTuple):
    """What an object needs besides its name, what its row shows after the name, and a status."""

    fields: dict[str, Any]
    cells: list[Any]
    status: dict[str, Any] = {}
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


EXTENSIONS = ("api-extensions",)

SAMPLES: dict[str, Sample] = {
    f"{ADMISSION} ValidatingWebhookConfiguration": Sample({"webhooks": [WEBHOOK]}, [1, "0s"], categories=EXTENSIONS),
    f"{ADMISSION} MutatingWebhookConfiguration": Sample({"webhooks": [WEBHOOK]}, [1, "0s"], categories=EXTENSIONS),
    f"{ADMISSION} ValidatingAdmissionPolicy": Sample(
        {"spec": {**MATCH, "validations": [{"expression": "object.metadata.name != 'x'"}]}},
        [1, "<unset>", "0s"],
        {**CONDITIONS, "observedGeneration": 1},
        categories=EXTENSIONS,
    ),
    f"{ADMISSION} ValidatingAdmissionPolicyBinding": Sample(
        {"spec": {"policyName": "p", "paramRef": PARAMS, "validationActions": ["Deny"]}},
        ["p", "default/limits", "0s"],
        categories=EXTENSIONS,
    ),
    f"{ADMISSION} MutatingAdmissionPolicy": Sample(
        {
            "spec": {
                **MATCH,
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
            }
        },
        [1, "v1/ConfigMap", "0s"],
        categories=EXTENSIONS,
    ),
    f"{ADMISSION} MutatingAdmissionPolicyBinding": Sample(
        {"spec": {"policyName": "p"}}, ["p", "<unset>", "0s"], categories=EXTENSIONS
    ),
}
