"""Answers in protobuf: what goes out is what clients read back, for every kind and every field of the schema."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

import wherry.api.kinds  # noqa: F401  (registers the kinds)
from wherry.machinery import protobuf
from wherry.machinery.resource import Resource, all_kinds
from wherry.machinery.schema.definitions import Schema

RECORDED = json.loads((Path(__file__).parent / "kubectl_bodies.json").read_text())
# Kinds of 1.37 whose messages we do not know are answered in JSON.
UNKNOWN = {"Queue", "FairShare"}  # kinds of our own have no messages
KINDS = [cls for cls in all_kinds() if cls.kind.verbs and cls.kind.name not in UNKNOWN]
# Values of what is no struct of its fields.
VALUES: dict[str, Any] = {
    "FieldsV1": {"f:a": {".": {}}},
    "IntOrString": "50%",
    "JSON": [1, None, {"a": "b"}],
    "JSONSchemaPropsOrArray": [{"type": "string"}],
    "JSONSchemaPropsOrBool": {"type": "integer", "maximum": 1.5},
    "JSONSchemaPropsOrStringArray": ["a"],
    "MicroTime": "2026-11-22T17:57:38.000123Z",
    "Quantity": "1500m",
    "RawExtension": {"kind": "X", "n": 1},
    "Time": "2026-11-22T17:57:38Z",
}
TYPE_META = ("apiVersion", "kind")
# What 1.37 added behind alpha gates has no number that we know.
UNNUMBERED = {
    "CSINode.status",
    "Device.nodeAllocatableResources",
    "DeviceCounterConsumption.compatibilityGroups",
    "DeviceRequestAllocationResult.skipNodeOperations",
    "DeviceSubRequest.derivedAttributes",
    "ExactDeviceRequest.derivedAttributes",
    "JobSpec.scheduling",
    "NodeAllocatableResourceClaimStatus.mapping",
    "NodeAllocatableResourceClaimStatus.overhead",
    "NodeSpec.podPreemptionPolicy",
    "PersistentVolumeClaimStatus.healthStatus",
    "PodSpec.evictionResponders",
    "PodStatus.volumeHealth",
    "ResourceSliceSpec.partitionTypeAttribute",
    "ResourceSliceSpec.skipNodeOperations",
}


class Filler:
    """Objects of a schema with values in their fields, none of them zero; `fullness` is how likely a field is set."""

    def __init__(self, seed: int, fullness: float) -> None:
        self.random, self.fullness = random.Random(seed), fullness

    def of(self, node: Schema, name: str = "", depth: int = 0) -> Any:
        short = node.name.rpartition(".")[2]
        if short in VALUES or name == "window":
            return VALUES.get(short, "1m30s")
        if node.items is not None:
            return [self.of(node.items, "", depth + 1) for _ in range(self.random.randint(1, 2))]
        if node.additional is not None:
            return {key: self.of(node.additional, "", depth + 1) for key in ("a", "b/c")}
        if node.properties:
            return self._struct(node, depth)
        text = f"s{self.random.random()}é"
        if node.format == "byte":
            return base64.b64encode(text.encode()).decode()
        plain = {"string": text, "boolean": True, "number": 2.5, "object": {}}
        return plain[node.type] if node.type in plain else self.random.choice([1, -5, 300, 2**31 - 1])

    def _struct(self, node: Schema, depth: int) -> Any:
        short = node.name.rpartition(".")[2]
        fields = {name: child for name, child in node.properties.items() if f"{short}.{name}" not in UNNUMBERED}
        # What an object is stands in the envelope; Go's messages of objects in objects do not say it.
        fields = {name: child for name, child in fields.items() if "metadata" not in fields or name not in TYPE_META}
        chosen = [name for name in fields if depth < 9 and self.random.random() < self.fullness]
        chosen = chosen or sorted(fields, key=lambda name: bool(fields[name].properties or fields[name].items))[:1]
        return {name: self.of(fields[name], name, depth + 1) for name in chosen}


def filled(cls: type[Resource], seed: int, fullness: float) -> dict[str, Any]:
    """An object of a kind, filled at random, as clients would get it."""
    made = Filler(seed, fullness).of(cls.schema())
    return {**made, "apiVersion": cls.kind.api_version, "kind": cls.kind.name}


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: f"{cls.kind.group}/{cls.kind.version}/{cls.kind.name}")
def test_every_field_of_a_kind_comes_back_as_it_went(cls):
    for seed, fullness in ((1, 1.0), (2, 0.4)):
        made = filled(cls, seed, fullness)

        assert protobuf.decode(protobuf.encode(made)) == made


@pytest.mark.parametrize("recorded", RECORDED, ids=[recorded["command"] for recorded in RECORDED])
def test_what_kubectl_sent_would_be_answered_as_it_is(recorded):
    assert protobuf.decode(protobuf.encode(recorded["object"])) == recorded["object"]


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        ({"replicas": 0, "revisionHistoryLimit": 0}, {"replicas": 0, "revisionHistoryLimit": 0}),
        ({"paused": False, "minReadySeconds": 0}, {}),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "25%"}}}, None),
        ({"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}, None),
        ({"selector": None, "unknown": 5}, {}),
    ],
)
def test_zeros_are_kept_where_kubernetes_keeps_them(spec, read):
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}

    assert protobuf.decode(protobuf.encode(made)).get("spec", {}) == (spec if read is None else read)


@pytest.mark.parametrize("port", [0, 80, -1, "http", ""])
def test_int_or_string_stays_what_it_is(port):
    probe = {"tcpSocket": {"port": port}}
    made = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "livenessProbe": probe}]}}

    assert protobuf.decode(protobuf.encode(made)) == made


@pytest.mark.parametrize("value", [True, False, {"type": "string"}])
def test_schemas_may_be_a_yes_or_a_no(value):
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"items": {"type": "x"}}}}
    version["schema"]["openAPIV3Schema"]["additionalProperties"] = value
    spec = {"group": "a.b", "scope": "Cluster", "names": {"plural": "ks", "kind": "K"}, "versions": [version]}
    made = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}

    assert protobuf.decode(protobuf.encode(made)) == made


def test_a_list_is_told_with_its_metadata():
    items = [{"metadata": {"name": name}, "data": {"k": name}} for name in ("a", "b")]
    metadata = {"resourceVersion": "7", "continue": "x", "remainingItemCount": 0}
    made = {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": metadata, "items": items}

    assert protobuf.decode(protobuf.encode(made)) == made


def test_the_first_bytes_are_those_of_kubernetes():
    body = protobuf.encode({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nn1"}})

    assert body == b'k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x07\n\x05\n\x03nn1\x1a\0"\0'


def test_what_has_no_form_is_refused():
    with pytest.raises(ValueError, match='no protobuf form of kind "Widget"'):
        protobuf.encode({"apiVersion": "example.com/v1", "kind": "Widget"})
