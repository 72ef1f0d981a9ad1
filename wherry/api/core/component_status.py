"""ComponentStatus: whether a part of the control plane answers. Asked when read, never stored.

Behaviour: apiserver/reading/components.py.
"""

from __future__ import annotations

from wherry.machinery.resource import Column, Resource
from wherry.machinery.view import View


class ComponentCondition(View):
    """What a question for its health brought."""

    type: str = ""
    status: str = ""
    message: str = ""
    error: str = ""


NOT_ASKED = ComponentCondition(type="Healthy", status="Unknown")


class ComponentStatus(
    Resource, version="v1", plural="componentstatuses", scope="Cluster", short=("cs",), verbs=("get", "list")
):
    """Whether a part of the control plane answers."""

    conditions: tuple[ComponentCondition, ...] = ()

    deprecation = "v1 ComponentStatus is deprecated in v1.19+"
    columns = (
        Column("Status", lambda component: _word(component.health.status)),
        Column("Message", lambda component: component.health.message),
        Column("Error", lambda component: component.health.error),
    )

    @property
    def health(self) -> ComponentCondition:
        """Its condition Healthy."""
        return next((each for each in self.conditions if each.type == "Healthy"), NOT_ASKED)


def _word(status: str) -> str:
    return {"True": "Healthy", "Unknown": "Unknown"}.get(status, "Unhealthy")
