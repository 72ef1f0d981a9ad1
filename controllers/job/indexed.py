"""What is known of each index of an indexed Job: which are done, which failed for good, which wait to be tried again.

How often an index failed stands in an annotation of its newest pod. The last failed pod of an index therefore keeps
its finalizer until there is another one, or the index is given up. Kubernetes: job/indexed_job_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from controllers.job.failures import is_failed, is_tracked, meaning
from wherry.api.batch.indexes import Indexes, reported_indexes
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


class Board(NamedTuple):
    """The indexes that are done, those that failed, and for those to be tried again their last pod."""

    succeeded: Indexes = Indexes()
    failed: Indexes = Indexes()
    waiting: dict[int, Pod] = {}

    @property
    def kept(self) -> set[str]:
        """The uids of pods that must not go before they are replaced."""
        return {pod.metadata.uid for pod in self.waiting.values()}


def index_of(pod: Pod) -> int | None:
    """The index that a pod stands for."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def count_in(pod: Pod, annotation: str) -> int:
    """A count that a pod carries, 0 if it carries none."""
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def is_index(job: Job, index: int | None) -> bool:
    """Whether it is one of those that the Job has now."""
    return index is not None and index < (job.spec.completions or 0)


def board_of(job: Job, pods: Iterable[Pod]) -> Board:
    """What status and pods say together."""
    if not job.is_indexed:
        return Board()
    completions = job.spec.completions or 0
    ours = [pod for pod in pods if is_tracked(pod) and is_index(job, index_of(pod))]
    done = {index for pod in ours if pod.status.phase == "Succeeded" and (index := index_of(pod)) is not None}
    succeeded = reported_indexes(job.status.completed_indexes, completions) | Indexes.of(done)
    if job.spec.backoff_limit_per_index is None:
        return Board(succeeded)
    lost = {index for pod in ours if _gives_up(job, pod) and (index := index_of(pod)) is not None}
    failed = (reported_indexes(job.status.failed_indexes or "", completions) | Indexes.of(lost)) - succeeded
    return Board(succeeded, failed, _waiting(job, ours, succeeded | failed))


def _gives_up(job: Job, pod: Pod) -> bool:
    if not is_failed(job, pod):
        return False
    what, limit = meaning(job, pod), job.spec.backoff_limit_per_index or 0
    return what.action == "FailIndex" or (what.counts and count_in(pod, FAILURES) >= limit)


def _waiting(job: Job, ours: list[Pod], settled: Indexes) -> dict[int, Pod]:
    busy = {index_of(pod) for pod in ours if pod.is_active}
    counted = set(job.status.uncounted_terminated_pods.failed)
    waiting: dict[int, Pod] = {}
    for pod in sorted(ours, key=lambda pod: (_tries(pod), pod.metadata.key)):
        index = index_of(pod)
        if index is None or index in busy or index in settled:
            continue
        if is_failed(job, pod) and pod.metadata.uid not in counted:
            waiting[index] = pod
    return waiting


def _tries(pod: Pod) -> int:
    return count_in(pod, FAILURES) + count_in(pod, IGNORED)


def next_counts(job: Job, last: Pod | None) -> dict[str, str]:
    """The annotations of the next pod of an index whose last one is given."""
    if job.spec.backoff_limit_per_index is None:
        return {}
    if last is None:
        return {FAILURES: "0"}
    failures, ignored = count_in(last, FAILURES), count_in(last, IGNORED)
    if meaning(job, last).counts:
        failures += 1
    else:
        ignored += 1
    return {FAILURES: str(failures)} | ({IGNORED: str(ignored)} if ignored else {})
