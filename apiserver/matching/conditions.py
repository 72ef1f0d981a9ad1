"""Match conditions: expressions in CEL that must all be true. Kubernetes: admission/plugin/webhook/matchconditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from apiserver.matching.known import Known
from wherry.api.admission.expressions import compiled
from wherry.api.admission.matching import MatchCondition
from wherry.machinery.cel import Failure, Program


class Outcome(NamedTuple):
    """Whether all conditions hold, and the problems of those that could not be evaluated."""

    holds: bool
    problems: tuple[str, ...] = ()


class Conditions:
    """The conditions of one webhook or policy."""

    def __init__(self, conditions: Sequence[MatchCondition]) -> None:
        self._programs = [(each.name, compiled(each.expression)) for each in conditions]

    def __bool__(self) -> bool:
        return bool(self._programs)

    def evaluate(self, known: Known) -> Outcome:
        """One that is false settles it, even if others failed."""
        problems = []
        for name, program in self._programs:
            result = _result(program, known)
            if isinstance(result, Failure):
                problems.append(f"match condition {name!r} failed: {result.message}".replace("'", '"'))
            elif result is not True:
                return Outcome(False)
        return Outcome(not problems, tuple(problems))


def _result(program: Program | Failure, known: Known) -> Any:
    return program if isinstance(program, Failure) else known.evaluate(program)
