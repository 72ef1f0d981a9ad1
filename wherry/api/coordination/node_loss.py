"""NodeLoss: the timers between the death of a node and the deletion of its pods.

    last heartbeat --grace--> NotReady, taints --toleration--> pods deleted, and replaced at once

A node renews its lease four times in `lease_seconds`. Silence for `grace_seconds` makes it NotReady; pods that say
nothing else tolerate that for `toleration_seconds`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """See the module."""

    lease_seconds: int
    grace_seconds: float
    toleration_seconds: int

    @property
    def renew_seconds(self) -> float:
        """How often a node says that it lives. Kubernetes: a quarter of the lease's duration."""
        return self.lease_seconds / 4


# Kubernetes' own: a network may be away for minutes without a single pod being moved.
KUBERNETES = NodeLoss(lease_seconds=40, grace_seconds=50.0, toleration_seconds=300)
# For lessons and laptops: noticed within 5 s, moved within 15 s. A machine that sleeps loses its pods.
FAST = NodeLoss(lease_seconds=4, grace_seconds=4.0, toleration_seconds=5)

NODE_LOSS = {"kubernetes": KUBERNETES, "fast": FAST}
