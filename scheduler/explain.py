"""The text of a Decision: node by node, who refused it, with the numbers, or what it scored.

    print("\\n".join(explain(decision)))

Pure. Kubernetes tells only how many nodes were refused for which reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.cycle.decision import Decision, Refusal
from wherry.machinery.quantity import Format, Quantity

_BYTES = ("memory", "ephemeral-storage", "hugepages-")


def explain(decision: Decision) -> Iterator[str]:
    """Lines: the outcome, the nodes that can hold the pod from best to worst, then those that cannot, by name."""
    if decision.winner:
        second = f", then {decision.runner_up}" if decision.runner_up else ""
        fitting = int(decision.feasible.sum())
        yield f"{decision.pod}: {decision.winner}{second}; {fitting} of {len(decision.nodes)} nodes can hold it"
    else:
        yield f"{decision.pod}: {decision.message}"
    rows = range(len(decision.nodes))
    totals = decision.totals
    chosen = (decision.winner, decision.runner_up)
    for row in sorted((row for row in rows if decision.feasible[row]), key=lambda row: _rank(decision, row, chosen)):
        yield f"  {decision.nodes[row]}: {totals[row]:.1f} = {_sum_of_scores(decision, row)}"
    for row in sorted((row for row in rows if not decision.feasible[row]), key=lambda row: decision.nodes[row]):
        reasons = [_reason(refusal, row) for refusal in decision.refusals if refusal.nodes[row]]
        yield f"  {decision.nodes[row]}: {'; '.join(reasons)}"


def _rank(decision: Decision, row: int, chosen: tuple[str, str]) -> tuple[float, int, str]:
    name = decision.nodes[row]
    place = chosen.index(name) if name in chosen else len(chosen)
    return -round(float(decision.totals[row]), 4), place, name


def _sum_of_scores(decision: Decision, row: int) -> str:
    parts = (
        f"{scores.plugin} {scores.values[row]:.1f}" + (f" x {scores.weight}" if scores.weight != 1 else "")
        for scores in decision.scores
    )
    return " + ".join(parts) or "no scores"


def _reason(refusal: Refusal, row: int) -> str:
    reason = f"{refusal.plugin}: {refusal.reason}"
    if refusal.free is None:
        return reason
    resource = refusal.reason.rpartition(" ")[2]
    wanted, free = _amount(resource, refusal.wanted), _amount(resource, int(refusal.free[row]))
    return f"{reason} (wants {wanted}, free {free})"


def _amount(resource: str, number: int) -> str:
    if resource == "cpu":
        return Quantity.from_millis(number).canonical()
    return Quantity.from_value(
        number, Format.BINARY_SI if resource.startswith(_BYTES) else Format.DECIMAL_SI
    ).canonical()
