"""Any object: a sound pod passes whole; whatever is hostile is told its faults, and nothing worse happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import container, created, deployment, faults, faults_of_update, pod, service, thing

from wherry.api.core.pod import Pod
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import all_kinds
from wherry.machinery.schema import Schema, schema_for

label = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
amount = st.sampled_from(["0", "1", "250m", "1.5", "2e3", "64Mi", "1Gi", 3])
port = st.integers(1, 65535)
probe = st.one_of(
    st.fixed_dictionaries({"exec": st.just({"command": ["true"]})}),
    st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": port}, optional={"path": st.just("/x")})}),
    st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": port})}),
)
toleration = st.fixed_dictionaries(
    {"operator": st.just("Exists")},
    optional={"key": label, "effect": st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])},
)
sound_containers = st.fixed_dictionaries(
    {"name": label, "image": st.sampled_from(["nginx", "nginx:1.29", "r:5000/a/b@sha256:" + "0" * 64])},
    optional={
        "command": st.lists(st.text(max_size=5), max_size=3),
        "env": st.lists(st.fixed_dictionaries({"name": label, "value": st.text(max_size=5)}), max_size=3),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": port}), max_size=2),
        "resources": st.fixed_dictionaries({}, optional={"requests": st.dictionaries(st.just("cpu"), amount)}),
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": st.just([{"name": "data", "mountPath": "/data"}]),
        "tty": st.booleans(),
    },
)
sound_specs = st.fixed_dictionaries(
    {
        "containers": st.lists(sound_containers, min_size=1, max_size=3, unique_by=lambda one: one["name"]),
        "volumes": st.just([{"name": "data", "emptyDir": {}}]),
    },
    optional={
        "restartPolicy": st.sampled_from(["Always", "OnFailure", "Never"]),
        "nodeSelector": st.dictionaries(label, label, max_size=2),
        "tolerations": st.lists(toleration, max_size=2),
        "hostNetwork": st.just(False),
        "activeDeadlineSeconds": st.integers(1, 2**31 - 1),
    },
)


def is_kept(written: Any, stored: Any) -> bool:
    """Whether everything that was written is stored, amounts perhaps in another notation."""
    if isinstance(written, dict):
        return all(key in stored and is_kept(value, stored[key]) for key, value in written.items())
    if isinstance(written, list):
        return len(written) == len(stored) and all(map(is_kept, written, stored))
    return written == stored or Quantity.parse(written) == Quantity.parse(stored)


@given(spec=sound_specs)
@settings(max_examples=60, deadline=None)
def test_a_sound_pod_is_stored_whole_and_breaks_no_rule(spec: dict[str, Any]):
    manifest = pod(**spec)
    stored = created(manifest)

    assert is_kept(manifest["spec"], stored["spec"])
    assert faults(manifest) == []
    assert created({**stored, "kind": "Pod"}) == stored
    assert list(Pod.read(stored).validate(Pod.read(stored))) == []


words = st.one_of(
    st.text(max_size=12), st.sampled_from(["", "..", "/", "a" * 300, "-1", "25%", "1e999", "\u0000", "0x1"])
)
numbers = st.one_of(st.integers(), st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63)]))
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def places(schema: Schema, path: tuple[str, ...] = (), depth: int = 0) -> list[tuple[str, ...]]:
    """Paths to the fields of an object; lists as their first item."""
    found = []
    for name, child in schema.properties.items():
        here = (*path, name)
        found.append(here)
        node = child.items or child
        if depth < 5 and node.properties:
            found += places(node, (*here, "[0]") if child.items else here, depth + 1)
    return found


def planted(path: tuple[str, ...], value: Any) -> Any:
    """JSON with a value at a path."""
    for step in reversed(path):
        value = [value] if step == "[0]" else {step: value}
    return value


def merged(base: Any, planted: Any) -> Any:
    """The object with that value in it."""
    if isinstance(base, dict) and isinstance(planted, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in planted.items()}}
    if isinstance(base, list) and isinstance(planted, list) and base and planted:
        return [merged(base[0], planted[0]), *base[1:]]
    return planted


BASES = [pod(), deployment(), service(), *(thing(cls.kind.name, cls.kind.api_version) for cls in all_kinds())]


@pytest.mark.parametrize("base", BASES, ids=lambda base: base["kind"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_hostile_value_is_refused_in_words(base: dict[str, Any], data: st.DataObject):
    fields = places(schema_for(base["apiVersion"], base["kind"]))
    path = data.draw(st.sampled_from([field for field in fields if field[0] not in ("apiVersion", "kind")]))
    manifest = merged(base, planted(path, data.draw(anything)))

    try:
        found = faults(manifest) + faults_of_update(base, manifest)
    except TypeError as refused:  # the walker's: this value is of the wrong type
        found = [str(refused)]

    assert all(found)


@pytest.mark.parametrize("hostile", ["a" * 100_000, "-" * 100_000, "a." * 50_000, "." * 100_000, "9" * 100_000])
def test_long_names_are_judged_quickly(hostile: str):
    assert faults(pod(containers=[container(name=hostile)], nodeName=hostile, hostname=hostile))
