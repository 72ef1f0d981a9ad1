"""The table of protobuf messages agrees with itself and with the schema."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from wherry.machinery.protobuf.fields import message, message_names, package

PLAIN = {"int", "string", "bytes", "bool", "double", "json"}
GROUPS = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta.v1",
    "apiext": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
}
GROUPS |= {"apireg": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1", "core": "io.k8s.api.core.v1"}
GROUPS |= {"authn": "io.k8s.api.authentication.v1", "authz": "io.k8s.api.authorization.v1"}
GROUPS |= {"admission": "io.k8s.api.admissionregistration.v1"}
GROUPS |= {"gangs": "io.k8s.api.scheduling.v1beta1"}
GROUPS |= {"autoscaling1": "io.k8s.api.autoscaling.v1", "autoscaling2": "io.k8s.api.autoscaling.v2"}

# Renamed between the alpha of 1.36, which the table has, and 1.37.
RENAMED = {
    "core.NodeAllocatableResourceClaimStatus": {"resources"},
    "resource.Device": {"nodeAllocatableResourceMappings"},
}


def json_names(name: str) -> set[str]:
    names = set()
    for field in (message(name) or {}).values():
        names |= {field.name} if field.name else json_names(field.type)
    return names


def published() -> dict[str, set[str]]:
    text = resources.files("wherry.machinery.schema").joinpath("definitions.json").read_text()
    return {name: set(node.get("properties", ())) for name, node in json.loads(text).items()}


def test_every_type_is_a_message_or_plain():
    types = {field.type for name in message_names() for field in message(name).values()}

    assert {type for type in types if type not in PLAIN and message(type) is None} == set()


def test_every_field_exists_in_the_schema():
    schema = published()
    unknown = {}
    for name in message_names():
        group, _, kind = name.partition(".")
        properties = schema.get(f"{GROUPS.get(group, f'io.k8s.api.{group}.v1')}.{kind}")
        if properties and (extra := json_names(name) - properties):
            unknown[name] = extra

    assert unknown == RENAMED


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "Eviction"),
    ],
)
def test_finds_the_message_of_a_kind(api_version, kind):
    assert message(f"{package(api_version)}.{kind}")[1].type == "meta.ObjectMeta"
