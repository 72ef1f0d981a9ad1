"""One sound object of each kind that has no story of its own, and a status that somebody could report."""

from __future__ import annotations

from typing import Any, NamedTuple

ADMISSION = "admissionregistration.k8s.io/v1"
NETWORKING = "networking.k8s.io/v1"
STORAGE = "storage.k8s.io/v1"
FLOW = "flowcontrol.apiserver.k8s.io/v1"
DEVICES = "resource.k8s.io/v1"
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
TO_WEB = {"backend": {"service": {"name": "web", "port": {"number": 80}}}}
BLOCK = {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}
CLAIM = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example"}}]}}
GIVEN = {"request": "gpu", "driver": "gpu.example", "pool": "n1", "device": "gpu-0"}


class Sample(NamedTuple):
    """What an object needs besides its name, what its row shows after the name, and a status."""

    fields: dict[str, Any]
    cells: list[Any]
    status: dict[str, Any] = {}
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    name: str = "thing"


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
    f"{NETWORKING} Ingress": Sample(
        {
            "spec": {
                "rules": [{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", **TO_WEB}]}}],
                "tls": [{"hosts": ["shop.example"], "secretName": "shop"}],
            }
        },
        ["<none>", "shop.example", "", "80, 443", "0s"],
        {"loadBalancer": {"ingress": [{"ip": "10.0.0.7"}]}},
        short=("ing",),
    ),
    f"{NETWORKING} IngressClass": Sample(
        {"spec": {"controller": "example.com/ingress", "parameters": {"kind": "ConfigMap", "name": "x"}}},
        ["example.com/ingress", "ConfigMap/x", "0s"],
    ),
    f"{NETWORKING} NetworkPolicy": Sample(
        {"spec": {"podSelector": {"matchLabels": {"app": "x"}}, "egress": [{"to": [{"ipBlock": BLOCK}]}]}},
        ["app=x", "0s"],
        short=("netpol",),
    ),
    f"{NETWORKING} ServiceCIDR": Sample({"spec": {"cidrs": ["10.7.0.0/24"]}}, ["10.7.0.0/24", "0s"], CONDITIONS),
    f"{NETWORKING} IPAddress": Sample(
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}},
        ["services/default/web", "0s"],
        short=("ip",),
        name="10.7.0.9",
    ),
    "v1 PodTemplate": Sample(
        {"template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
        ["c", "i", "app=x"],
    ),
    "node.k8s.io/v1 RuntimeClass": Sample(
        {"handler": "runc", "overhead": {"podFixed": {"cpu": "10m"}}, "scheduling": {"nodeSelector": {"a": "b"}}},
        ["runc", "0s"],
    ),
    f"{STORAGE} CSIDriver": Sample({"spec": {}}, [True, False, False, "<unset>", False, "Persistent", "0s"]),
    f"{STORAGE} CSINode": Sample({"spec": {"drivers": [{"name": "d.example", "nodeID": "n"}]}}, [1, "0s"]),
    f"{STORAGE} CSIStorageCapacity": Sample(
        {"storageClassName": "fast", "capacity": "1Gi", "nodeTopology": {}}, ["2026-11-22T12:00:00Z"]
    ),
    f"{STORAGE} VolumeAttachment": Sample(
        {"spec": {"attacher": "d.example", "nodeName": "n1", "source": {"persistentVolumeName": "v"}}},
        ["d.example", "v", "n1", False, "0s"],
        {"attached": True, "attachmentMetadata": {"device": "/dev/x"}},
    ),
    f"{STORAGE} VolumeAttributesClass": Sample(
        {"driverName": "d.example", "parameters": {"iops": "9"}}, ["d.example", "0s"], short=("vac",)
    ),
    f"{FLOW} FlowSchema": Sample(
        {
            "spec": {
                "priorityLevelConfiguration": {"name": "workload-low"},
                "rules": [
                    {
                        "subjects": [{"kind": "User", "user": {"name": "anna"}}],
                        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}],
                    }
                ],
            }
        },
        ["workload-low", 1000, "<none>", "0s", "?"],
        {"conditions": [{"type": "Odd", "status": "True"}]},
    ),
    f"{FLOW} PriorityLevelConfiguration": Sample(
        {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}},
        ["Limited", 30, 64, 8, 50, "0s"],
        {"conditions": [{"type": "Odd", "status": "True"}]},
    ),
    "apiregistration.k8s.io/v1 APIService": Sample(
        {
            "spec": {
                "group": "robots.example",
                "version": "v1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"namespace": "default", "name": "robots"},
            }
        },
        ["default/robots", "Unknown", "0s"],
        {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
        name="v1.robots.example",
        categories=EXTENSIONS,
    ),
    f"{DEVICES} DeviceClass": Sample(
        {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'gpu.example'"}}]}}, ["0s"]
    ),
    f"{DEVICES} ResourceClaim": Sample(
        {"spec": CLAIM},
        ["pending", "0s"],
        {
            "allocation": {"devices": {"results": [GIVEN]}},
            "reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}],
        },
    ),
    f"{DEVICES} ResourceClaimTemplate": Sample({"spec": {"spec": CLAIM}}, ["0s"]),
    f"{DEVICES} ResourceSlice": Sample(
        {
            "spec": {
                "driver": "gpu.example",
                "nodeName": "n1",
                "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "a"}}}],
            }
        },
        ["n1", "gpu.example", "n1", "0s"],
    ),
}
