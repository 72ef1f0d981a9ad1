"""What workloads have in common: a selector, a template that it matches, pods that never end, counts that add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.core.pod import PodTemplate
from wherry.api.core.pod.validation import check_template
from wherry.api.meta import NOTHING, Selector
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column
from wherry.machinery.validation import check_selector, non_negative, under

OVER_REPLICAS = "cannot be greater than status.replicas"


def check_selector_and_template(selector: Selector, template: PodTemplate) -> Iterator[FieldError]:
    """Paths begin at the spec that holds both."""
    yield from check_set_selector(selector, "deployment")
    yield from check_label_match(selector, template)
    if not _can_be_read(selector):
        return
    yield from under("template", check_template(template))
    yield from check_never_ends(template, "ReplicaSet")


def check_set_selector(selector: Selector, kind: str) -> Iterator[FieldError]:
    """A selector that selects something; `kind` is the word that the message has for its owner."""
    if selector is NOTHING:
        yield required("selector")
        return
    yield from check_selector("selector", selector.raw)
    if selector.is_empty:
        yield invalid("selector", selector.raw, f"empty selector is invalid for {kind}")


def check_label_match(selector: Selector, template: PodTemplate) -> Iterator[FieldError]:
    """The pods to come are selected."""
    if selector is NOTHING or selector.is_empty:
        return
    if not _can_be_read(selector):
        yield invalid("selector", selector.raw, "invalid label selector")
    elif not selector.matches(template.metadata.labels):
        yield invalid(
            "template.metadata.labels", template.metadata.labels, "`selector` does not match template `labels`"
        )


def _can_be_read(selector: Selector) -> bool:
    try:
        selector.matches({})
    except ValueError:
        return False
    return True


def check_never_ends(template: PodTemplate, kind: str) -> Iterator[FieldError]:
    """Pods that are meant to run for ever."""
    restart_policy = template.spec.restart_policy
    if restart_policy != "Always":
        yield not_supported("template.spec.restartPolicy", restart_policy, ("Always",))
    if template.spec.active_deadline_seconds is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden("template.spec.activeDeadlineSeconds", why)


def check_counts(status: Any, *parts: tuple[str, int]) -> Iterator[FieldError]:
    """No count of a status is negative, and none of the given parts is over the whole."""
    wire = status.to_wire()
    for field, value in wire.items():
        if isinstance(value, int):
            yield from non_negative(f"status.{field}", value)
    for field, value in parts:
        if value > status.replicas:
            yield invalid(f"status.{field}", value, OVER_REPLICAS)
    if status.available_replicas > status.ready_replicas:
        yield invalid("status.availableReplicas", status.available_replicas, "cannot be greater than readyReplicas")


def _selector_text(owner: Any) -> str:
    try:
        return str(owner.spec.selector) or "<none>"
    except ValueError:
        return "<invalid>"


TEMPLATE_COLUMNS = (
    Column("Containers", lambda owner: ",".join(c.name for c in owner.spec.template.spec.containers), priority=1),
    Column("Images", lambda owner: ",".join(c.image for c in owner.spec.template.spec.containers), priority=1),
    Column("Selector", _selector_text, priority=1),
)
"""What `-o wide` adds for everything that has a pod template."""
