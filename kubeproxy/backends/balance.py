"""Choosing a target where no kernel does it: in turn, or the same one again for a client of a route with affinity."""

from __future__ import annotations

from kubeproxy.rules import Frontend, Route, Target


class Balancer:
    """What one frontend remembers between connections. `now` is any clock of seconds that never goes back."""

    def __init__(self) -> None:
        self._turn = 0
        # Client address -> its target, and until when it is remembered.
        self._remembered: dict[str, tuple[Target, float]] = {}

    def choose(self, route: Route, frontend: Frontend, client: str, now: float) -> tuple[Target, ...]:
        """The targets in the order in which to try them; empty if the client is to be refused."""
        targets = route.targets(frontend)
        if not targets:
            return ()
        self._turn += 1
        first = self._turn % len(targets)
        if route.affinity_seconds:
            target, until = self._remembered.get(client, (None, 0.0))
            if target in targets and now < until:
                first = targets.index(target)
        return targets[first:] + targets[:first]

    def remember(self, route: Route, client: str, target: Target, now: float) -> None:
        """`target` answered: with affinity, the client comes back to it."""
        if not route.affinity_seconds:
            return
        # Oldest first, because every use moves an entry to the end.
        self._remembered.pop(client, None)
        self._remembered[client] = (target, now + route.affinity_seconds)
        oldest = next(iter(self._remembered))
        if self._remembered[oldest][1] <= now:
            del self._remembered[oldest]
