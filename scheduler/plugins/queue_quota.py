"""Keep pods waiting whose queue may hold no more. What their queues say stands in `scheduler/sharing/quotas.py`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed, Deleted
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import Queue


class QueueQuota(Plugin):
    """A pod beyond its queue's quota, with all that it may borrow, goes nowhere."""

    order = 5
    reads = ("quota",)
    retry_when = (
        *(Added(Queue), Changed(Queue, "spec"), Deleted(Queue), Deleted(Pod)),
        Changed(Pod, "spec.containers"),
        Changed(Namespace, "metadata.labels"),
    )

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        if pod.quota:
            yield Verdict(np.zeros(len(nodes), dtype=np.bool_), pod.quota, is_about_pod=True)
