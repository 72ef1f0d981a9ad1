"""Every kind that is stored answers to every verb, one kind after the other."""

import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from live_api import PATCHES, Api, refusal

Object = dict[str, Any]
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none"}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
APP = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE}
NOWHERE = TEMPLATE | {"spec": TEMPLATE["spec"] | {"nodeSelector": {"never": "there"}}}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
RULES = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
NEVER = {"spec": {"nodeSelector": {"never": "there"}, "containers": [{"name": "c", "image": "none"}]}}
NOW = "2030-01-01T00:00:00.000000Z"


def a_request_for_a_certificate() -> Object:
    """One that the cluster's own signers leave alone."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    encoded = b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    return {"request": encoded, "signerName": "example.com/signer", "usages": ["client auth"]}


# What each kind needs besides its name; `{namespace}` is filled in.
KINDS: dict[str, Object] = {
    "v1 ConfigMap": {"data": {"a": "b"}},
    "v1 Secret": {"stringData": {"a": "b"}},
    "v1 ServiceAccount": {},
    "v1 Namespace": {},
    "v1 Node": {},
    "v1 Pod": NEVER,
    "v1 Service": {"spec": {"ports": [{"port": 80}]}},
    "v1 Endpoints": {"subsets": [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 80}]}]},
    "v1 Event": {"involvedObject": {"kind": "Pod", "namespace": "{namespace}", "name": "x"}, "reason": "Told"},
    "v1 PersistentVolume": {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/tmp/x"},
            "storageClassName": "unused",
        }
    },
    "v1 PersistentVolumeClaim": {"spec": CLAIM},
    "v1 ResourceQuota": {"spec": {"hard": {"secrets": "99", "requests.nvidia.com/gpu": "4"}}},
    "v1 LimitRange": {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "64"}}]}},
    "certificates.k8s.io/v1 CertificateSigningRequest": {"spec": a_request_for_a_certificate()},
    "apps/v1 Deployment": {"spec": APP},
    "apps/v1 ReplicaSet": {"spec": APP},
    "apps/v1 StatefulSet": {"spec": APP},
    "apps/v1 DaemonSet": {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": NOWHERE}},
    "v1 ReplicationController": {"spec": {"replicas": 0, "template": TEMPLATE}},
    "apps/v1 ControllerRevision": {"revision": 3, "data": {"a": "b"}},
    "coordination.k8s.io/v1 Lease": {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 30}},
    "discovery.k8s.io/v1 EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.9.9.9"]}]},
    "events.k8s.io/v1 Event": {
        "regarding": {"kind": "Pod", "namespace": "{namespace}", "name": "x"},
        "reason": "Told",
        "action": "Tell",
        "type": "Normal",
        "reportingController": "me.example/x",
        "reportingInstance": "x",
        "eventTime": NOW,
    },
    "policy/v1 PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}},
    "rbac.authorization.k8s.io/v1 Role": RULES,
    "rbac.authorization.k8s.io/v1 ClusterRole": RULES,
    "rbac.authorization.k8s.io/v1 RoleBinding": {"roleRef": ROLE},
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding": {"roleRef": ROLE},
    "scheduling.k8s.io/v1 PriorityClass": {"value": -1000},
    "storage.k8s.io/v1 StorageClass": {"provisioner": "none.example/x"},
}
VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}


class Kind:
    """One kind in one namespace, with a label that only this test uses."""

    def __init__(self, api: Api, kind: str, namespace: str) -> None:
        self.api, self.kind, self.namespace = api, kind, namespace
        self.tag = f"t{uuid.uuid4().hex[:8]}"
        self.place = api.path(kind, namespace)
        self.label = f"conf={self.tag}"

    @property
    def has_collections(self) -> bool:
        """Namespaces are deleted one by one."""
        return self.kind != "v1 Namespace"

    def an_object(self, name: str) -> Object:
        version, kind = self.kind.split()
        metadata = {"name": f"{self.tag}-{name}", "labels": {"conf": self.tag}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **filled(KINDS[self.kind], self.namespace)}

    def create(self, name: str) -> Object:
        return self.api.call("POST", self.place, self.an_object(name))

    def one(self, name: str) -> str:
        return f"{self.place}/{self.tag}-{name}"

    def names(self, path: str = "", **query: Any) -> list[str]:
        found = self.api.call("GET", path or self.place, **{"labelSelector": self.label} | query)["items"]
        return [obj["metadata"]["name"].removeprefix(f"{self.tag}-") for obj in found]

    def living(self) -> list[str]:
        """Those that are not on their way out."""
        found = self.api.call("GET", self.place, labelSelector=self.label)["items"]
        return [obj["metadata"]["name"] for obj in found if "deletionTimestamp" not in obj["metadata"]]


def filled(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(inner, namespace) for key, inner in value.items()}
    return namespace if value == "{namespace}" else value


@pytest.fixture(params=KINDS)
def kind(api, shared, request) -> Iterator[Kind]:
    kind = Kind(api, request.param, shared.namespace)
    yield kind
    if kind.has_collections:
        api.call("DELETE", kind.place, labelSelector=kind.label)
    else:
        for name in kind.names():
            api.call("DELETE", kind.one(name))


def test_discovery_tells_of_it(kind, api):
    version, name = kind.kind.split()
    root = "/api/v1" if version == "v1" else f"/apis/{version}"

    [resource] = [
        r
        for r in api.call("GET", root)["resources"]
        if r["kind"] == name and "/" not in r["name"] and r.get("group", "") in ("", version.split("/")[0])
    ]

    assert set(resource["verbs"]) == (VERBS if kind.has_collections else VERBS - {"deletecollection"})


def test_it_is_created_read_and_listed(kind, api):
    made = kind.create("a")

    metadata = made["metadata"]
    assert metadata["uid"] == api.call("GET", kind.one("a"))["metadata"]["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["resourceVersion"].isdecimal()
    assert (kind.names(), kind.names(api.path(kind.kind))) == (["a"], ["a"])
    assert kind.names(fieldSelector=f"metadata.name={metadata['name']}") == ["a"]
    assert refusal(lambda: kind.create("a")).status["reason"] == "AlreadyExists"


@pytest.mark.parametrize("how", PATCHES)
def test_it_is_patched(kind, api, how):
    kind.create("a")
    merge = {"metadata": {"labels": {"colour": "blue"}, "annotations": {"x/y": "z"}}}
    steps = [
        {"op": "add", "path": "/metadata/labels/colour", "value": "blue"},
        {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "z"}},
    ]

    patched = api.patch(kind.one("a"), steps if how == "json" else merge, how)

    assert patched["metadata"]["labels"]["colour"] == "blue"
    assert patched["metadata"]["annotations"]["x/y"] == "z"


def test_it_is_replaced_unless_somebody_was_faster(kind, api):
    before = kind.create("a")
    while True:
        try:
            after = api.call("PUT", kind.one("a"), labelled(api.call("GET", kind.one("a")), "green"))
            break
        except Exception as error:
            if getattr(error, "code", 0) != 409:
                raise

    assert after["metadata"]["labels"]["colour"] == "green"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    late = refusal(lambda: api.call("PUT", kind.one("a"), labelled(before, "red")))
    assert (late.code, late.status["reason"]) == (409, "Conflict")


def labelled(obj: Object, colour: str) -> Object:
    obj["metadata"]["labels"]["colour"] = colour
    return obj


def test_watching_tells_of_its_life(kind, api):
    version = api.call("GET", kind.place, labelSelector=kind.label)["metadata"]["resourceVersion"]
    kind.create("a")
    api.patch(kind.one("a"), {"metadata": {"labels": {"colour": "blue"}}}, "merge")
    api.call("DELETE", kind.one("a"), {"gracePeriodSeconds": 0})

    seen = []
    for event in api.watch(kind.place, 30, labelSelector=kind.label, resourceVersion=version):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            break

    assert (seen[0], set(seen[1:-1]), seen[-1]) == ("ADDED", {"MODIFIED"}, "DELETED")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "v1 Namespace"], indirect=True)
def test_a_collection_is_deleted_by_label(kind, api):
    for name in "abc":
        kind.create(name)
    api.patch(kind.one("c"), {"metadata": {"labels": {"conf": f"{kind.tag}-other"}}}, "merge")

    api.call("DELETE", kind.place, labelSelector=kind.label)

    assert kind.living() == []
    assert api.call("GET", kind.one("c"))["metadata"].get("deletionTimestamp") is None
    api.call("DELETE", kind.one("c"))


WITH_STATUS = [
    "v1 Namespace",
    "v1 Node",
    "v1 Pod",
    "v1 Service",
    "v1 PersistentVolumeClaim",
    "apps/v1 Deployment",
    "apps/v1 ReplicaSet",
    "apps/v1 StatefulSet",
    "apps/v1 DaemonSet",
    "v1 ReplicationController",
    "policy/v1 PodDisruptionBudget",
]


@pytest.mark.parametrize("kind", WITH_STATUS, indirect=True)
def test_its_status_is_read_patched_and_replaced(kind, api):
    kind.create("a")
    condition = {
        "type": "Odd",
        "status": "True",
        "reason": "Told",
        "message": "by hand",
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    }
    path = kind.one("a") + "/status"

    patched = api.patch(path, {"metadata": {"annotations": {"p": "q"}}, "status": {"conditions": [condition]}}, "merge")
    read = api.call("GET", path)
    while True:
        try:
            read["status"]["conditions"] = [condition | {"message": "again"}]
            replaced = api.call("PUT", path, read)
            break
        except Exception as error:
            if getattr(error, "code", 0) != 409:
                raise
            read = api.call("GET", path)

    assert condition.items() <= patched["status"]["conditions"][0].items()
    assert patched["metadata"]["annotations"]["p"] == "q"
    assert replaced["status"]["conditions"][0]["message"] == "again"
