"""Which evictions would break a PodDisruptionBudget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from scheduler.pods import PodView
from wherry.api.policy.disruption_budget import PodDisruptionBudget


class Budgets:
    """The budgets of a cluster as they are now. Pure.

    Kubernetes: filterPodsWithPDBViolation. Differs: an empty selector covers every pod of its namespace, as the API
    says, and not none.
    """

    def __init__(self, budgets: Iterable[PodDisruptionBudget] = ()) -> None:
        self._of_namespace: defaultdict[str, list[PodDisruptionBudget]] = defaultdict(list)
        for budget in budgets:
            self._of_namespace[budget.metadata.namespace].append(budget)

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self._of_namespace

    def broken_by(self, pods: Sequence[PodView]) -> frozenset[str]:
        """The uids of those whose eviction breaks a budget, if all before them are evicted as well."""
        if not self._of_namespace:
            return frozenset()
        spent: defaultdict[str, int] = defaultdict(int)
        return frozenset([pod.uid for pod in pods if self._breaks(pod, spent)])

    def _breaks(self, pod: PodView, spent: defaultdict[str, int]) -> bool:
        breaks = False
        for budget in self._of_namespace.get(pod.metadata.namespace, ()):
            # Whose eviction the API server has granted already is counted there.
            if pod.metadata.name in budget.status.disrupted_pods or not budget.spec.selector.matches(
                pod.metadata.labels
            ):
                continue
            spent[budget.key] += 1
            breaks = breaks or spent[budget.key] > budget.status.disruptions_allowed
        return breaks
