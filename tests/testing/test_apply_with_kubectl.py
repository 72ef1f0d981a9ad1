"""kubectl apply --server-side, and what comes before and after it; the Python client does the same."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
import yaml
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytestmark = pytest.mark.xdist_group("apply_with_kubectl")

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[str]:
    with wherry.testing.cluster(nodes=1) as cluster:
        yield cluster.kubeconfig


@pytest.fixture
def kubectl(kubeconfig: str, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of the test's own; what it prints, errors too."""
    space = request.node.name.replace("_", "-")[:60].rstrip("-")

    def run(*words: str, stdin: Any = None) -> str:
        command = (kubectl_path(), "--kubeconfig", kubeconfig, "-n", space, *words)
        text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    run("create", "namespace", space)
    return run


def web(image: str = "app:1", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def a_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def owners(kubectl: Kubectl, *what: str) -> dict[str, Any]:
    shown = yaml.safe_load(kubectl("get", *what, "-o", "yaml", "--show-managed-fields"))
    return {f"{each['manager']} {each['operation']}": each for each in shown["metadata"]["managedFields"]}


def apply(kubectl: Kubectl, body: dict[str, Any], *options: str) -> str:
    return kubectl("apply", "--server-side", *options, "-f", "-", stdin=body)


def test_apply_conflict_and_force(kubectl: Kubectl):
    assert apply(kubectl, web(replicas=1)) == "deployment.apps/web serverside-applied\n"

    other = apply(kubectl, web("app:2", replicas=1), "--field-manager=ci")
    forced = apply(kubectl, web("app:2", replicas=1), "--field-manager=ci", "--force-conflicts")

    why = 'conflict with "kubectl": .spec.template.spec.containers[name="app"].image'
    assert other.startswith(f"error: Apply failed with 1 conflict: {why}\nPlease review the fields above")
    assert forced == "deployment.apps/web serverside-applied\n"
    fields = owners(kubectl, "deploy/web")["kubectl Apply"]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    assert fields == {"f:containers": {'k:{"name":"app"}': {".": {}, "f:name": {}}}}


def test_diff_shows_what_an_apply_would_do(kubectl: Kubectl):
    apply(kubectl, a_map(a="1", b="2"))

    changed = kubectl("diff", "--server-side", "-f", "-", stdin=a_map(a="1", b="3"))
    same = kubectl("diff", "--server-side", "-f", "-", stdin=a_map(a="1", b="2"))

    assert ('-  b: "2"' in changed, '+  b: "3"' in changed, same) == (True, True, "")


def test_client_side_and_server_side_apply_take_turns(kubectl: Kubectl):
    kubectl("apply", "-f", "-", stdin=a_map(a="1", b="2"))

    there = apply(kubectl, a_map(a="2"))
    managers = owners(kubectl, "cm/settings")
    data = json.loads(kubectl("get", "cm/settings", "-o", "jsonpath={.data}"))
    back = kubectl("apply", "-f", "-", stdin=a_map(a="3"))

    assert there == "configmap/settings serverside-applied\n"
    assert (set(managers), data) == ({"kubectl Apply", "kubectl-last-applied Apply"}, {"a": "2"})
    assert back == "configmap/settings configured\n"
    assert kubectl("get", "cm/settings", "-o", "jsonpath={.data}") == '{"a":"3"}'


def test_a_scale_takes_the_replicas_from_who_applied_them(kubectl: Kubectl):
    apply(kubectl, web(replicas=1), "--field-manager=ci")

    scaled = kubectl("scale", "deploy/web", "--replicas=2")
    again = apply(kubectl, web(replicas=1), "--field-manager=ci")
    left = apply(kubectl, web(), "--field-manager=ci")

    owner = 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas'
    assert (scaled, left) == ("deployment.apps/web scaled\n", "deployment.apps/web serverside-applied\n")
    assert again.startswith(f"error: Apply failed with 1 conflict: {owner}\n")
    assert kubectl("get", "deploy/web", "-o", "jsonpath={.spec.replicas}") == "2"


def test_managed_fields_are_shown_on_demand(kubectl: Kubectl):
    kubectl("create", "configmap", "settings", "--from-literal=a=1")
    kubectl("label", "cm/settings", "x=y")

    managers = owners(kubectl, "cm/settings")

    assert "managedFields" not in kubectl("get", "cm/settings", "-o", "yaml")
    assert managers["kubectl-create Update"]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}
    assert managers["kubectl-label Update"]["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}


def test_the_python_client_applies(kubectl: Kubectl, kubeconfig: str, request: pytest.FixtureRequest):
    space = request.node.name.replace("_", "-")[:60].rstrip("-")
    with kubernetes.config.new_client_from_config(kubeconfig) as client:
        maps = kubernetes.dynamic.DynamicClient(client).resources.get(api_version="v1", kind="ConfigMap")

        made = maps.server_side_apply(body=a_map(a="1"), namespace=space, field_manager="one")
        with pytest.raises(kubernetes.dynamic.exceptions.ConflictError) as conflict:
            maps.server_side_apply(body=a_map(a="2"), namespace=space, field_manager="two")
        taken = maps.server_side_apply(body=a_map(a="2"), namespace=space, field_manager="two", force_conflicts=True)

    assert (made.data.a, taken.data.a) == ("1", "2")
    assert json.loads(conflict.value.body)["details"]["causes"][0]["field"] == ".data.a"
