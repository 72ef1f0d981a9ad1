"""Rules of devices, claims on them, flow schemas, priority levels and API services: an object, and its one fault."""

from __future__ import annotations

from typing import Any

import pytest
from judging import created, faults, faults_of_update, row, thing

from wherry.api.flowcontrol.mandatory import flow_control_objects

Manifest = dict[str, Any]
V1, FLOW, REGISTRY = "resource.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1", "apiregistration.k8s.io/v1"
EXACTLY = {"deviceClassName": "gpu.example"}
SUBJECT = {"kind": "User", "user": {"name": "anna"}}
PATHS = {"verbs": ["get"], "nonResourceURLs": ["/version"]}
SPEC = {"group": "a.example", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}


def claim(*requests: Manifest, **devices: Any) -> Manifest:
    """A claim with these requests."""
    wanted = list(requests) or [{"name": "gpu", "exactly": EXACTLY}]
    return thing("ResourceClaim", V1, spec={"devices": {"requests": wanted, **devices}})


def exactly(**change: Any) -> Manifest:
    """A claim with one request, changed."""
    return claim({"name": "gpu", "exactly": {**EXACTLY, **change}})


def slice_of(*devices: Manifest, **spec: Any) -> Manifest:
    """A slice with these devices."""
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "gpu.example", "pool": pool, "devices": list(devices), "nodeName": "n1", **spec}
    return thing("ResourceSlice", V1, spec={key: value for key, value in spec.items() if value is not None})


def schema(name: str = "mine", **spec: Any) -> Manifest:
    """A flow schema with these fields of the spec."""
    rules = [{"subjects": [SUBJECT], "nonResourceRules": [PATHS]}]
    spec = {"priorityLevelConfiguration": {"name": "workload-low"}, "rules": rules, **spec}
    return thing("FlowSchema", FLOW, name, spec=spec)


def level(**limited: Any) -> Manifest:
    """A priority level that limits."""
    limited = {"limitResponse": {"type": "Reject"}, **limited}
    return thing("PriorityLevelConfiguration", FLOW, spec={"type": "Limited", "limited": limited})


def service(name: str = "v1.a.example", **spec: Any) -> Manifest:
    """An APIService of a group."""
    return thing("APIService", REGISTRY, name, spec={**SPEC, **spec})


FAULTS = [
    (
        claim({"name": "gpu"}),
        "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
    ),
    (exactly(deviceClassName=""), "spec.devices.requests[0].exactly.deviceClassName: Required value"),
    (
        exactly(allocationMode="All", count=2),
        "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
    ),
    (exactly(count=-1), "spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"),
    (
        claim({"name": "gpu", "exactly": EXACTLY}, {"name": "gpu", "exactly": EXACTLY}),
        'spec.devices.requests[1].name: Duplicate value: "gpu"',
    ),
    (
        claim(constraints=[{"requests": ["tpu"], "matchAttribute": "a.example/model"}]),
        'spec.devices.constraints[0].requests[0]: Invalid value: "tpu": must be the name of a request in the claim or '
        "the name of a request and a subrequest separated by '/'",
    ),
    (claim(config=[{}]), "spec.devices.config[0].opaque: Required value"),
    (thing("DeviceClass", V1, spec={"selectors": [{}]}), "spec.selectors[0].cel: Required value"),
    (
        slice_of(nodeName=None),
        "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is "
        "required",
    ),
    (slice_of({"name": "a"}, {"name": "a"}), 'spec.devices[1].name: Duplicate value: "a"'),
    (
        slice_of({"name": "a"}, sharedCounters=[{"name": "card", "counters": {"memory": {"value": "1"}}}]),
        'spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed',
    ),
    (slice_of(sharedCounters=[{"name": "card"}]), "spec.sharedCounters[0].counters: Required value"),
    (
        slice_of({"name": "a", "consumesCounters": [{"counterSet": "A", "counters": {"b": {"value": "1"}}}]}),
        'spec.devices[0].consumesCounters[0].counterSet: Invalid value: "A": a lowercase RFC 1123 label must consist '
        "of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. "
        "'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        slice_of(*({"name": f"d{n}", "taints": [{"key": "k", "effect": "None"}]} for n in range(65))),
        "spec.devices: Too many: 65: must have at most 64 items",
    ),
    (
        schema(matchingPrecedence=1),
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
    ),
    (
        schema(matchingPrecedence=10001),
        "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
    ),
    (
        schema(rules=[{"subjects": [{"kind": "User"}], "nonResourceRules": [PATHS]}]),
        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
    ),
    (
        schema(rules=[{"subjects": [SUBJECT]}]),
        "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
    ),
    (
        schema(rules=[{"subjects": [SUBJECT], "nonResourceRules": [{**PATHS, "nonResourceURLs": ["/a*"]}]}]),
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a*": wildcard can only do '
        "suffix matching",
    ),
    (
        level(limitResponse={"type": "Queue"}),
        "spec.limited.limitResponse.queuing: Required value: must not be empty if "
        "limited.limitResponse.type is Limited",
    ),
    (
        level(limitResponse={"type": "Queue", "queuing": {"queues": 64, "handSize": 32}}),
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 32: required entropy bits of deckSize 64 and "
        "handSize 32 should not be greater than 60",
    ),
    (
        service("v2.a.example"),
        'metadata.name: Invalid value: "v2.a.example": must be `spec.version+"."+spec.group`: "v1.a.example"',
    ),
    (
        service(insecureSkipTLSVerify=True, caBundle="YQ==", service={"namespace": "n", "name": "s"}),
        "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
    ),
    (
        service(versionPriority=1001),
        "spec.versionPriority: Invalid value: 1001: must be between 1 and 1000, inclusive",
    ),
]


@pytest.mark.parametrize(("manifest", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_broken_rule_is_named(manifest: Manifest, fault: str):
    assert faults(manifest) == [fault]


def test_a_claim_is_for_life():
    assert faults_of_update(claim(), claim()) == []
    [fault] = faults_of_update(claim(), exactly(count=2))
    assert fault.startswith("spec: Invalid value:")
    assert fault.endswith("field is immutable")


def test_one_device_is_wanted_unless_something_is_said():
    [request] = created(claim())["spec"]["devices"]["requests"]

    assert request["exactly"] == {**EXACTLY, "allocationMode": "ExactCount", "count": 1}


def test_a_claim_shows_how_far_it_is():
    given = {"allocation": {}, "reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]}

    assert row(claim())["State"] == "pending"
    assert row({**claim(), "status": given})["State"] == "allocated,reserved"


@pytest.mark.parametrize("manifest", flow_control_objects(), ids=lambda each: each["metadata"]["name"])
def test_what_every_cluster_begins_with_keeps_the_rules(manifest: Manifest):
    assert faults(manifest) == []


def test_what_is_mandatory_is_fixed():
    [catch_all] = [each for each in flow_control_objects() if each["metadata"]["name"] == "catch-all"][1:]
    changed = {**catch_all, "spec": {**catch_all["spec"], "matchingPrecedence": 9999}}

    [fault] = faults(changed)
    assert fault.endswith("spec of 'catch-all' must equal the fixed value")
