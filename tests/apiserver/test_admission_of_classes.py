"""Runtime classes and ingress classes at admission, and who may say who owns what."""

from typing import Any

import pytest

from apiserver.admission.base import Admission
from tests.apiserver.local_api import CORE, Api

RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
PODS = f"{CORE}/pods"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


async def test_a_pod_pays_the_overhead_and_goes_where_its_runtime_is(api: Api):
    scheduling = {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}
    overhead = {"podFixed": {"cpu": "250m", "memory": "64Mi"}}
    runtime = {"metadata": {"name": "vm"}, "handler": "vm", "overhead": overhead, "scheduling": scheduling}
    await api.made(RUNTIMES, runtime)

    spec = (await api.made(PODS, pod(runtimeClassName="vm", nodeSelector={"disk": "ssd"})))["spec"]

    assert spec["overhead"] == overhead["podFixed"]
    assert spec["nodeSelector"] == {"disk": "ssd", "vm": "yes"}
    assert {"key": "vm", "operator": "Exists"} in spec["tolerations"]


async def test_a_runtime_that_is_not_there_is_forbidden(api: Api):
    refused = await api.post(PODS, pod(runtimeClassName="gone"))

    why = 'pods "a" is forbidden: pod rejected: RuntimeClass "gone" not found'
    assert refused.error == (403, "Forbidden", why)


async def test_an_overhead_of_ones_own_is_not_taken(api: Api):
    await api.made(RUNTIMES, {"metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "1"}}})

    alone = await api.post(PODS, pod(overhead={"cpu": "1"}))
    other = await api.post(PODS, pod(runtimeClassName="vm", overhead={"cpu": "2"}))
    clash = await api.post(PODS, pod(runtimeClassName="vm", overhead={"cpu": "1000m"}))

    assert alone.error[2].endswith("Pod Overhead set without corresponding RuntimeClass defined Overhead")
    assert other.error[2].endswith("Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    assert clash.status == 201


async def test_an_ingress_without_a_class_gets_the_default_one(api: Api):
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    await api.made(CLASSES, {"metadata": {"name": "a", "annotations": annotations}, "spec": {"controller": "x.io/a"}})
    backend = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}

    silent = await api.made(INGRESSES, {"metadata": {"name": "silent"}, "spec": backend})
    own = await api.made(INGRESSES, {"metadata": {"name": "own"}, "spec": {**backend, "ingressClassName": "b"}})

    assert silent["spec"]["ingressClassName"] == "a"
    assert own["spec"]["ingressClassName"] == "b"


@pytest.fixture
def watchful(api: Api) -> Api:
    """A server that watches over owners."""
    names = ("OwnerReferencesPermissionEnforcement",)
    api.server.admission = Admission(api.server, api.server.settings.disabled_admission, names)
    return api


async def test_owners_are_set_by_who_may_delete(watchful: Api):
    api = watchful
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "create"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await api.made(f"{roles}/roles", {"metadata": {"name": "writer"}, "rules": rules})
    subject = {"kind": "User", "name": "anna", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"}
    await api.made(f"{roles}/rolebindings", {"metadata": {"name": "w"}, "roleRef": role, "subjects": [subject]})
    made = await api.made(f"{CORE}/configmaps", {"metadata": {"name": "m"}}, user="anna", groups=())
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "m", "uid": made["metadata"]["uid"]}

    changed = await api.patch(
        f"{CORE}/configmaps/m", {"metadata": {"ownerReferences": [owner]}}, user="anna", groups=()
    )
    blocking = {"metadata": {"name": "n", "ownerReferences": [{**owner, "blockOwnerDeletion": True}]}}
    created = await api.post(f"{CORE}/configmaps", blocking, user="anna", groups=())

    assert changed.error[2] == ('configmaps "m" is forbidden: cannot set an ownerRef on a resource you can\'t delete')
    assert created.error[2] == (
        'configmaps "n" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you '
        "can't set finalizers on"
    )
