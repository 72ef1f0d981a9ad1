"""The program is tested against a cluster: nothing of Kubernetes is imitated here."""

import uuid

import pytest
from archive import archive
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException


@pytest.fixture(scope="session")
def api(wherry_cluster):
    with config.new_client_from_config(wherry_cluster.kubeconfig) as api:
        yield api


@pytest.fixture
def namespace(api):
    name = f"test-{uuid.uuid4().hex[:6]}"
    client.CoreV1Api(api).create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    client.CoreV1Api(api).delete_namespace(name)


@pytest.fixture
def shop(api, namespace):
    """A Deployment whose two pods are ready."""
    labels = {"app": "shop"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop:7"}]}}
    deployment = {
        "metadata": {"name": "shop"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
    }
    client.AppsV1Api(api).create_namespaced_deployment(namespace, deployment)
    until(api, namespace, lambda status: status.ready_replicas == 2)


def test_an_archived_release_has_no_pods_and_is_written_down(api, namespace, shop):
    archive(api, namespace, "shop")

    until(api, namespace, lambda status: not status.replicas)
    assert client.CoreV1Api(api).read_namespaced_config_map("shop-archive", namespace).data == {"shop": "shop:7"}


def test_a_release_is_archived_once(api, namespace, shop):
    archive(api, namespace, "shop")

    with pytest.raises(ApiException, match="already exists"):
        archive(api, namespace, "shop")


def until(api, namespace, is_so):
    """Watch the Deployment until its status is so."""
    events = watch.Watch()
    for event in events.stream(client.AppsV1Api(api).list_namespaced_deployment, namespace, timeout_seconds=30):
        status = event["object"].status
        if status is not None and is_so(status):
            events.stop()
            return
    raise AssertionError(f"the deployment did not come to this in 30 s: {event['object'].status}")
