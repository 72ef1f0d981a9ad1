"""Metadata: the rules that hold for every object."""

from __future__ import annotations

import pytest

from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.validation import validate_metadata

SOUND = {"name": "web", "namespace": "shop"}
OWNER = {"apiVersion": "v1", "kind": "ReplicaSet", "name": "a", "uid": "1", "controller": True}


def faults(metadata: dict, old: dict | None = None) -> list[str]:
    before = ObjectMeta.read(old) if old is not None else None
    return [str(fault) for fault in validate_metadata(ObjectMeta.read(metadata), before, Pod.kind, Pod.name_rule)]


FAULTS = [
    ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
    ({"namespace": ""}, "metadata.namespace: Required value"),
    ({"labels": {"a": "x" * 64}}, f'metadata.labels: Invalid value: "{"x" * 64}": must be no more than 63 bytes'),
    (
        {"annotations": {"a": "x" * 262144}},
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    ),
    (
        {"ownerReferences": [{**OWNER, "uid": ""}]},
        'metadata.ownerReferences[0].uid: Invalid value: "": must not be empty',
    ),
    (
        {"finalizers": ["mine"]},
        'metadata.finalizers: Invalid value: "mine": '
        "name is neither a standard finalizer name nor is it fully qualified",
    ),
]


@pytest.mark.parametrize(("metadata", "fault"), FAULTS)
def test_metadata_obeys(metadata: dict, fault: str):
    assert faults({**SOUND, **metadata}) == [fault]


def test_only_one_owner_is_the_controller():
    [fault] = faults({**SOUND, "ownerReferences": [OWNER, {**OWNER, "name": "b", "uid": "2"}]})

    assert fault.endswith('Only one reference can have Controller set to true. Found "true" in references for a and b')


def test_a_generated_name_may_begin_with_anything_that_can_be_completed():
    assert faults({**SOUND, "generateName": "web-"}) == []
    [fault] = faults({**SOUND, "generateName": "Web-"})
    assert fault.startswith('metadata.generateName: Invalid value: "Web-": a lowercase RFC 1123 subdomain')


def test_an_object_without_a_namespace_has_none():
    metadata = ObjectMeta.read({"name": "shop", "namespace": "shop"})

    assert [str(fault) for fault in validate_metadata(metadata, None, Namespace.kind, "label")] == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [("uid", "2", '"2"'), ("deletionTimestamp", "2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"')],
)
def test_what_the_server_decided_stays(field: str, value: str, shown: str):
    assert faults({**SOUND, "uid": "1", field: value}, {**SOUND, "uid": "1"}) == [
        f"metadata.{field}: Invalid value: {shown}: field is immutable"
    ]


def test_no_finalizer_is_added_to_an_object_on_its_way_out():
    leaving = {**SOUND, "deletionTimestamp": "2026-01-01T00:00:00Z"}

    assert faults({**leaving, "finalizers": ["a/b"]}, leaving) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a/b"}'
    ]
