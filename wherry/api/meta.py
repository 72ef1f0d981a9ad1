"""What several kinds share: conditions, label selectors, references. Kubernetes: metav1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from wherry.machinery.selectors import Requirements, from_label_selector
from wherry.machinery.view import Verbatim, View


class Condition(View):
    """One aspect of an object's state, with the time it last changed."""

    type: str = ""
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_transition_time: datetime | None = None
    last_update_time: datetime | None = None
    last_heartbeat_time: datetime | None = None
    last_probe_time: datetime | None = None

    @property
    def is_true(self) -> bool:
        """Whether the condition holds."""
        return self.status == "True"


Conditions = tuple[Condition, ...]


def find_condition(conditions: Iterable[Condition], type: str) -> Condition | None:
    """The condition of that type, if it is reported."""
    return next((condition for condition in conditions if condition.type == type), None)


def has_condition(conditions: Iterable[Condition], type: str) -> bool:
    """Whether the condition of that type is True."""
    condition = find_condition(conditions, type)
    return condition is not None and condition.is_true


def with_condition(conditions: Conditions, new: Condition, now: datetime) -> Conditions:
    """The conditions with one set; `lastTransitionTime` moves only when its status changes."""
    old = find_condition(conditions, new.type)
    same = old is not None and old.status == new.status
    new = new.replace(last_transition_time=old.last_transition_time if same and old else now)
    if old is None:
        return (*conditions, new)
    return tuple(new if condition.type == new.type else condition for condition in conditions)


def without_condition(conditions: Conditions, type: str) -> Conditions:
    """The conditions less the one of that type."""
    return tuple(condition for condition in conditions if condition.type != type)


class Selector(Verbatim):
    """A LabelSelector. An empty one selects everything; where there is none, `NOTHING` stands and selects nothing."""

    __slots__ = ("__dict__",)  # for the cached property

    @cached_property
    def _requirements(self) -> Requirements:
        return from_label_selector(self.raw)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return self._requirements.matches(labels)

    @property
    def is_empty(self) -> bool:
        """Whether it has no term, and so selects everything."""
        return not self.raw.get("matchLabels") and not self.raw.get("matchExpressions")

    @property
    def match_labels(self) -> dict[str, str]:
        """The equality terms."""
        labels: dict[str, str] = self.raw.get("matchLabels") or {}
        return labels

    def __str__(self) -> str:
        return str(self._requirements)


class _NoSelector(Selector):
    """What a field without a selector holds."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        return False

    def __str__(self) -> str:
        return "<none>"


NOTHING: Selector = _NoSelector()
"""No selector at all: it selects nothing."""


class ObjectReference(View):
    """A pointer to an object."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class LocalReference(View):
    """The name of something in the same namespace."""

    name: str = ""


def reference_to(obj: Any) -> dict[str, Any]:
    """An ObjectReference, as JSON, to a Resource."""
    reference = {
        "apiVersion": obj.kind.api_version,
        "kind": obj.kind.name,
        "namespace": obj.metadata.namespace,
        "name": obj.metadata.name,
        "uid": obj.metadata.uid,
        "resourceVersion": obj.metadata.resource_version,
    }
    return {key: value for key, value in reference.items() if value}
