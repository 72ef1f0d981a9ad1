"""Rules of the smaller kinds: a manifest, and the one fault it has."""

from __future__ import annotations

from base64 import b64encode

import pytest
from judging import created, faults, faults_of_update, thing

RBAC, MIB = "rbac.authorization.k8s.io", 1024 * 1024
RULE = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
ROLE = {"apiGroup": RBAC, "kind": "Role", "name": "r"}
NODE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}}
SLICE = {"addressType": "IPv4", "endpoints": []}


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


FAULTS = [
    (
        thing("ConfigMap", data={"a/b": ""}),
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or "
        "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ),
    (
        thing("ConfigMap", data={"a": ""}, binaryData={"a": ""}),
        'data[a]: Invalid value: "a": duplicate of key present in binaryData',
    ),
    (thing("ConfigMap", data={"a": "x" * (MIB + 1)}), "[]: Too long: may not be more than 1048576 bytes"),
    (thing("Secret", data={"a": b64("x" * (MIB + 1))}), "data: Too long: may not be more than 1048576 bytes"),
    (thing("Secret", type="kubernetes.io/tls", data={"tls.crt": ""}), "data[tls.key]: Required value"),
    (thing("Secret", type="kubernetes.io/ssh-auth"), "data[ssh-privatekey]: Required value"),
    (
        thing("Secret", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": ""}),
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input',
    ),
    (
        thing("Secret", type="kubernetes.io/service-account-token"),
        "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    ),
    (
        thing("Namespace", name="a.b"),
        'metadata.name: Invalid value: "a.b": must not contain dots',
    ),
    (thing("Node", spec={"taints": [{"key": "a"}]}), "metadata.taints[0].effect: Required value"),
    (
        thing("Node", spec={"podCIDR": "10.0.0.0"}),
        'spec.podCIDRs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ),
    (
        thing("Lease", "coordination.k8s.io/v1", spec={"leaseDurationSeconds": -1}),
        "spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0",
    ),
    (
        thing("PriorityClass", "scheduling.k8s.io/v1", value=1_000_000_001),
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    ),
    (
        thing("PriorityClass", "scheduling.k8s.io/v1", name="system-mine", value=1),
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
        "error: system-mine is not a known system priority class",
    ),
    (thing("StorageClass", "storage.k8s.io/v1"), "provisioner: Required value"),
    (
        thing("Role", f"{RBAC}/v1", rules=[{**RULE, "verbs": []}]),
        "rules[0].verbs: Required value: verbs must contain at least one value",
    ),
    (
        thing("Role", f"{RBAC}/v1", rules=[{"verbs": ["get"], "nonResourceURLs": ["/x"]}]),
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ),
    (
        thing("ClusterRoleBinding", f"{RBAC}/v1", roleRef=ROLE),
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ),
    (
        thing("RoleBinding", f"{RBAC}/v1", roleRef=ROLE, subjects=[{"kind": "Robot", "name": "x"}]),
        'subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
    ),
    (
        thing("PersistentVolumeClaim", spec={**CLAIM, "accessModes": []}),
        "spec.accessModes: Required value: at least 1 access mode is required",
    ),
    (thing("PersistentVolumeClaim", spec={**CLAIM, "resources": {}}), "spec.resources[storage]: Required value"),
    (
        thing("PersistentVolume", spec={**VOLUME, "hostPath": None}),
        "spec: Required value: must specify a volume type",
    ),
    (
        thing("PersistentVolume", spec={**VOLUME, "hostPath": None, "local": {"path": "/x"}}),
        "spec.nodeAffinity: Required value: Local volume requires node affinity",
    ),
    (
        thing("PersistentVolume", spec={**VOLUME, "nfs": {"server": "s", "path": "/"}}),
        "spec.nfs: Forbidden: may not specify more than 1 volume type",
    ),
    (
        thing("Endpoints", subsets=[{}]),
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
    ),
    (
        thing("EndpointSlice", "discovery.k8s.io/v1", **SLICE | {"endpoints": [{"addresses": ["::1:2"]}]}),
        'endpoints[0].addresses[0]: Invalid value: "::1:2": must be a valid IPv4 address',
    ),
    (
        thing("EndpointSlice", "discovery.k8s.io/v1", **SLICE | {"endpoints": [{"addresses": ["169.254.1.1"]}]}),
        'endpoints[0].addresses[0]: Invalid value: "169.254.1.1": '
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
    ),
    (
        thing("EndpointSlice", "discovery.k8s.io/v1", **SLICE | {"endpoints": [{"addresses": ["1.2.3.4"]}] * 1001}),
        "endpoints: Too many: 1001: must have at most 1000 items",
    ),
    (
        thing("Event", involvedObject={"namespace": "elsewhere"}),
        'involvedObject.namespace: Invalid value: "elsewhere": does not match event.namespace',
    ),
    (
        thing("PodDisruptionBudget", "policy/v1", spec={"minAvailable": "150%"}),
        'spec.minAvailable: Invalid value: "150%": must not be greater than 100%',
    ),
    (
        thing("TokenRequest", "authentication.k8s.io/v1", spec={"audiences": [], "expirationSeconds": 1}),
        "spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
    ),
    (
        thing("SelfSubjectAccessReview", "authorization.k8s.io/v1", spec={}),
        "spec.resourceAttributes: Invalid value: null: "
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ),
    (thing("Binding", target={"kind": "Node"}), "target.name: Required value"),
    (
        thing("Scale", "autoscaling/v1", spec={"replicas": -1}),
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
]


@pytest.mark.parametrize(("manifest", "fault"), FAULTS, ids=lambda part: part["kind"] if isinstance(part, dict) else "")
def test_an_object_obeys(manifest: dict, fault: str):
    assert faults(manifest) == [fault]


SOUND = [
    thing("ConfigMap", data={"a": "1"}, binaryData={"b": b64("2")}),
    thing("Secret", stringData={"a": "1"}),
    thing("Namespace"),
    thing("Node", spec={"podCIDR": "10.0.0.0/24", "taints": [{"key": "a", "effect": "NoExecute"}]}),
    thing("Lease", "coordination.k8s.io/v1", spec={"holderIdentity": "me", "leaseDurationSeconds": 40}),
    thing("PriorityClass", "scheduling.k8s.io/v1", name="system-node-critical", value=2_000_001_000),
    thing("StorageClass", "storage.k8s.io/v1", provisioner="example.com/disk"),
    thing("ClusterRole", f"{RBAC}/v1", name="system:a", rules=[RULE, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]),
    thing("RoleBinding", f"{RBAC}/v1", roleRef=ROLE, subjects=[{"kind": "User", "name": "x"}]),
    thing("PersistentVolumeClaim", spec=CLAIM),
    thing("PersistentVolume", spec={**VOLUME, "nodeAffinity": {"required": NODE}}),
    thing("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
    thing("EndpointSlice", "discovery.k8s.io/v1", **SLICE, ports=[{"port": 80}]),
    thing("Event", involvedObject={"namespace": "default"}),
    thing("PodDisruptionBudget", "policy/v1", spec={"minAvailable": 1, "selector": {}}),
    thing("Binding", target={"name": "node-1"}),
    thing("ServiceAccount"),
]


@pytest.mark.parametrize("manifest", SOUND, ids=lambda manifest: manifest["kind"])
def test_a_sound_object_breaks_no_rule(manifest: dict):
    assert faults(manifest) == []


UPDATES = [
    (
        thing("ConfigMap", immutable=True, data={"a": "1"}),
        thing("ConfigMap", data={"a": "2"}),
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    ),
    (
        thing("Secret", type="a"),
        thing("Secret", type="b"),
        ['type: Invalid value: "b": field is immutable'],
    ),
    (
        thing("RoleBinding", f"{RBAC}/v1", roleRef=ROLE),
        thing("RoleBinding", f"{RBAC}/v1", roleRef={**ROLE, "name": "s"}),
        [f'roleRef: Invalid value: {{"apiGroup":"{RBAC}","kind":"Role","name":"s"}}: cannot change roleRef'],
    ),
    (
        thing("PriorityClass", "scheduling.k8s.io/v1", value=1),
        thing("PriorityClass", "scheduling.k8s.io/v1", value=2),
        ["value: Forbidden: may not be changed in an update."],
    ),
    (
        thing("Node", spec={"podCIDR": "10.0.0.0/24"}),
        thing("Node", spec={"podCIDR": "10.0.1.0/24"}),
        ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
    ),
    (
        thing("PersistentVolume", spec=VOLUME),
        thing("PersistentVolume", spec={**VOLUME, "hostPath": {"path": "/other"}}),
        ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"],
    ),
    (
        thing("PersistentVolumeClaim", spec=CLAIM),
        thing("PersistentVolumeClaim", spec={**CLAIM, "accessModes": ["ReadWriteMany"]}),
        [
            "spec: Forbidden: spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims"
        ],
    ),
    (
        thing("PersistentVolumeClaim", spec=CLAIM),
        thing("PersistentVolumeClaim", spec={**CLAIM, "volumeName": "pv-1"}),
        [],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), UPDATES)
def test_what_is_for_life_stays(before: dict, after: dict, expected: list[str]):
    assert faults_of_update(before, after) == expected


def test_string_data_becomes_data_and_is_never_shown():
    stored = created(thing("Secret", data={"a": b64("old"), "b": b64("kept")}, stringData={"a": "new"}))

    assert stored["data"] == {"a": b64("new"), "b": b64("kept")}
    assert "stringData" not in stored


def test_a_namespace_is_labelled_with_its_name_and_held_until_it_is_empty():
    stored = created(thing("Namespace", name="shop"))

    assert stored["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert (stored["spec"], stored["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
