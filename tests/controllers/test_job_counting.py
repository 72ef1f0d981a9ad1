"""Jobs count exactly, with any interleaving of pods that end, users that delete and controllers that die."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import JobCluster, a_job, a_job_pod, an_indexed_job

from controllers.job.indexed import Board
from controllers.job.ledger import counted
from wherry.api.batch.indexes import Indexes, parse_indexes
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["succeed", "fail", "delete"]), st.integers(0, 5)),
        st.tuples(st.just("plan"), st.integers(0, 6)),
        st.tuples(st.just("scale"), st.integers(0, 4)),
    ),
    max_size=40,
)


class Run:
    """A Job at work; `succeeded` and `failed` are the truth about its pods."""

    def __init__(self, job):
        self.cluster = JobCluster(job)
        self.succeeded, self.failed = set[str](), set[str]()

    @property
    def job(self):
        return self.cluster.get(Job, "default/work")

    def step(self, what, number):
        running = [pod for pod in self.cluster.list(Pod) if pod.is_active]
        if what == "plan":
            self.cluster.plan(writes=number)
        elif what == "scale":
            self.cluster.change(self.job, {"spec": {"parallelism": number}})
        elif running:
            self.end(running[number % len(running)], what)
        self.check()

    def end(self, pod, how):
        if how == "delete":
            if pod.metadata.finalizers:
                self.failed.add(pod.metadata.uid)
                self.cluster.change(pod, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
            return
        if pod.metadata.finalizers:
            (self.succeeded if how == "succeed" else self.failed).add(pod.metadata.uid)
        self.cluster.change(pod, {"status": {"phase": "Succeeded" if how == "succeed" else "Failed"}})

    def check(self):
        status = self.job.status
        assert status.failed + len(status.uncounted_terminated_pods.failed) <= len(self.failed)
        assert status.succeeded + len(status.uncounted_terminated_pods.succeeded) <= len(self.succeeded)

    def finish(self):
        self.cluster.change(self.job, {"spec": {"parallelism": 2}})
        for _ in range(300):
            if self.job.is_finished:
                return self.job.status
            self.cluster.passes(700)
            if not self.cluster.plan():
                for pod in self.cluster.list(Pod):
                    if pod.is_active:
                        self.end(pod, "succeed")
            self.cluster.sweep()
            self.check()
        raise AssertionError("the Job never ends")


@settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(1, 4))
def test_every_end_of_a_pod_counts_exactly_once(steps, completions):
    run = Run(a_job(completions=completions, parallelism=2, backoff_limit=1000))
    for step in steps:
        run.step(*step)

    status = run.finish()

    assert (status.succeeded, status.failed) == (len(run.succeeded), len(run.failed))
    assert status.succeeded >= completions
    assert status.uncounted_terminated_pods.to_wire() == {}


@settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(1, 4))
def test_every_index_is_done_once_and_failures_count_exactly(steps, completions):
    run = Run(an_indexed_job(completions=completions, parallelism=2, backoff_limit=1000, backoff_limit_per_index=1000))
    for step in steps:
        run.step(*step)

    status = run.finish()

    assert parse_indexes(status.completed_indexes, completions) == Indexes.of(range(completions))
    assert (status.succeeded, status.failed) == (completions, len(run.failed))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["plan", "fail"]), st.integers(0, 4)), max_size=30), st.integers(0, 2))
def test_a_job_that_gives_up_counts_every_pod_it_had_and_leaves_none(steps, limit):
    cluster, seen = JobCluster(a_job(completions=50, parallelism=2, backoff_limit=limit)), set[str]()
    for what, number in [*steps, *[("plan", 100), ("fail", 0)] * (limit + 1), *[("plan", 100)] * 5]:
        seen |= {pod.metadata.uid for pod in cluster.list(Pod)}
        running = [pod for pod in cluster.list(Pod) if pod.is_active]
        if what == "plan":
            cluster.passes(700)
            cluster.plan(writes=number)
        elif running:
            cluster.change(running[0], {"status": {"phase": "Failed"}})
        cluster.sweep()

    job = cluster.get(Job, "default/work")
    assert (job.is_finished, job.status.failed, job.status.active) == (True, len(seen), 0)
    assert not any(pod.is_active or pod.metadata.finalizers for pod in cluster.list(Pod))


def test_the_time_that_counting_takes_does_not_grow_with_the_square_of_the_pods():
    job = an_indexed_job(completions=10_000, parallelism=10_000)
    pods = [a_job_pod(job, f"p-{index}", index=index, phase="Succeeded") for index in range(10_000)]
    board = Board(waiting=dict(enumerate(pods[:1000])))

    began = time.process_time()
    ledger = counted(job, pods, board)

    assert time.process_time() - began < 0.5
    assert ledger.settled == tuple(pods[1000:])
