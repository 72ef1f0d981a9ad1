"""Selectors ask a narrow view of pods, which must say what the whole one says."""

import pytest

from wherry.api.core.pod.resource import Pod
from wherry.api.core.pod.selecting import SELECTABLE, SelectedPod

PODS = [
    {},
    {"spec": {"nodeName": "n", "restartPolicy": "Never", "hostNetwork": True, "containers": [{"name": "a"}]}},
    {"spec": {"schedulerName": "mine", "serviceAccountName": "builder"}, "status": {"phase": "Running"}},
    {"status": {"podIP": "10.0.0.1", "nominatedNodeName": "m", "podIPs": [{"ip": "10.0.0.1"}]}},
]


@pytest.mark.parametrize("raw", PODS)
def test_both_views_agree_on_every_field(raw: dict):
    raw = {"metadata": {"name": "p"}, **raw}

    assert {path: read(SelectedPod.read(raw)) for path, read in SELECTABLE.items()} == {
        path: read(Pod.read(raw)) for path, read in SELECTABLE.items()
    }
