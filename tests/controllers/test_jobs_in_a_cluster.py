"""Jobs and CronJobs on hollow nodes, in virtual time."""

import asyncio

import pytest
from crashes import CrashAfter

from wherry.api.batch.cronjob import CronJob
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.machinery.errors import NotFound
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.hollow_pod import EXIT_CODE, FATE
from wherry.sim.network import Faults
from wherry.sim.virtual_time import in_virtual_time, run


def a_template(**annotations):
    spec = {"restartPolicy": "Never", "containers": [{"name": "work", "image": "work:1"}]}
    return {"metadata": {"annotations": annotations}, "spec": spec}


def a_job(name="work", annotations=None, **spec):
    metadata = {"name": name, "namespace": "default"}
    template = a_template(**(annotations or {}))
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def a_cronjob(annotations=None, **spec):
    metadata = {"name": "tick", "namespace": "default"}
    job = {"spec": {"template": a_template(**(annotations or {}))}}
    spec = {"schedule": "* * * * *", "jobTemplate": job, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


async def the_job(cluster, name="work"):
    return await cluster.admin.get(Job, name, "default")


async def pods_of(cluster):
    return (await cluster.admin.list(Pod, "default")).items


def reason_of(job, type):
    condition = find_condition(job.status.conditions, type)
    return condition.reason if condition else ""


@in_virtual_time
async def test_an_indexed_job_does_each_index_once():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(a_job(completions=5, parallelism=2, completionMode="Indexed"))
        await cluster.settle()

        job, pods = await the_job(cluster), await pods_of(cluster)
        assert (job.status.succeeded, job.status.completed_indexes) == (5, "0-4")
        assert sorted(pod.spec.hostname for pod in pods) == [f"work-{index}" for index in range(5)]
        assert not any(pod.metadata.finalizers for pod in pods)


@in_virtual_time
async def test_an_exit_code_fails_the_job_at_once_if_its_policy_says_so():
    codes = {"operator": "In", "values": [42]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(a_job(annotations={EXIT_CODE: "42"}, podFailurePolicy=policy))
        await cluster.settle()

        job = await the_job(cluster)
        assert (reason_of(job, "Failed"), job.status.failed) == ("PodFailurePolicy", 1)


@in_virtual_time
async def test_a_failing_job_tries_again_later_and_later_and_gives_up():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(a_job(annotations={FATE: "fails"}, backoffLimit=2))
        await asyncio.sleep(120)

        job, pods = await the_job(cluster), await pods_of(cluster)
        first, second, third = sorted(pod.metadata.created_at for pod in pods)
        assert reason_of(job, "Failed") == "BackoffLimitExceeded"
        assert [(second - first).total_seconds() // 10, (third - second).total_seconds() // 10] == [1, 2]


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_a_deleted_job_leaves_no_pod_waiting_to_be_counted(propagation):
    @in_virtual_time
    async def story():
        async with SimulatedCluster(nodes=1) as cluster:
            await cluster.admin.create(a_job(annotations={FATE: "ready"}, completions=2, parallelism=2))
            await cluster.settle()
            await cluster.admin.delete(Job, "work", "default", propagation=propagation)
            await cluster.settle()
            pods = await pods_of(cluster)
            assert [pod.metadata.finalizers for pod in pods] == ([(), ()] if propagation == "Orphan" else [])

    story()


@in_virtual_time
async def test_a_finished_job_goes_when_its_time_is_over_and_its_pods_with_it():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(a_job(ttlSecondsAfterFinished=30))
        await asyncio.sleep(60)
        await cluster.settle()

        with pytest.raises(NotFound):
            await the_job(cluster)
        assert await pods_of(cluster) == []


@in_virtual_time
async def test_a_cronjob_starts_a_job_a_minute_and_keeps_three():
    async with SimulatedCluster(nodes=1) as cluster:
        made = set()
        cluster.journal.subscribe(lambda write: made.add(write.key) if write.resource == "jobs" else None)
        await cluster.admin.create(a_cronjob())
        await asyncio.sleep(10 * 60 + 30)

        jobs = (await cluster.admin.list(Job, "default")).items
        assert (len(made), len(jobs)) == (10, 3)


@in_virtual_time
async def test_a_job_that_still_runs_holds_up_the_next_one_if_the_cronjob_forbids_two():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(a_cronjob(annotations={FATE: "ready"}, concurrencyPolicy="Forbid"))
        await asyncio.sleep(5 * 60)

        cronjob = await cluster.admin.get(CronJob, "tick", "default")
        assert (len((await cluster.admin.list(Job, "default")).items), len(cronjob.status.active)) == (1, 1)


async def work_with_a_crash(after: int) -> tuple[tuple[int, int, str], int]:
    """How a Job ends whose controllers die after so many of their writes, and how many writes there were."""
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.settle()
        crash = CrashAfter(cluster, after, lambda resource: resource in ("jobs", "pods"))
        await cluster.admin.create(a_job(completions=4, parallelism=2))
        await cluster.settle()
        status = (await the_job(cluster)).status
        return (status.succeeded, status.failed, reason_of(await the_job(cluster), "Complete")), crash.writes


@pytest.mark.parametrize("seed", range(2))
def test_on_a_bad_network_with_dying_controllers_every_pod_counts_once(seed):
    async def story():
        faults = Faults(lose_requests=0.1, lose_answers=0.1, delay_seconds=(0.01, 0.5), cut_watches_after_seconds=5)
        async with SimulatedCluster(nodes=2, faults=faults) as cluster:
            await cluster.admin.create(a_job(completions=12, parallelism=4))
            for _ in range(4):
                await asyncio.sleep(1.5)
                cluster.controllers.kill()
                cluster.controllers.start()
            await asyncio.sleep(150)

            job, pods = await the_job(cluster), await pods_of(cluster)
            assert (reason_of(job, "Complete"), job.status.succeeded) == ("CompletionsReached", 12)
            assert [pod.status.phase for pod in pods].count("Succeeded") == 12

    run(story(), seed=seed)


MOST_WRITES = 24


@pytest.mark.parametrize("number", range(MOST_WRITES + 1))
def test_a_crash_after_any_write_changes_no_count(number):
    outcome, writes = run(work_with_a_crash(number), seed=3)

    assert outcome == (4, 0, "CompletionsReached")
    assert number or writes <= MOST_WRITES
