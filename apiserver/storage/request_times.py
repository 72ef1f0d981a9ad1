"""How long etcd took, by what it was asked and about which kind: `etcd_request_duration_seconds`.

    with Timed("get", "/registry/pods/shop/web"): ...

Counted for the process, as Prometheus' own library does.
"""

from __future__ import annotations

import time
from typing import Self

from wherry.client.serving.counting import Histogram

# Kubernetes: those of etcd_request_duration_seconds, the coarser half of them.
BOUNDS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2, 4, 6, 10, 20, 60)
TIMES: dict[tuple[str, str], Histogram] = {}
# Names of custom kinds are others' to choose.
_MOST_KINDS = 5000


class Timed:
    """What happens inside is one request about a key, or about all below it."""

    __slots__ = ("_begun", "_key", "_operation")

    def __init__(self, operation: str, key: str) -> None:
        self._operation, self._key = operation, key

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        label = self._operation, _kind_in(self._key)
        histogram = TIMES.get(label)
        if histogram is None:
            if len(TIMES) >= _MOST_KINDS:
                return
            histogram = TIMES[label] = Histogram(BOUNDS)
        histogram.observe(time.perf_counter() - self._begun)


def _kind_in(key: str) -> str:
    """The folder of a key, or of all keys below it.

    >>> _kind_in("/registry/pods/shop/web-1"), _kind_in("/registry/example.com/widgets/shop/a")
    ('pods', 'example.com/widgets')
    """
    parts = key.removeprefix("/registry/").split("/", 2)
    return "/".join(parts[:2]) if "." in parts[0] else parts[0]
