"""From a pod to what a runtime is given."""

from typing import Any

import pytest

from kubelet.images import credentials_for
from kubelet.recipe.container import Ingredients, container_spec, security
from kubelet.recipe.environment import ConfigError, Sources, environment, expand, expand_path, service_variables
from kubelet.recipe.fields import container_resource, pod_field
from kubelet.recipe.network_files import hosts_text, resolv_text
from kubelet.resources.qos import limits_of, qos_class
from kubelet.runtime.base import Image, Limits
from kubelet.runtime.docker_format import container_body, owner_labels
from kubelet.steps import Start
from tests.make import a_container, a_pod, a_service, an_object
from wherry.api.core.pod import Container, Pod
from wherry.api.core.secret import Secret
from wherry.machinery.quantity import Quantity

GIB = 2**30


def the_pod(**container: Any) -> Pod:
    return a_pod("web", containers=[a_container(**container)])


def the_environment(sources: Sources, **container: Any) -> dict[str, str]:
    pod = the_pod(**container)
    return environment(pod, pod.spec.containers[0], sources)


def test_references_are_replaced_in_order():
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2 $$(A) $(C)"}, {"name": "C", "value": "3"}]

    assert the_environment(Sources(), env=env) == {"A": "1", "B": "12 $(A) $(C)", "C": "3"}


@pytest.mark.parametrize(("text", "expected"), [("$", "$"), ("$$", "$"), ("$(", "$("), ("$(A", "$(A"), ("$x", "$x")])
def test_dollars_that_refer_to_nothing_stay(text: str, expected: str):
    assert expand(text, {"A": "1"}) == expected


def test_a_path_needs_a_value_for_every_name():
    assert expand_path("$(A)/$$(C)", {"A": "1"}) == "1/$(C)"
    with pytest.raises(ConfigError, match="missing value for B, C"):
        expand_path("$(C)/$(A)/$(B)", {"A": "1", "B": ""})


def test_batches_come_before_single_variables():
    sources = Sources(config_maps={"m": {"A": "map", "B": "map"}}, secrets={"s": {"B": "secret"}})
    batches = [{"configMapRef": {"name": "m"}, "prefix": "P_"}, {"secretRef": {"name": "s"}, "prefix": "P_"}]

    env = the_environment(sources, envFrom=batches, env=[{"name": "P_A", "value": "own"}])

    assert env == {"P_A": "own", "P_B": "secret"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "m", "key": "x"}}, "couldn't find key x in ConfigMap default/m"),
        ({"secretKeyRef": {"name": "gone", "key": "x"}}, 'secret "gone" not found'),
        ({"fieldRef": {"fieldPath": "spec.nothing"}}, "unsupported fieldPath: spec.nothing"),
    ],
)
def test_what_cannot_be_found_is_named(source: Any, message: str):
    pod = the_pod()
    sources = Sources(
        config_maps={"m": {}}, secrets={"gone": None}, field=lambda path: pod_field(pod, path, host_ip="", pod_ip="")
    )

    with pytest.raises(ConfigError) as raised:
        the_environment(sources, env=[{"name": "A", "valueFrom": source}])

    assert str(raised.value) == message


def test_optional_values_may_be_missing():
    source = {"secretKeyRef": {"name": "gone", "key": "x", "optional": True}}

    assert the_environment(Sources(secrets={"gone": None}), env=[{"name": "A", "valueFrom": source}]) == {}


def test_services_of_the_namespace_are_variables():
    ports = [{"name": "http", "port": 80}]
    services = [
        a_service("my-web", clusterIP="10.0.0.1", ports=ports),
        a_service("none", clusterIP="None", ports=ports),
        a_service("far", namespace="other", clusterIP="10.0.0.2", ports=ports),
    ]

    assert service_variables(a_pod("web"), services) == {
        "MY_WEB_SERVICE_HOST": "10.0.0.1",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://10.0.0.1:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.0.0.1:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.0.0.1",
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metadata.name", "web"),
        ("metadata.labels['app']", "shop"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="shop"\nquote="a\\"b"'),
        ("status.podIP", "10.0.0.9"),
    ],
)
def test_a_pod_knows_its_own_fields(path: str, text: str):
    pod = a_pod("web", labels={"quote": 'a"b', "app": "shop"})

    assert pod_field(pod, path, host_ip="192.0.2.1", pod_ip="10.0.0.9") == text


@pytest.mark.parametrize(
    ("resource", "divisor", "text"),
    [
        ("requests.cpu", "", "1"),
        ("requests.cpu", "1m", "250"),
        ("limits.memory", "1Mi", "64"),
        ("limits.cpu", "1", "4"),
    ],
)
def test_resources_are_counted_in_divisors_and_rounded_up(resource: str, divisor: str, text: str):
    resources = {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}
    (container,) = the_pod(resources=resources).spec.containers

    assert container_resource(container, resource, divisor, {"cpu": Quantity.parse("4")}) == text


@pytest.mark.parametrize(
    ("resources", "qos", "limits"),
    [
        ({}, "BestEffort", Limits(2, 0, 0, 1000)),
        (
            {"limits": {"cpu": "500m", "memory": "1Gi"}},
            "Guaranteed",
            Limits(512, 500_000_000, GIB, -997),
        ),
        ({"requests": {"memory": "1Gi"}}, "Burstable", Limits(2, 0, 0, 900)),
        ({"requests": {"cpu": "1"}}, "Burstable", Limits(1024, 0, 0, 999)),
        ({"requests": {"cpu": "1m"}, "limits": {"cpu": "5m"}}, "Burstable", Limits(2, 10_000_000, 0, 999)),
    ],
)
def test_requests_and_limits_become_the_kernels_words(resources: Any, qos: str, limits: Limits):
    spec = the_pod(resources=resources).spec

    assert (qos_class(spec), limits_of(spec.containers[0], spec, 10 * GIB)) == (qos, limits)


def test_the_hosts_file_names_the_pod_and_its_aliases():
    pod = a_pod("web", subdomain="shop", host_aliases=[{"ip": "192.0.2.7", "hostnames": ["a", "b"]}])

    lines = hosts_text(pod, "10.0.0.9", "cluster.local", "").splitlines()

    assert "10.0.0.9\tweb.shop.default.svc.cluster.local\tweb" in lines
    assert lines[-2:] == ["# Entries added by HostAliases.", "192.0.2.7\ta\tb"]


OF_MACHINE = "nameserver 192.0.2.53\nsearch example.org\noptions timeout:1\n"
CLUSTER = (
    "search default.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.96.0.10\n"
    "options ndots:5\n"
)
MACHINE = "search example.org\nnameserver 192.0.2.53\noptions timeout:1\n"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, CLUSTER),
        ({"hostNetwork": True}, MACHINE),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, CLUSTER),
        ({"dnsPolicy": "Default"}, MACHINE),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}}, "nameserver 192.0.2.1\n"),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}},
            CLUSTER.replace("ndots:5", "ndots:2"),
        ),
    ],
)
def test_the_dns_policy_decides_about_resolv_conf(spec: Any, text: str):
    assert resolv_text(a_pod("web", **spec), "10.96.0.10", "cluster.local", OF_MACHINE) == text


@pytest.mark.parametrize(
    ("of_container", "of_pod", "image_user", "user"),
    [
        ({}, {}, "app", ""),
        ({"runAsUser": 7}, {"runAsUser": 8}, "app", "7"),
        ({}, {"runAsUser": 8, "runAsGroup": 9}, "app", "8:9"),
        ({"runAsGroup": 9}, {}, "app", "app:9"),
        ({"runAsGroup": 9}, {}, "", "0:9"),
    ],
)
def test_a_containers_user_wins_over_its_pods_and_its_images(
    of_container: Any, of_pod: Any, image_user: str, user: str
):
    pod = a_pod("web", containers=[a_container(securityContext=of_container)], security_context=of_pod)

    assert security(pod, pod.spec.containers[0], Image("sha256:1", user=image_user), "").user == user


def a_body(pod: Pod, **found: Any) -> Any:
    ingredients = Ingredients(
        **{"env": {"A": "1"}, "mounts": (), "image": Image("sha256:1"), "memory_bytes": GIB, **found}
    )
    container: Container = pod.spec.containers[0]
    spec = container_spec(pod, Start(container, 3, "sandbox-id", 40), ingredients)
    return container_body(spec, owner_labels("shop", "n1"))


def test_docker_is_told_who_owns_a_container():
    assert a_body(a_pod("web"))["Labels"] == {
        "io.wherry.cluster": "shop",
        "io.wherry.node": "n1",
        "io.wherry.role": "container",
        "io.wherry.attempt": "3",
        "io.wherry.sandbox": "sandbox-id",
        "io.wherry.spec-hash": "app=app:1",
        "io.wherry.restart-delay": "40",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.uid": "pod-default-web",
        "io.kubernetes.container.name": "app",
    }


def test_docker_is_told_which_devices_and_without_a_request_none():
    with_devices, without = a_body(a_pod("web"), gpu_ids=("GPU-a", "GPU-b")), a_body(a_pod("web"))

    wanted = {"Driver": "nvidia", "DeviceIDs": ["GPU-a", "GPU-b"], "Capabilities": [["gpu"]]}
    assert with_devices["HostConfig"]["DeviceRequests"] == [wanted]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b" in with_devices["Env"]
    assert "DeviceRequests" not in without["HostConfig"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in without["Env"]


def test_cards_that_are_only_watched_are_seen_and_stay_whose_they_are():
    body = a_body(a_pod("web"), gpu_ids=("GPU-a",), watched_gpu_ids=("GPU-b",))

    assert body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["GPU-a", "GPU-b"]
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b" in body["Env"]
    assert body["Labels"]["io.wherry.gpus"] == "GPU-a"


def test_a_container_with_a_part_of_a_card_is_told_how_much_of_its_memory_it_may_use():
    container = a_container(resources={"limits": {"wherry.dev/gpu-memory": "10Gi"}})
    body = a_body(a_pod("web", containers=[container]), gpu_ids=("GPU-a",))

    assert {"NVIDIA_VISIBLE_DEVICES=GPU-a", f"WHERRY_GPU_MEMORY_BYTES={10 * 1024**3}"} <= set(body["Env"])


def test_a_pod_cannot_see_devices_by_asking_in_its_environment():
    body = a_body(a_pod("web"), env={"NVIDIA_VISIBLE_DEVICES": "all"})

    assert [line for line in body["Env"] if line.startswith("NVIDIA")] == ["NVIDIA_VISIBLE_DEVICES=void"]


def a_pull_secret(config: str) -> Secret:
    import base64

    data = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}
    secret: Secret = an_object(Secret, fields={"data": data, "type": "kubernetes.io/dockerconfigjson"})
    return secret


@pytest.mark.parametrize(
    ("image", "username"),
    [("reg.test:5000/shop/web:1", "shop"), ("reg.test:5000/x", "all"), ("web", "hub"), ("ghcr.io/web", None)],
)
def test_the_closest_login_is_used(image: str, username: str | None):
    secret = a_pull_secret(
        '{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOnB3"}, "reg.test:5000": {"username": "all"},'
        ' "reg.test:5000/shop": {"username": "shop"}}}'
    )

    login = credentials_for(image, [secret])

    assert (login or {}).get("username") == username
