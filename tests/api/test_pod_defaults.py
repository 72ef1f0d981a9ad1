from __future__ import annotations

import pytest
from judging import container, created, defaulted, deployment, pod

from wherry.api.core.pod.defaults import pull_policy_for


def test_a_pod_gets_what_kubernetes_gives_it():
    stored = created(pod())

    assert stored["spec"] == {
        "containers": [
            {
                "name": "app",
                "image": "nginx:1.29",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
    }
    assert stored["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_template_gets_the_defaults_of_a_pod_spec_but_not_those_of_a_pod():
    limited = container(resources={"limits": {"cpu": "1"}})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [limited], "hostNetwork": True}}

    spec = defaulted(deployment(template=template))["spec"]["template"]["spec"]

    assert spec["restartPolicy"] == "Always"
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert "enableServiceLinks" not in spec


def test_what_is_limited_is_requested():
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}

    [made] = created(pod(containers=[container(resources=resources)]))["spec"]["containers"]

    assert made["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_empty_values_count_as_missing_where_go_cannot_tell_them_apart():
    probe = {"httpGet": {"port": 80, "path": ""}, "timeoutSeconds": 0}
    quiet = container(imagePullPolicy="", livenessProbe=probe)

    spec = created(pod(containers=[quiet], restartPolicy=""))["spec"]

    assert spec["restartPolicy"] == "Always"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_an_explicit_zero_stays_where_it_counts():
    assert created(pod(terminationGracePeriodSeconds=0))["spec"]["terminationGracePeriodSeconds"] == 0
    assert defaulted(deployment(replicas=0))["spec"]["replicas"] == 0


def test_volumes_get_modes_and_an_empty_one_is_an_empty_dir():
    volumes = [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "hostPath": {"path": "/"}}]
    token = {"serviceAccountToken": {"path": "token"}}
    volumes.append({"name": "d", "projected": {"sources": [token]}})

    assert created(pod(volumes=volumes))["spec"]["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "c", "hostPath": {"path": "/", "type": ""}},
        {
            "name": "d",
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            },
        },
    ]


def test_in_the_host_network_a_port_is_the_hosts():
    ports = [{"containerPort": 80}]

    [made] = created(pod(hostNetwork=True, containers=[container(ports=ports)]))["spec"]["containers"]

    assert made["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]


def test_both_names_of_the_service_account_are_kept_equal():
    spec = created(pod(serviceAccount="builder"))["spec"]

    assert spec["serviceAccountName"] == spec["serviceAccount"] == "builder"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/team/nginx", "Always"),
        ("registry:5000/team/nginx:1.2", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str):
    assert pull_policy_for(image) == policy


@pytest.mark.parametrize(
    ("requests", "limits", "quality"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "0"}, {}, "BestEffort"),
        ({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "2Gi"}, "Burstable"),
        ({}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
    ],
)
def test_the_quality_of_service_follows_requests_and_limits(requests: dict, limits: dict, quality: str):
    made = created(pod(containers=[container(resources={"requests": requests, "limits": limits})]))

    assert made["status"]["qosClass"] == quality


def test_a_gated_pod_says_that_it_waits():
    status = created(pod(schedulingGates=[{"name": "example.com/wait"}]))["status"]

    assert [condition["reason"] for condition in status["conditions"]] == ["SchedulingGated"]
