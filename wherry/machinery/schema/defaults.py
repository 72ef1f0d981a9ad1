"""Defaults: what Kubernetes writes into an object where its author said nothing.

A rule belongs to a definition and holds wherever that definition appears: in a Pod and in the pod template of a
Deployment alike.

>>> defaults = Defaults()
>>> defaults.literal("io.k8s.api.core.v1.Container", terminationMessagePath="/dev/termination-log")
>>> @defaults("io.k8s.api.core.v1.Container")
... def pull_policy(container):
...     container.setdefault("imagePullPolicy", "IfNotPresent")

Rules of one definition run in the order of their registration, on a draft that is already checked, pruned and whose
children are complete. They add fields (`setdefault`), never assume that a field is there, and mutate nothing but the
draft they are given; an object or list that a rule adds is walked afterwards, so it gets its own defaults too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rule = Callable[[dict[str, Any]], None]


class Defaults:
    """A registry of rules, definition name to rules. Kinds register at import; later registrations count at once."""

    def __init__(self) -> None:
        self._rules: dict[str, list[Rule]] = {}
        self.count = 0
        """How many rules there are: what was filled when there were fewer may lack something."""

    def __call__(self, definition: str) -> Callable[[Rule], Rule]:
        """Decorate the function that fills the definition's computed defaults."""

        def register(rule: Rule) -> Rule:
            self._add(definition, rule)
            return rule

        return register

    def literal(self, definition: str, **values: Any) -> None:
        """Fill these fields where they are absent."""

        def fill(draft: dict[str, Any]) -> None:
            for field, value in values.items():
                if field not in draft:
                    draft[field] = fresh(value)

        self._add(definition, fill)

    def _add(self, definition: str, rule: Rule) -> None:
        self.rules(definition).append(rule)
        self.count += 1

    def rules(self, definition: str) -> list[Rule]:
        """The live list of a definition's rules; the compiled walker holds on to it."""
        return self._rules.setdefault(definition, [])


def fresh(value: Any) -> Any:
    """A copy of a JSON value that shares no container with it."""
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fresh(item) for item in value]
    return value


defaults = Defaults()
"""The registry that the kinds under `wherry/api` fill and the API server reads."""
