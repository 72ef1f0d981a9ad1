"""How long admission took: every plugin, and each of its two steps. Kubernetes: admission/metrics.

Counting is on the way of every write, so of writes that are alike one in a few is timed plugin by plugin and stands for
the others, once there have been some; steps and refusals are counted one by one. Who refuses a write that is not timed
seems to have taken as long as all who were asked before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.client.serving.counting import Histogram

# Kubernetes: the buckets of both families.
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
TIMED_EVERY = 16
ADMIT, VALIDATE = "admit", "validate"


class Took:
    """How long those took that let a write pass, and those that did not."""

    __slots__ = ("passed", "rejected")

    def __init__(self) -> None:
        self.passed, self.rejected = Histogram(BUCKETS), Histogram(BUCKETS)


class Durations:
    """Of one server: by plugin (none for a whole step), operation and type."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Took] = {}

    def of(self, plugin: str, operation: str, type: str) -> Took:
        """Where to count."""
        return self._known.setdefault((plugin, operation, type), Took())

    def told(self) -> Iterator[tuple[tuple[str, str, str, str], Histogram]]:
        """Plugin, operation, whether rejected and type, with what was counted, if anything was."""
        for (plugin, operation, type), took in self._known.items():
            for rejected, counted in (("false", took.passed), ("true", took.rejected)):
                if any(counted.counts):
                    yield (plugin, operation, rejected, type), counted
