"""What may change in a pod after its creation: little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import orjson

from wherry.api.core.pod.container import Container
from wherry.api.core.pod.spec import Affinity, NodeAffinity, NodeSelectorTerm, PodSpec, Toleration
from wherry.api.core.pod.validation.spec import MIRROR
from wherry.machinery.field_errors import FieldError, forbidden, invalid
from wherry.machinery.validation import MAX_INT32, under

if TYPE_CHECKING:
    from wherry.api.core.pod.resource import Pod

UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_REQUIRED_TERMS = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def check_pod_update(pod: Pod, old: Pod) -> Iterator[FieldError]:
    """A write to the pod itself; `binding`, `resize` and `ephemeralcontainers` have rules of their own."""
    yield from _check_mirror_annotation(pod, old)
    spec, before = pod.spec, old.spec
    for field, now, then in (
        ("containers", spec.containers, before.containers),
        ("initContainers", spec.init_containers, before.init_containers),
    ):
        if len(now) != len(then):
            yield forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
    deadline = tuple(_check_deadline(spec.active_deadline_seconds, before.active_deadline_seconds))
    yield from deadline
    if deadline and spec.active_deadline_seconds is not None:
        return
    yield from _check_tolerations(spec.tolerations, before.tolerations)
    yield from _check_gates(spec, before)
    if spec != before:
        yield from under("spec", _check_rest(spec, before))


def _check_mirror_annotation(pod: Pod, old: Pod) -> Iterator[FieldError]:
    now, before = pod.metadata.annotations.get(MIRROR), old.metadata.annotations.get(MIRROR)
    if now != before:
        verb = "add" if before is None else "remove or update"
        yield forbidden(f"metadata.annotations[{MIRROR}]", f"may not {verb} mirror pod annotation")


def _check_deadline(seconds: int | None, before: int | None) -> Iterator[FieldError]:
    field = "spec.activeDeadlineSeconds"
    if seconds is None:
        if before is not None:
            yield invalid(field, None, "must not update from a positive integer to nil value")
    elif not 0 <= seconds <= MAX_INT32:
        yield invalid(field, seconds, f"must be between 0 and {MAX_INT32}, inclusive")
    elif before is not None and seconds > before:
        yield invalid(field, seconds, "must be less than or equal to previous value")


def _check_tolerations(tolerations: tuple[Toleration, ...], before: tuple[Toleration, ...]) -> Iterator[FieldError]:
    kept = {toleration.replace(toleration_seconds=None) for toleration in tolerations}
    if any(toleration.replace(toleration_seconds=None) not in kept for toleration in before):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", why)


def _check_gates(spec: PodSpec, before: PodSpec) -> Iterator[FieldError]:
    known = frozenset(before.scheduling_gates)
    for index, gate in enumerate(spec.scheduling_gates):
        if gate not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            yield forbidden(f"spec.schedulingGates[{index}].name", why)


def _check_rest(spec: PodSpec, before: PodSpec) -> Iterator[FieldError]:
    """Whatever else differs, once the fields that may are made the same."""
    spec = spec.replace(
        containers=_with_images_of(spec.containers, before.containers),
        init_containers=_with_images_of(spec.init_containers, before.init_containers),
        active_deadline_seconds=before.active_deadline_seconds,
        scheduling_gates=before.scheduling_gates,
        tolerations=before.tolerations,
    )
    if before.termination_grace_period_seconds < 0 and spec.termination_grace_period_seconds == 1:
        spec = spec.replace(termination_grace_period_seconds=before.termination_grace_period_seconds)
    if before.scheduling_gates:
        yield from _check_narrowing(spec, before)
        spec = _with_node_choice_of(spec, before)
    if spec != before:
        allowed = ",".join(UPDATABLE)
        yield forbidden("", f"pod updates may not change fields other than {allowed}\n{difference(before, spec)}")


def _with_images_of(containers: tuple[Container, ...], before: tuple[Container, ...]) -> tuple[Container, ...]:
    return tuple(now.replace(image=then.image) for now, then in zip(containers, before, strict=True))


def _check_narrowing(spec: PodSpec, before: PodSpec) -> Iterator[FieldError]:
    """While gates hold a pod back, its choice of nodes may become narrower."""
    if not before.node_selector.items() <= spec.node_selector.items():
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        yield invalid("nodeSelector", spec.node_selector, why)
    now, then = _node_terms(spec.affinity), _node_terms(before.affinity)
    if then and len(now) != len(then):
        why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield invalid(_REQUIRED_TERMS, [term.to_wire() for term in now], why)
        return
    for index, (term, old_term) in enumerate(zip(now, then, strict=False)):
        if not (
            set(old_term.match_expressions) <= set(term.match_expressions)
            and set(old_term.match_fields) <= set(term.match_fields)
        ):
            why = "only additions are allowed (no mutations or deletions)"
            yield invalid(f"{_REQUIRED_TERMS}[{index}]", term.to_wire(), why)


def _node_terms(affinity: Affinity) -> tuple[NodeSelectorTerm, ...]:
    nodes = affinity.node_affinity or NodeAffinity()
    selector = nodes.required_during_scheduling_ignored_during_execution
    return selector.node_selector_terms if selector else ()


def _with_node_choice_of(spec: PodSpec, before: PodSpec) -> PodSpec:
    affinity = spec.affinity.replace(node_affinity=before.affinity.node_affinity)
    return spec.replace(node_selector=before.node_selector, affinity=affinity)


def difference(before: PodSpec, after: PodSpec) -> str:
    """The fields that differ, a line each for what was and what is.

    Differs: Kubernetes prints a diff of its Go structs here.
    """
    fields = [
        each for each in msgspec.structs.fields(before) if getattr(before, each.name) != getattr(after, each.name)
    ]
    return "".join(f"- {_shown(field, before)}\n+ {_shown(field, after)}\n" for field in fields)


def _shown(field: msgspec.structs.FieldInfo, spec: PodSpec) -> str:
    """A field and its value; one that has its default is not on the wire."""
    value = getattr(spec, field.name)
    default = value if isinstance(value, str | int) else None
    return f"{field.encode_name}: {orjson.dumps(spec.to_wire().get(field.encode_name, default)).decode()}"


def check_ephemeral_containers_update(pod: Pod, old: Pod) -> Iterator[FieldError]:
    """A write through `/ephemeralcontainers`: containers may be added, and stay as they are."""
    if MIRROR in old.metadata.annotations:
        yield forbidden("[]", "static pods do not support ephemeral containers")
        return
    now = {container.name: container for container in pod.spec.ephemeral_containers}
    for container in old.spec.ephemeral_containers:
        if container.name not in now:
            why = f'existing ephemeral containers "{container.name}" may not be removed\n'
            yield forbidden("spec.ephemeralContainers", why)
        elif now[container.name] != container:
            why = f'existing ephemeral containers "{container.name}" may not be changed\n'
            yield forbidden("spec.ephemeralContainers", why)
