"""Definitions of custom kinds for tests, and how to have one served.

await declared(api, a_definition(versions=[a_version(schema=…)]))
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.apiserver.local_api import Api

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "replicas": {"type": "integer"},
        "port": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            },
        },
    },
}
STATUS: dict[str, Any] = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "ready": {"type": "string"}},
}


def a_version(
    name: str = "v1", *, storage: bool = True, spec: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A version with status, scale, columns and a selectable field."""
    schema = {"type": "object", "properties": {"spec": spec or SPEC, "status": STATUS}}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": ".status.ready", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": {**scale, "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": columns,
        "selectableFields": [{"jsonPath": ".spec.color"}] if spec is None else [],
        **more,
    }


def a_definition(
    plural: str = "widgets", kind: str = "Widget", *, versions: list[dict[str, Any]] | None = None, **spec: Any
) -> dict[str, Any]:
    """A CustomResourceDefinition of `example.com`."""
    names = {"plural": plural, "kind": kind, "shortNames": spec.pop("short", ["wd"]), "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": versions or [a_version()],
            **spec,
        },
    }


def a_widget(name: str = "a", version: str = "v1", **spec: Any) -> dict[str, Any]:
    """A Widget."""
    head = {"apiVersion": f"example.com/{version}", "kind": "Widget", "metadata": {"name": name}}
    return {**head, "spec": {"size": 3, **spec}}


async def declared(api: Api, definition: dict[str, Any]) -> dict[str, Any]:
    """Create the definition and wait until its conditions are told."""
    await api.made(DEFINITIONS, definition)
    return await told(api, definition["metadata"]["name"])


async def told(api: Api, name: str, type: str = "Established") -> dict[str, Any]:
    """The definition, once it reports a condition."""
    while True:
        found = (await api.get(f"{DEFINITIONS}/{name}")).json
        if any(condition["type"] == type for condition in found["status"]["conditions"]):
            return found
        await asyncio.sleep(0)


async def gone(api: Api, path: str) -> None:
    """Wait until nothing is there."""
    while True:
        if (await api.get(path)).status == 404:
            return
        await asyncio.sleep(0.01)
