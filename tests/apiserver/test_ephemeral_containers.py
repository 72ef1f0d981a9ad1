"""`pods/ephemeralcontainers`: added to a running pod, never taken away."""

from typing import Any

from tests.apiserver.local_api import CORE, STRATEGIC, Api

POD = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "app", "image": "x"}]}}
PATH = f"{CORE}/pods/a/ephemeralcontainers"


def debugger(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "stdin": True, "tty": True, **fields}


async def test_a_container_is_added_by_patch_with_its_defaults(api: Api):
    await api.made(f"{CORE}/pods", POD)

    patch = {"spec": {"ephemeralContainers": [debugger(targetContainerName="app")], "nodeName": "n1"}}
    patched = (await api.patch(PATH, patch, STRATEGIC)).json

    [added] = patched["spec"]["ephemeralContainers"]
    assert added.items() >= {"name": "look", "targetContainerName": "app", "imagePullPolicy": "Always"}.items()
    assert "nodeName" not in patched["spec"]
    assert patched["metadata"]["generation"] == 2


async def test_what_was_added_stays_as_it_is(api: Api):
    await api.made(f"{CORE}/pods", POD)
    await api.patch(PATH, {"spec": {"ephemeralContainers": [debugger()]}}, STRATEGIC)
    pod = (await api.get(PATH)).json

    two = pod["spec"] | {"ephemeralContainers": [*pod["spec"]["ephemeralContainers"], debugger("more")]}
    added = await api.put(PATH, {**pod, "spec": two})
    removed = await api.put(PATH, {**pod, "metadata": added.json["metadata"]})
    changed = await api.patch(PATH, {"spec": {"ephemeralContainers": [debugger(image="other")]}}, STRATEGIC)

    assert [each["name"] for each in added.json["spec"]["ephemeralContainers"]] == ["look", "more"]
    assert 'existing ephemeral containers "more" may not be removed' in removed.error[2]
    assert 'existing ephemeral containers "look" may not be changed' in changed.error[2]


async def test_it_is_checked_like_a_container_and_only_here(api: Api):
    await api.made(f"{CORE}/pods", POD)

    wrong = await api.patch(
        PATH, {"spec": {"ephemeralContainers": [debugger(ports=[{"containerPort": 1}])]}}, STRATEGIC
    )
    elsewhere = await api.patch(f"{CORE}/pods/a", {"spec": {"ephemeralContainers": [debugger()]}}, STRATEGIC)
    target = await api.patch(PATH, {"spec": {"ephemeralContainers": [debugger(targetContainerName="gone")]}}, STRATEGIC)

    assert "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container" in wrong.error[2]
    assert elsewhere.status == 422
    assert 'spec.ephemeralContainers[0].targetContainerName: Not found: "gone"' in target.error[2]
