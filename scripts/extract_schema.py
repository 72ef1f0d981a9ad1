"""Write `wherry/machinery/schema/definitions.json` from Kubernetes' published schema; once per Kubernetes version.

    python scripts/extract_schema.py

Reads the installed `kubernetes-validate` package (extra `explain`), which carries the OpenAPI definitions of
Kubernetes in a JSON Schema dialect, and keeps every definition that a stable kind reaches. Written are facts only:
field names, types, formats, merge and list keys, required fields. The sentences stay behind; `apiserver/openapi.py`
reads them at run time where they are installed.

The file is one JSON object, one definition a line, so that a diff between two Kubernetes versions can be read.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

VERSION = "v1.37.0"
TARGET = Path(__file__).parents[1] / "wherry" / "machinery" / "schema" / "definitions.json"

STABLE = re.compile(r"\.v\d+\.[A-Z]\w*$")
# Kinds that are served before they are stable: what pods are members of when they are scheduled together.
BETA = re.compile(r"\.scheduling\.v1beta1\.(PodGroup|Workload)(List)?$")
REF = "#/components/schemas/"

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
# Objects without a single published field that are not empty structs but carry whatever their author put in.
FREE_FORM = ("io.k8s.apimachinery.pkg.runtime.RawExtension", META + "FieldsV1", META + "Patch")
METRICS = "io.k8s.metrics.pkg.apis.metrics.v1beta1."

# Upstream's `+default=` markers, which the source package drops. They also complete the list keys of server-side apply.
DEFAULTS: dict[str, dict[str, Any]] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "io.k8s.api.core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "io.k8s.api.core.v1.RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "io.k8s.api.core.v1.RBDPersistentVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "io.k8s.api.core.v1.ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "io.k8s.api.core.v1.ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "io.k8s.api.core.v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
}


def main() -> int:
    published = read_published()
    wanted = reachable(published)
    kept = {name: node for name, node in translate(published).items() if name in wanted}
    kept |= metrics()
    for name, fields in DEFAULTS.items():
        for field, value in fields.items():
            kept[name]["properties"][field]["default"] = value
    lines = (f"{json.dumps(name)}:{json.dumps(kept[name], separators=(',', ':'))}" for name in sorted(kept))
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{TARGET}: {len(kept)} definitions, {TARGET.stat().st_size} bytes")
    return 0


def read_published() -> dict[str, Any]:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"{VERSION}-local"
    definitions: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return definitions


def reachable(published: dict[str, Any]) -> set[str]:
    """The names of all stable definitions and of whatever they mention."""
    found: set[str] = set()
    waiting = [name for name in published if STABLE.search(name) or BETA.search(name)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(references(published[name]))
    return found


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        # `JSONSchemaProps` has a property that is named `$ref`; only a string is a reference.
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def translate(published: dict[str, Any]) -> dict[str, Any]:
    translated = {name: schema(node) for name, node in published.items()}
    translated[QUANTITY] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    for name in FREE_FORM:
        translated[name]["x-kubernetes-preserve-unknown-fields"] = True
    translated[INT_OR_STRING] = {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return translated


def schema(node: dict[str, Any]) -> dict[str, Any]:
    """One node in OpenAPI v3's words: a single type, no description, no list of allowed kinds."""
    result: dict[str, Any] = {}
    for word, value in node.items():
        match word:
            case "description" | "enum" | "oneOf":
                continue
            case "$ref":
                result[word] = REF + value.rpartition("/")[2]
            case "type":
                result[word] = value if isinstance(value, str) else next(name for name in value if name != "null")
            case "properties":
                result[word] = {name: schema(child) for name, child in value.items()}
            case "items" | "additionalProperties":
                result[word] = schema(value) if isinstance(value, dict) else value
            case "x-kubernetes-group-version-kind":
                result[word] = [gvk for gvk in value if is_served(**gvk)]
            case _:
                result[word] = value
    return result


def is_served(group: str, version: str, kind: str) -> bool:
    """Whether a kind of this name and version is one of ours."""
    return bool(re.fullmatch(r"v\d+", version)) or (group == "scheduling.k8s.io" and version == "v1beta1")


def metrics() -> dict[str, Any]:
    """`metrics.k8s.io` is served by an aggregated server upstream, so the published schema has none of it."""
    usage = {"type": "object", "additionalProperties": {"$ref": REF + QUANTITY}}
    own: dict[str, Any] = {"ContainerMetrics": {"name": {"type": "string"}, "usage": usage}}
    own["NodeMetrics"] = {**measured("ObjectMeta"), "usage": usage}
    containers = {"type": "array", "items": {"$ref": REF + METRICS + "ContainerMetrics"}}
    own["PodMetrics"] = {**measured("ObjectMeta"), "containers": containers}
    for kind in ("NodeMetrics", "PodMetrics"):
        items = {"type": "array", "items": {"$ref": REF + METRICS + kind}}
        own[kind + "List"] = {**resource("ListMeta"), "items": items}
    definitions: dict[str, Any] = {}
    for kind, properties in own.items():
        definitions[METRICS + kind] = {"type": "object", "properties": properties}
        if "metadata" in properties:
            gvk = {"group": "metrics.k8s.io", "version": "v1beta1", "kind": kind}
            definitions[METRICS + kind]["x-kubernetes-group-version-kind"] = [gvk]
    return definitions


def measured(metadata: str) -> dict[str, Any]:
    clock = {"timestamp": {"$ref": REF + META + "Time"}, "window": {"type": "string"}}
    return {**resource(metadata), **clock}


def resource(metadata: str) -> dict[str, Any]:
    text = {"type": "string"}
    return {"apiVersion": text, "kind": text, "metadata": {"$ref": REF + META + metadata}}


if __name__ == "__main__":
    sys.exit(main())
