"""Trace: the nodes and the workload of a replay, read from files people can write.

Nodes are YAML, a list of kinds of nodes:

    - {name: gpu, count: 4, allocatable: {cpu: "64", memory: 256Gi, nvidia.com/gpu: "8"}, labels: {rack: a}}

A workload is CSV, a line for each job, its times in seconds. Columns beyond these are resources that each of its pods
requests, and `label:KEY` and `select:KEY` are labels and node selectors of them:

    name,at,seconds,count,priority,cpu,nvidia.com/gpu
    train,0,3600,2,0,8,4
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scheduler.config import problems_of
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.machinery.errors import Invalid
from wherry.machinery.quantity import Quantity

_OWN = ("name", "at", "seconds", "count", "priority")
_LABEL, _SELECT = "label:", "select:"
_PODS = "110"


class TraceError(ValueError):
    """A file cannot be used; says where, what was seen, and what is allowed."""


class NodeKind(BaseModel):
    """So many nodes alike, called NAME-1, NAME-2 and so on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    count: int = Field(default=1, ge=1, le=10_000)
    allocatable: dict[str, str]
    labels: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()


class Task(NamedTuple):
    """A pod that comes `at` an instant and runs for so many `seconds` once it has a node."""

    pod: Pod
    at: float
    seconds: float


def read_nodes(path: Path) -> list[Node]:
    """The nodes of a file; raises TraceError."""
    try:
        written = yaml.safe_load(path.read_text())
        if not isinstance(written, list):
            raise TraceError(f"{path}: expected a YAML list of kinds of nodes, each with name, count and allocatable")
        kinds = TypeAdapter(list[NodeKind]).validate_python(written)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise TraceError(f"{path}: {problems_of(error)}") from error
    for kind in kinds:
        for resource, size in kind.allocatable.items():
            _check_quantity(f"{path}: {kind.name}", resource, size)
    return [_node(kind, number) for kind in kinds for number in range(1, kind.count + 1)]


def read_tasks(path: Path) -> list[Task]:
    """The pods of a workload in the order in which they come; raises TraceError."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: not CSV: {error}") from error
    if not rows or not {"at", "seconds"} <= rows[0].keys():
        raise TraceError(f"{path}: expected a first line with at least the columns at,seconds and a line for each job")
    tasks = [task for number, row in enumerate(rows, 2) for task in _tasks(f"{path}:{number}", number, row)]
    return sorted(tasks, key=lambda task: task.at)


def _tasks(place: str, number: int, row: Mapping[str, str]) -> Iterator[Task]:
    if None in row or None in row.values():
        raise TraceError(f"{place}: it has another number of fields than the first line")
    at, seconds = _number(place, row, "at", "0"), _number(place, row, "seconds", "")
    count, priority = _whole(place, row, "count", 1), _whole(place, row, "priority", 0)
    name = row.get("name") or f"job-{number - 1}"
    for index in range(1, count + 1):
        yield Task(_pod(place, f"{name}-{index}", f"{number}-{index}", priority, row), at, seconds)


def _pod(place: str, name: str, uid: str, priority: int, row: Mapping[str, str]) -> Pod:
    requests = {key: value for key, value in row.items() if value and key not in _OWN and ":" not in key}
    for resource, size in requests.items():
        _check_quantity(place, resource, size)
    container = {"name": "main", "image": "main", "resources": {"requests": requests}}
    selector = {"nodeSelector": _keyed(row, _SELECT), "priority": priority}
    metadata = {"name": name, "namespace": "default", "uid": uid, "labels": _keyed(row, _LABEL)}
    return Pod.read({"metadata": metadata, "spec": {"containers": [container], **selector}})


def _node(kind: NodeKind, number: int) -> Node:
    name = f"{kind.name}-{number}"
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **kind.labels}}
    status = {"allocatable": {"pods": _PODS, **kind.allocatable}}
    return Node.read({"metadata": metadata, "spec": {"taints": list(kind.taints)}, "status": status})


def _keyed(row: Mapping[str, str], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix) and value}


def _number(place: str, row: Mapping[str, str], key: str, default: str) -> float:
    text = row.get(key) or default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise TraceError(f"{place}: {key}: {text!r}: expected seconds, from 0 to a thousand million")
    return number


def _whole(place: str, row: Mapping[str, str], key: str, default: int) -> int:
    text = row.get(key) or str(default)
    if not text.removeprefix("-").isdecimal() or (key == "count" and int(text) < 1) or abs(int(text)) > 10**9:
        raise TraceError(f"{place}: {key}: {text!r}: expected a whole number")
    return int(text)


def _check_quantity(place: str, resource: str, size: str) -> None:
    try:
        Quantity.parse(size)
    except (Invalid, ValueError) as error:
        raise TraceError(f"{place}: {resource}: {size!r}: expected a quantity such as 500m, 4 or 16Gi") from error
