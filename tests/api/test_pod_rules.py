from __future__ import annotations

import pytest
from judging import container, deployment, faults, pod

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SLEEPING = "must be non-negative and less than terminationGracePeriodSeconds (30)"
ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
POLICIES = '"Always", "Never", "OnFailure"'
SCRATCH = [{"name": "scratch", "emptyDir": {}}]


def test_a_sound_pod_breaks_no_rule():
    assert faults(pod()) == []


CONTAINERS = [
    ({"name": ""}, "spec.containers[0].name: Required value"),
    ({"name": "App"}, f'spec.containers[0].name: Invalid value: "App": {LABEL}'),
    ({"name": "a.b"}, 'spec.containers[0].name: Invalid value: "a.b": must not contain dots'),
    ({"image": ""}, "spec.containers[0].image: Required value"),
    (
        {"image": " nginx"},
        'spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace',
    ),
    (
        {"imagePullPolicy": "Sometimes"},
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
        'supported values: "Always", "IfNotPresent", "Never"',
    ),
    ({"ports": [{}]}, "spec.containers[0].ports[0].containerPort: Required value"),
    (
        {"ports": [{"containerPort": 65536}]},
        "spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"containerPort": 80, "protocol": "tcp"}]},
        'spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        {"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]},
        'spec.containers[0].ports[1].name: Duplicate value: "a"',
    ),
    (
        {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
        'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
    ),
    ({"env": [{"value": "1"}]}, "spec.containers[0].env[0].name: Required value"),
    (
        {"env": [{"name": "A", "valueFrom": {}}]},
        f'spec.containers[0].env[0].valueFrom: Invalid value: "": {ONE_SOURCE}',
    ),
    (
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
        'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]},
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nope": '
        "error converting fieldPath: field label not supported: spec.nope",
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]},
        'spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": '
        "only divisor's values 1m and 1 are supported with the cpu resource",
    ),
    (
        {"envFrom": [{}]},
        'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ),
    (
        {"volumeMounts": [{"name": "nope", "mountPath": "/x"}]},
        'spec.containers[0].volumeMounts[0].name: Not found: "nope"',
    ),
    (
        {"volumeMounts": [{"name": "scratch", "mountPath": "/x"}] * 2},
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
    ),
    (
        {"volumeMounts": [{"name": "scratch", "mountPath": "/x", "subPath": "../y"}]},
        "spec.containers[0].volumeMounts.subPath: Invalid value: \"../y\": must not contain '..'",
    ),
    ({"livenessProbe": {}}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
    (
        {"livenessProbe": {"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}},
        "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    (
        {"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}},
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    (
        {"readinessProbe": {"httpGet": {"port": 0}}},
        "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (
        {"startupProbe": {"exec": {"command": ["x"]}, "periodSeconds": -1}},
        "spec.containers[0].startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        f"spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: {SLEEPING}",
    ),
    (
        {"securityContext": {"runAsUser": -1}},
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: "
        "must be set when seccomp type is Localhost",
    ),
    (
        {"restartPolicy": "Always"},
        "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers",
    ),
]


@pytest.mark.parametrize(("fields", "fault"), CONTAINERS)
def test_a_container_obeys(fields: dict, fault: str):
    assert faults(pod(containers=[container(**fields)], volumes=SCRATCH)) == [fault]


RESOURCES = [
    (
        {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
        'requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    ({"requests": {"cpu": "-1"}}, 'requests[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
    (
        {"requests": {"gpu": "1"}},
        'requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
    ),
    (
        {"requests": {"pods": "1"}},
        'requests[pods]: Invalid value: "pods": must be a standard resource for containers',
    ),
    (
        {"requests": {"nvidia.com/gpu": "1"}},
        "limits: Required value: Limit must be set for non overcommitable resources",
    ),
    (
        {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}},
        'requests: Invalid value: "1": must be equal to nvidia.com/gpu limit of 2',
    ),
    (
        {"limits": {"cpu": "1", "hugepages-2Mi": "3Mi"}},
        'limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
    ),
]


@pytest.mark.parametrize(("resources", "fault"), RESOURCES)
def test_resources_obey(resources: dict, fault: str):
    found = faults(pod(containers=[container(resources=resources)]))

    assert f"spec.containers[0].resources.{fault}" in found


def test_half_a_gpu_cannot_be_had():
    [first, *_] = faults(pod(containers=[container(resources={"limits": {"nvidia.com/gpu": "500m"}})]))

    field = "spec.containers[0].resources.limits[nvidia.com/gpu]"
    assert first == f'{field}: Invalid value: "500m": must be an integer'


SPECS = [
    ({"containers": []}, "spec.containers: Required value"),
    (
        {"restartPolicy": "Once"},
        'spec.restartPolicy: Unsupported value: "Once": supported values: "Always", "Never", "OnFailure"',
    ),
    (
        {"dnsPolicy": "None"},
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
    ),
    (
        {"dnsConfig": {"nameservers": ["one"]}},
        'spec.dnsConfig.nameservers[0]: Invalid value: "one": must be a valid IP address, '
        "(e.g. 10.9.8.7 or 2001:db8::ffff)",
    ),
    ({"volumes": [{"emptyDir": {}}]}, "spec.volumes[0].name: Required value"),
    ({"volumes": SCRATCH * 2}, 'spec.volumes[1].name: Duplicate value: "scratch"'),
    (
        {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]},
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ),
    ({"volumes": [{"name": "a", "hostPath": {}}]}, "spec.volumes[0].hostPath.path: Required value"),
    (
        {"volumes": [{"name": "a", "configMap": {"name": "c", "defaultMode": 0o1000}}]},
        "spec.volumes[0].configMap.defaultMode: Invalid value: 512: "
        "must be a number between 0 and 0777 (octal), both inclusive",
    ),
    (
        {"activeDeadlineSeconds": 0},
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
    (
        {"nodeSelector": {"a": "b c"}},
        'spec.nodeSelector: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
    ),
    (
        {"tolerations": [{"operator": "Exists", "tolerationSeconds": 1}]},
        "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    (
        {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]},
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
    ),
    (
        {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
        'spec.schedulingGates[1]: Duplicate value: "a"',
    ),
    (
        {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ),
    (
        {"hostUsers": False, "hostNetwork": True},
        "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false",
    ),
    (
        {"hostNetwork": True, "containers": [container(ports=[{"containerPort": 1, "hostPort": 2}])]},
        "spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true",
    ),
    (
        {"initContainers": [container()]},
        'spec.initContainers[0].name: Duplicate value: "app"',
    ),
    (
        {"initContainers": [container(name="init", livenessProbe={"exec": {"command": ["x"]}})]},
        "spec.initContainers[0].livenessProbe: Forbidden: "
        "may not be set for init containers without restartPolicy=Always",
    ),
    (
        {"ephemeralContainers": [container(name="debug")]},
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ),
]


@pytest.mark.parametrize(("spec", "fault"), SPECS)
def test_a_pod_spec_obeys(spec: dict, fault: str):
    assert faults(pod(**spec)) == [fault]


NODE_TERM = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
EXPRESSIONS = [
    ({"key": "a", "operator": "In"}, "values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
    (
        {"key": "a", "operator": "Exists", "values": ["b"]},
        "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    (
        {"key": "a", "operator": "Gt", "values": ["1", "2"]},
        "values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
    ),
    ({"key": "a", "operator": "Like"}, 'operator: Invalid value: "Like": not a valid selector operator'),
]


@pytest.mark.parametrize(("expression", "fault"), EXPRESSIONS)
def test_a_node_affinity_obeys(expression: dict, fault: str):
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

    assert faults(pod(affinity=affinity)) == [f"{NODE_TERM}.matchExpressions[0].{fault}"]


def test_a_template_is_judged_where_it_stands():
    broken = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app"}]}}

    assert faults(deployment(template=broken)) == ["spec.template.spec.containers[0].image: Required value"]


def test_every_broken_rule_is_told_at_once():
    found = faults(pod(containers=[{"name": "", "image": ""}], restartPolicy="x"))

    assert [fault.partition(":")[0] for fault in found] == [
        "spec.containers[0].name",
        "spec.containers[0].image",
        "spec.restartPolicy",
    ]


def test_faults_are_found_every_time_and_none_in_what_was_right_before():
    bad = [f'spec.restartPolicy: Unsupported value: "x": supported values: {POLICIES}']

    found = [faults(pod(restartPolicy=policy)) for policy in ("Always", "x", "Always", "x")]

    assert found == [[], bad, [], bad]


def test_siblings_that_differ_in_the_name_of_their_token_volume_are_judged_alike():
    def with_volumes(*volumes: str, mount: str):
        mounts = [{"name": mount, "mountPath": "/run"}]
        return pod(
            volumes=[{"name": name, "emptyDir": {}} for name in volumes], containers=[container(volumeMounts=mounts)]
        )

    first = with_volumes("kube-api-access-aaaaa", mount="kube-api-access-aaaaa")
    second = with_volumes("kube-api-access-bbbbb", mount="kube-api-access-bbbbb")
    strayed = with_volumes("kube-api-access-bbbbb", mount="kube-api-access-aaaaa")
    twice = with_volumes("kube-api-access-aaaaa", "kube-api-access-aaaaa", mount="kube-api-access-aaaaa")

    assert faults(first) == faults(second) == []
    assert faults(strayed) == ['spec.containers[0].volumeMounts[0].name: Not found: "kube-api-access-aaaaa"']
    assert faults(twice) == ['spec.volumes[1].name: Duplicate value: "kube-api-access-aaaaa"']
