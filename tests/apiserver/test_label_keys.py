"""`matchLabelKeys` and `mismatchLabelKeys` of a new pod become part of its selectors."""

from typing import Any

from tests.apiserver.local_api import CORE, Api

HOST = "kubernetes.io/hostname"
WEB = {"matchLabels": {"app": "web"}}
KEYS: dict[str, Any] = {"matchLabelKeys": ["version", "unknown"], "mismatchLabelKeys": ["team"]}
VERSION = {"key": "version", "operator": "In", "values": ["2"]}
TEAM = {"key": "team", "operator": "NotIn", "values": ["a"]}


def a_spread_pod(selector: dict[str, Any]) -> dict[str, Any]:
    spread = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
    term = {"topologyKey": HOST, "labelSelector": WEB, **KEYS}
    away = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}
    near = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": HOST, "labelSelector": WEB}]}
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "a"}]}
    spec |= {"affinity": {"podAffinity": near, "podAntiAffinity": away}}
    spec["topologySpreadConstraints"] = [spread | {"matchLabelKeys": ["version"]}]
    return {"metadata": {"name": "web", "labels": {"version": "2", "team": "a"}}, "spec": spec}


async def test_the_selectors_of_a_new_pod_hold_what_its_labels_were(api: Api):
    made = await api.made(f"{CORE}/pods", a_spread_pod(WEB))

    affinity = made["spec"]["affinity"]
    [near] = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [away] = affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    [spread] = made["spec"]["topologySpreadConstraints"]
    assert near["labelSelector"] == WEB
    assert away["podAffinityTerm"]["labelSelector"] == {**WEB, "matchExpressions": [VERSION, TEAM]}
    assert spread["labelSelector"] == {**WEB, "matchExpressions": [VERSION]}
    assert (await api.put(f"{CORE}/pods/web", made)).status == 200


async def test_a_spread_constraint_that_selects_by_the_same_label_is_refused(api: Api):
    for selector in ({"matchLabels": {"version": "1"}}, {"matchExpressions": [VERSION]}):
        answer = await api.post(f"{CORE}/pods", a_spread_pod(selector))

        assert answer.status == 422
        assert "exists in both matchLabelKeys and labelSelector" in answer.json["message"]
