"""Chooser: the cycle of one pod in the shell's hands: a node for it, or why there is none and who could make way.

Room that is kept for other pods counts, unless the pod is more important than they. Where the pod heeds its neighbours
it must fit with those who are not there yet, and without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scheduler.cycle.answers import Answers
from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.cycle.pinned import choice_at
from scheduler.cycle.plan import Choice, plan
from scheduler.explaining.text import Record, brief, promised, record_of
from scheduler.framework import Plugin
from scheduler.plugins.dynamic_resources import NO_CLAIMS, NONE_LEFT, OLD_CLAIMS, DynamicResources
from scheduler.plugins.gpu_packing import GpuShare
from scheduler.pods import PodView
from scheduler.preemption.plan import Preemption
from scheduler.preemption.preemptor import Preemptor
from scheduler.snapshot import Snapshot


class Outcome(NamedTuple):
    """A choice and what is kept of its reasons, which the decision says in full; or else the decision that says why
    not, and who could make way. `of_claims` says what giving back claims would have helped.
    """

    choice: Choice | None = None
    record: Record | None = None
    decision: Decision | None = None
    preemption: Preemption | None = None
    pod: PodView | None = None
    of_claims: str = ""

    @property
    def message(self) -> str:
        """Why there is no node, and what was tried in vain. Kubernetes: the words of Filter, then of PostFilter."""
        if self.decision is None:
            return ""
        is_in_vain = self.preemption is None or self.preemption.message
        is_about_nodes = self.decision.nodes and not any(each.is_about_pod for each in self.decision.counted)
        tried = [self.of_claims] if self.of_claims and is_in_vain and is_about_nodes else []
        if self.preemption is not None and self.preemption.message:
            tried.append(f"preemption: {self.preemption.message}")
        return " ".join((self.decision.message, ", ".join(tried))).rstrip()


class Chooser:
    """See the module; `view` adds to a pod what its claims ask for."""

    def __init__(
        self,
        snapshot: Snapshot,
        profiles: Mapping[str, Sequence[Plugin]],
        preemptor: Preemptor,
        view: Callable[[PodView], PodView],
        seed: int,
    ) -> None:
        self._snapshot, self._preemptor, self._view = snapshot, preemptor, view
        self._answers = {name: Answers(snapshot, plugins, seed) for name, plugins in profiles.items()}

    def __contains__(self, scheduler_name: str) -> bool:
        return scheduler_name in self._answers

    def choose(self, pod: PodView, *, explains: bool = False, preempts: bool = True) -> Outcome:
        """What becomes of the pod on the nodes as they are now; who asks for reasons gets all, at some cost.

        Who could make way is worked out only if it `preempts`.
        """
        with self.making_way(pod):
            pod = self._view(pod)
            return self._chosen(pod, explains, preempts)._replace(pod=pod)

    def making_way(self, pod: PodView) -> AbstractContextManager[None]:
        """Meanwhile everything is as this pod finds it: without the room that is kept for less important ones."""
        nominations = self._preemptor.nominations
        return nominations.making_way(pod) if nominations else nullcontext()

    def _chosen(self, pod: PodView, explains: bool, preempts: bool) -> Outcome:
        nominations = self._preemptor.nominations
        answers = self._answers[pod.spec.scheduler_name]
        choice = self._at_nominated_node(pod, answers)
        if choice is not None:
            return Outcome(choice, promised(pod.key, choice.node))
        choice = answers.on_named_node(pod)
        if choice is not None:
            return Outcome(choice, brief(pod.key, choice, len(self._snapshot.columns)))
        answer = answers.to(pod)
        choice = answer.best()
        if choice is not None and not (nominations and answers.looking_around(pod)):
            told = brief(pod.key, choice, len(self._snapshot.columns))
            return Outcome(choice, told, answer.decision(pod) if explains else None)
        decision = answer.decision(pod)
        if choice is not None:
            decision = self._fits_either_way(pod, decision, answers)
        if decision.winner:
            return Outcome(Choice(decision.winner, 0.0, "", 0.0), record_of(decision))
        who = self._preemptor.plan(pod, decision, answers.panel) if preempts else None
        gives_claims_back = any(isinstance(plugin, DynamicResources) for plugin in answers.panel.plugins)
        in_vain = OLD_CLAIMS if pod.spec.resource_claims else NO_CLAIMS
        return Outcome(decision=decision, preemption=who, of_claims=in_vain if gives_claims_back else "")

    def prepare(self, *, explains: bool) -> None:
        """While nobody waits: what the next pods would wait for that look like the last ones."""
        if not self._preemptor.nominations:
            for answers in self._answers.values():
                answers.prepare(explains=explains)

    def panel(self, pod: PodView) -> Panel:
        """The plugins of the pod's profile."""
        return self._answers[pod.spec.scheduler_name].panel

    def lacks_only_amounts(self, pod: PodView, node: str) -> bool:
        """Whether the pod fits on the node, or would if others left."""
        pod = self._view(pod)
        decision = self._answers[pod.spec.scheduler_name].to(pod).decision(pod)
        row = self._snapshot.columns.row_of(node)
        lasting = (each for each in decision.refusals if each.free is None and each.reason != NONE_LEFT)
        return row is not None and not any(each.nodes[row] and each.plugin != GpuShare.name for each in lasting)

    def options(self, pod: PodView) -> list[str]:
        """All nodes that can hold the pod now, the best first."""
        nominations = self._preemptor.nominations
        with self.making_way(pod):
            pod = self._view(pod)
            answers = self._answers[pod.spec.scheduler_name]
            decision = answers.to(pod).decision(pod)
            if nominations and answers.looking_around(pod):
                decision = self._fits_either_way(pod, decision, answers)
        order = np.argsort(-decision.totals, kind="stable").tolist()
        return [decision.nodes[row] for row in order if decision.feasible[row]]

    def _at_nominated_node(self, pod: PodView, answers: Answers) -> Choice | None:
        node = self._preemptor.nominations.node_of(pod.uid) or pod.pod.status.nominated_node_name
        return choice_at(node, pod, self._snapshot.columns, answers.panel) if node else None

    def _fits_either_way(self, pod: PodView, with_them: Decision, answers: Answers) -> Decision:
        with self._preemptor.nominations.ignored():
            without = plan(pod, self._snapshot.columns, answers.panel.plugins)
        both = with_them.feasible & without.feasible
        if not both.any():
            return replace(without, feasible=both, winner="", runner_up="")
        best = int(np.where(both, with_them.totals, -np.inf).argmax())
        return replace(with_them, feasible=both, winner=with_them.nodes[best], runner_up="")
