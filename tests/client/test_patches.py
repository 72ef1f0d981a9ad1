"""What is written so that an object becomes what a view says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from make import NOW, a_node, a_pod, a_replicaset

from wherry.api.core.pod import ContainerStatus
from wherry.api.meta import Condition, with_condition
from wherry.client.patches import difference, merged, status_patch

_LEAVES = st.one_of(st.integers(0, 2), st.sampled_from("ab"), st.booleans(), st.lists(st.integers(0, 1), max_size=2))
_OBJECTS = st.recursive(
    _LEAVES, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=8
).filter(lambda value: isinstance(value, dict))


@given(_OBJECTS, _OBJECTS)
def test_the_difference_leads_from_one_to_the_other(before: Any, after: Any):
    assert merged(before, difference(before, after)) == after


@given(_OBJECTS)
def test_nothing_changed_is_an_empty_patch(value: Any):
    assert difference(value, value) == {}


def test_a_status_that_falls_back_to_a_default_is_written():
    rs = a_replicaset(status={"replicas": 3})

    assert status_patch(rs, rs.with_status(replicas=0)) == {"status": {"replicas": 0}}


def test_a_status_field_that_is_optional_is_removed_when_it_is_empty_again():
    rs = a_replicaset(status={"replicas": 3, "readyReplicas": 3})

    assert status_patch(rs, rs.with_status(ready_replicas=0)) == {"status": {"readyReplicas": None}}


def test_what_a_container_must_report_is_reported_even_when_it_is_nothing():
    pod = a_pod()
    status = ContainerStatus(name="app", image="app:1")
    [written] = status_patch(pod, pod.with_status(container_statuses=(status,)))["status"]["containerStatuses"]

    assert written == {"name": "app", "image": "app:1", "imageID": "", "ready": False, "restartCount": 0}


def test_a_condition_is_written_whole_even_where_it_is_unknown():
    node = a_node(ready=True)
    conditions = with_condition(node.status.conditions, Condition(type="Ready", status="Unknown", reason="Silent"), NOW)
    [written] = status_patch(node, node.with_status(conditions=conditions))["status"]["conditions"]

    assert written == {
        "type": "Ready",
        "status": "Unknown",
        "reason": "Silent",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def test_the_same_status_needs_no_patch():
    node = a_node()

    assert status_patch(node, node.with_status(conditions=node.status.conditions)) == {}
