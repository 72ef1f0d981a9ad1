"""What would have to change so that a pod that waits gets a node: a few lines, the nearest way first.

    fits on gpu-2 when 1 nvidia.com/gpu frees; held by alice/train-3 (4, for 2h)

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from scheduler.cycle.decision import Decision, Refusal
from scheduler.explaining.holders import KEPT, Holder
from scheduler.explaining.picture import Judgement
from scheduler.explaining.text import amount_text
from scheduler.plugins.node_affinity import ENFORCED
from scheduler.pods import PodView

# Nodes that are named, and pods that are named for each.
MOST_NODES, MOST_HOLDERS = 3, 3


def hints(pod: PodView, judgement: Judgement, held: Mapping[str, Sequence[Holder]]) -> Iterator[str]:
    """The lines; `held` says who has what on each node."""
    decision, preemption = judgement
    if preemption.victims:
        victims = ", ".join(victim.key for victim in preemption.victims)
        is_lower = all(victim.spec.priority < pod.spec.priority for victim in preemption.victims)
        claim = "it is more important than" if is_lower else "its queue takes back what is its own from"
        yield f"{claim} {victims} on {preemption.node}, which would make way"
    yield from _never_enough(decision)
    lacking = _rows_that_lack_only(decision)
    near = [row for row in lacking if _frees(decision, row, held[decision.nodes[row]])]
    near.sort(key=lambda row: (_shortage(decision, row), decision.nodes[row]))
    for row in near[:MOST_NODES]:
        node = decision.nodes[row]
        if kept := _kept(decision, row, held[node]):
            yield f"it would fit on {node}, but room is kept there for {kept}"
        else:
            yield f"it fits on {node} when {_missing(decision, row)} frees; {_holders(decision, row, held[node])}"
    if lacking and not near and any(holder.is_own_gang for row in lacking for holder in held[decision.nodes[row]]):
        yield "no node has room for it beside the others of its gang, even if all who are there went"
    yield from _other_ways(decision)


def gated(pod: PodView) -> Iterator[str]:
    """A line of a pod that waits for more than a node."""
    if gates := ", ".join(gate.name for gate in pod.spec.scheduling_gates):
        yield f"it is not looked at before its scheduling gates are removed: {gates}"


def _refusals(decision: Decision, row: int) -> list[Refusal]:
    return [refusal for refusal in decision.refusals if refusal.nodes[row]]


def _rows_that_lack_only(decision: Decision) -> list[int]:
    """Where amounts are all that is missing, and the node would have them were it empty."""
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~decision.feasible.copy()
    for refusal in decision.refusals:
        if refusal.free is None or refusal.may_yield is None:
            rows &= ~refusal.nodes
        else:
            rows &= ~refusal.nodes | refusal.may_yield
    found: list[int] = np.flatnonzero(rows).tolist()
    return found


def _shortage(decision: Decision, row: int) -> float:
    short = (
        (each.wanted - int(each.free[row])) / max(each.wanted, 1)
        for each in _refusals(decision, row)
        if each.free is not None
    )
    return sum(short)


def _missing(decision: Decision, row: int) -> str:
    return " and ".join(
        f"{amount_text(each.resource, each.wanted - int(each.free[row]))} {each.resource}"
        for each in _refusals(decision, row)
        if each.free is not None
    )


def _frees(decision: Decision, row: int, held: Sequence[Holder]) -> bool:
    """Whether those who hold something there have as much as is missing; the rest of its own gang gives nothing."""
    others = [holder for holder in held if not holder.is_own_gang]
    return all(
        sum(holder.amounts.get(each.resource, 0) for holder in others) >= each.wanted - int(each.free[row])
        for each in _refusals(decision, row)
        if each.free is not None
    )


def _kept(decision: Decision, row: int, held: Sequence[Holder]) -> str:
    """For whom room is kept there that would be enough; empty if it would not."""
    kept = [holder for holder in held if holder.how == KEPT and not holder.is_own_gang]
    is_enough = all(
        sum(holder.amounts.get(each.resource, 0) for holder in kept) >= each.wanted - int(each.free[row])
        for each in _refusals(decision, row)
        if each.free is not None
    )
    return ", ".join(sorted(holder.name for holder in kept)) if is_enough else ""


def _holders(decision: Decision, row: int, held: Sequence[Holder]) -> str:
    resource = _refusals(decision, row)[0].resource
    having = [(holder.amounts.get(resource, 0), holder) for holder in held if holder.amounts.get(resource)]
    having.sort(key=lambda one: (-one[0], one[1].name))
    others = [(size, holder) for size, holder in having if not holder.is_own_gang]
    said = []
    for verb, some in (
        ("held by", [one for one in others if one[1].how != KEPT]),
        ("kept for", [one for one in others if one[1].how == KEPT]),
    ):
        named = ", ".join(_named(resource, *one) for one in some[:MOST_HOLDERS])
        more = f" and {len(some) - MOST_HOLDERS} more" if len(some) > MOST_HOLDERS else ""
        said += [f"{verb} {named}{more}"] if named else []
    if own := sum(size for size, holder in having if holder.is_own_gang):
        said.append(f"others of its gang would have {amount_text(resource, own)}")
    return "; ".join(said)


def _named(resource: str, size: int, holder: Holder) -> str:
    how = "" if holder.how in ("", KEPT) else f", {holder.how}"
    return f"{holder.name} ({amount_text(resource, size)}{how})"


def _never_enough(decision: Decision) -> Iterator[str]:
    for refusal in decision.refusals:
        if refusal.free is not None and refusal.nodes.all() and not np.any(refusal.may_yield):
            wanted = amount_text(refusal.resource, refusal.wanted)
            yield f"no node offers {wanted} {refusal.resource}, even if it were empty"


_WAYS = {
    "NodeUnschedulable": "`kubectl uncordon {node}` opens {node}",
    "TaintToleration": "a toleration of the taint would let it onto {node}",
    "NodeAffinity": "{node} lacks the labels that its selector or affinity asks for",
    "NodePorts": "{node} has the room, but another pod has the host port",
    "PodTopologySpread": "on {node} there would be too many like it",
    "InterPodAffinity": "pods on or near {node} are in the way, or the pods it wants to be near are missing",
}
_ENFORCED = "{node} lacks the labels that its scheduler's configuration asks for (addedAffinity)"


def _other_ways(decision: Decision) -> Iterator[str]:
    """Nodes that only one plugin keeps it off, and not for want of something."""
    plugins = dict.fromkeys(refusal.plugin for refusal in decision.refusals)
    for plugin in plugins:
        others = np.logical_or.reduce(
            [each.nodes for each in decision.refusals if each.plugin != plugin] or [np.zeros_like(decision.feasible)]
        )
        rows = np.flatnonzero(~decision.feasible & ~others)
        if plugin in _WAYS and len(rows):
            row = int(rows[0])
            is_enforced = any(each.reason == ENFORCED and each.nodes[row] for each in decision.refusals)
            yield (_ENFORCED if is_enforced else _WAYS[plugin]).format(node=decision.nodes[row])
