"""Pod Security Standards: what namespaces refuse, and what they warn of."""

from typing import Any

import pytest

from apiserver.admission.pod_security.configuration import ConfigurationError, read_configuration
from tests.apiserver.local_api import Api

PODS = "/api/v1/namespaces/shop/pods"
LABEL = "pod-security.kubernetes.io/"
GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str = "a", *, context: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod with one container and its security context."""
    container = {"name": "app", "image": "x", **({"securityContext": context} if context is not None else {})}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


async def a_namespace(api: Api, **labels: str) -> None:
    labels = {LABEL + key.replace("_", "-"): value for key, value in labels.items()}
    await api.made("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": labels}})


async def test_restricted_names_all_that_is_missing(api: Api):
    await a_namespace(api, enforce="restricted")

    refused = await api.post(PODS, pod())

    assert refused.error == (
        403,
        "Forbidden",
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"app" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "app" '
        'must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "app" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "app" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    )
    assert (await api.post(PODS, pod(context=GOOD))).status == 201


BASELINE = [
    (pod(context={"privileged": True}), 'privileged (container "app" must not set securityContext.privileged=true)'),
    (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    (
        pod(context={"capabilities": {"add": ["NET_ADMIN", "KILL"]}}),
        'non-default capabilities (container "app" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ),
    (
        pod(context={"seccompProfile": {"type": "Unconfined"}}),
        'seccompProfile (container "app" must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
    (
        pod(securityContext={"seLinuxOptions": {"type": "spc_t", "user": "u"}}),
        'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ),
    (pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), "forbidden sysctls (kernel.msgmax)"),
]


@pytest.mark.parametrize(("manifest", "finding"), BASELINE, ids=[finding for _, finding in BASELINE])
async def test_the_baseline_refuses_what_reaches_for_the_node(manifest: dict, finding: str, api: Api):
    await a_namespace(api, enforce="baseline")

    _, _, message = (await api.post(PODS, manifest)).error

    assert message == f'pods "a" is forbidden: violates PodSecurity "baseline:latest": {finding}'
    assert (await api.post(PODS, pod())).status == 201


async def test_restricted_asks_for_the_baseline_first_and_says_each_thing_once(api: Api):
    await a_namespace(api, enforce="restricted")

    bad = pod(context={**GOOD, "privileged": True, "allowPrivilegeEscalation": None}, hostNetwork=True)
    _, _, message = (await api.post(PODS, bad)).error

    assert message.partition('latest": ')[2].startswith("host namespaces (hostNetwork=true), privileged (")
    assert message.count("allowPrivilegeEscalation != false") == 1


async def test_an_older_version_asks_for_what_it_asked_for_then(api: Api):
    await a_namespace(api, enforce="restricted", enforce_version="v1.7")

    _, _, message = (await api.post(PODS, pod())).error

    why = 'runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true)'
    assert message == f'pods "a" is forbidden: violates PodSecurity "restricted:v1.7": {why}'


async def test_whoever_writes_a_template_is_warned(api: Api):
    await a_namespace(api, warn="baseline")
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod(hostPID=True)["spec"]}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}

    made = await api.post("/apis/apps/v1/namespaces/shop/deployments", {"metadata": {"name": "d"}, "spec": spec})
    one = await api.post(PODS, pod(hostPID=True))

    warning = '299 - "would violate PodSecurity \\"baseline:latest\\": host namespaces (hostPID=true)"'
    assert (made.status, made.all("warning")) == (201, [warning])
    assert (one.status, one.all("warning")) == (201, [warning])


async def test_pods_that_are_there_are_told_of_when_a_level_is_set(api: Api):
    await a_namespace(api)
    for name in ("a", "b"):
        await api.made(PODS, pod(name, hostPID=True))

    labelled = await api.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {f"{LABEL}enforce": "baseline"}}})

    assert labelled.all("warning") == [
        '299 - "existing pods in namespace \\"shop\\" violate the new PodSecurity enforce level \\"baseline:latest\\""',
        '299 - "a (and 1 other pod): host namespaces"',
    ]


async def test_labels_must_make_sense(api: Api):
    bad = {"metadata": {"name": "shop", "labels": {f"{LABEL}enforce": "strict", f"{LABEL}warn-version": "1.2"}}}

    refused = await api.post("/api/v1/namespaces", bad)

    assert refused.error[0] == 422
    assert [cause["field"] for cause in refused.json["details"]["causes"]] == [
        f"metadata.labels[{LABEL}enforce]",
        f"metadata.labels[{LABEL}warn-version]",
    ]


def test_a_file_says_what_holds_elsewhere(tmp_path):
    path = tmp_path / "pod-security.yaml"
    path.write_text("defaults: {enforce: baseline, enforce-version: v1.30}\nexemptions: {namespaces: [kube-system]}")
    good = read_configuration(path)
    path.write_text("defaults: {enforce: strict}")

    assert str(good.defaults.policy.enforce) == "baseline:v1.30"
    assert good.exemptions.namespaces == ("kube-system",)
    with pytest.raises(ConfigurationError, match=r"Invalid enum value 'strict' - at `\$.defaults.enforce`"):
        read_configuration(path)
