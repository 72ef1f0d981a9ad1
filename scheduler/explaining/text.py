"""A Decision as text: node by node, who refused it, with the numbers, or what it scored.

    print("\\n".join(explain(decision)))

A `Record` is the same to be kept: of large clusters the best nodes only, and some of those that refused.

Pure. Kubernetes tells only how many nodes were refused for which reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
import numpy as np

from scheduler.cycle.decision import Decision, Refusal
from scheduler.cycle.plan import Choice
from wherry.api.resource.gpu import MEMORY
from wherry.machinery.quantity import Format, Quantity

_BYTES = ("memory", "ephemeral-storage", "hugepages-", MEMORY)
# The annotation of the events `Scheduled` and `FailedScheduling` that holds the record, as JSON.
DECISION = "scheduling.wherry.dev/decision"
# How many nodes that fit, and how many that do not, a record names.
MOST_KEPT = 10


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `outcome` in a line, what is to be said of each of the `nodes`, and how many more there were."""

    outcome: str
    nodes: dict[str, str] = {}
    left_out: int = 0

    def about(self, pod: str, message: str) -> Record:
        """The same nodes, as what is said of this pod."""
        return Record(f"{pod}: {message}", self.nodes, self.left_out)

    def lines(self) -> Iterator[str]:
        """As people read it."""
        yield self.outcome
        for node, text in self.nodes.items():
            yield f"  {node}: {text}"
        if self.left_out:
            yield f"  and {self.left_out} more"


def explain(decision: Decision, most: int | None = None) -> Iterator[str]:
    """Lines: the outcome, the nodes that can hold the pod from best to worst, then those that cannot, by name.

    Of both at most so many, if that is given.
    """
    return record_of(decision, most).lines()


def promised(pod: str, node: str) -> Record:
    """What is known of a pod that goes where room was made or kept for it."""
    return Record(f"{pod}: {node}, where room was kept for it")


def brief(pod: str, choice: Choice, nodes: int) -> Record:
    """What is known of a choice without asking anybody again."""
    return Record(f"{pod}: {_chosen(choice)}; {nodes} nodes were looked at")


def record_of(decision: Decision, most: int | None = MOST_KEPT) -> Record:
    """What a decision says of its nodes, or of `most` of them."""
    chosen = (decision.winner, decision.runner_up)
    fitting = _best(decision, most)
    fitting.sort(key=lambda row: _rank(decision, row, chosen))
    names = sorted((decision.nodes[row], row) for row in np.flatnonzero(~decision.feasible).tolist())[:most]
    texts = {decision.nodes[row]: f"{decision.totals[row]:.1f} = {_sum_of_scores(decision, row)}" for row in fitting}
    for name, row in names:
        texts[name] = "; ".join(_reason(refusal, row) for refusal in decision.refusals if refusal.nodes[row])
    return Record(_outcome(decision), texts, len(decision.nodes) - len(texts))


def record_of_room(decision: Decision, node: str, victims: Iterable[str]) -> Record:
    """What is kept of a pod that fitted nowhere, until others made way for it on this node."""
    kept = record_of(decision)
    row = decision.nodes.index(node)
    lacking = "; ".join(_reason(refusal, row) for refusal in decision.refusals if refusal.nodes[row])
    way = f"{', '.join(victims)} made way: of {len(decision.nodes)} nodes this is where that cost least"
    before = f"before: {decision.message}"
    others = {name: text for name, text in kept.nodes.items() if name != node}
    left_out = len(decision.nodes) - len(others) - 1
    return Record(f"{decision.pod}: {node}, by preemption; {before}", {node: f"{lacking}; {way}", **others}, left_out)


def record_of_moves(pod: str, node: str, moves: Mapping[str, Iterable[str]]) -> Record:
    """What is kept of a pod that fitted nowhere, until others moved away; `moves` tells who, by the node they left."""
    return Record(f"{pod}: {node}, by consolidation", {name: "; ".join(told) for name, told in sorted(moves.items())})


def _outcome(decision: Decision) -> str:
    if not decision.winner:
        return f"{decision.pod}: {decision.message}"
    scores = {decision.nodes[row]: float(decision.totals[row]) for row in _chosen_rows(decision)}
    runner_up = decision.runner_up
    choice = Choice(decision.winner, scores[decision.winner], runner_up, scores.get(runner_up, 0.0))
    fitting = f"{int(decision.feasible.sum())} of {len(decision.nodes)} nodes can hold it"
    return f"{decision.pod}: {_chosen(choice)}; {fitting}"


def _chosen(choice: Choice) -> str:
    if not choice.runner_up:
        return choice.node
    less = max(choice.score - choice.runner_up_score, 0.0)
    return f"{choice.node}, then {choice.runner_up} ({f'{less:.1f} less' if less >= 0.05 else 'as good'})"


def _best(decision: Decision, most: int | None) -> list[int]:
    rows = np.flatnonzero(decision.feasible)
    if most is None or len(rows) <= most:
        best: list[int] = rows.tolist()
        return best
    best = rows[np.argpartition(-decision.totals[rows], most)[:most]].tolist()
    # Where many are equally good the seed chose, and who it chose is what one wants to know.
    named = _chosen_rows(decision)
    return [*named, *(row for row in best if row not in named)][:most]


def _chosen_rows(decision: Decision) -> list[int]:
    return [decision.nodes.index(name) for name in (decision.winner, decision.runner_up) if name]


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
    detail = f" {{{refusal.detail}}}" if refusal.detail else ""
    reason = f"{refusal.plugin}: {refusal.reason}{detail}"
    if refusal.free is None:
        return reason
    wanted = amount_text(refusal.resource, refusal.wanted)
    # Where room is kept for others, less than nothing is left of it.
    free = amount_text(refusal.resource, max(int(refusal.free[row]), 0))
    return f"{reason} (wants {wanted}, free {free})"


def amount_text(resource: str, number: int) -> str:
    """An amount as one writes it in a manifest."""
    if resource == "cpu":
        return Quantity.from_millis(number).canonical()
    return Quantity.from_value(
        number, Format.BINARY_SI if resource.startswith(_BYTES) else Format.DECIMAL_SI
    ).canonical()
