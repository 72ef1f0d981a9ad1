"""A machine without a network: says who would answer. For tests and simulations; keeps the same contract."""

from __future__ import annotations

from kubeproxy.backends.balance import Balancer
from kubeproxy.rules import Frontend, Rules, Target


class FakeBackend:
    """Holds the rules; `connect` is what a client would see."""

    def __init__(self) -> None:
        self.rules = Rules()
        self._balancers: dict[str, Balancer] = {}

    async def apply(self, rules: Rules) -> None:
        self.rules = rules

    async def repair(self) -> bool:
        return False

    async def clear(self) -> None:
        self.rules = Rules()

    async def close(self) -> None:
        """Nothing is held."""

    def connect(self, frontend: Frontend, client: str, now: float = 0.0) -> Target | None:
        """Who answers `client`; None if it is refused."""
        route = self.rules.by_frontend().get(frontend)
        if route is None:
            return None
        balancer = self._balancers.setdefault(route.key, Balancer())
        for target in balancer.choose(route, frontend, client, now):
            balancer.remember(route, client, target, now)
            return target
        return None
