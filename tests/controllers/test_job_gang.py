"""A Job whose pods are of use only together gets a pod group, and its pods name it."""

from make import an_object

from controllers.job.gang import group_name, plan
from controllers.job.making import tracked_pod
from wherry.api.batch.job import Job
from wherry.api.scheduling.pod_group import PodGroup
from wherry.client.plan import Create, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference

TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "c"}]}}
GANG = {"schedulingPolicy": {"gang": {}}}


def a_job(scheduling=GANG, **more):
    return an_object(
        Job, "train", parallelism=4, template=more.pop("template", TEMPLATE), scheduling=scheduling, **more
    )


def planned(job, *others):
    return list(plan(job, World(job, *others)))


def test_the_group_is_as_large_as_the_job_unless_it_says_so():
    job = a_job({**GANG, "disruptionMode": {"all": {}}})

    [create] = planned(job)

    assert create == Create(
        {
            "apiVersion": "scheduling.k8s.io/v1beta1",
            "kind": "PodGroup",
            "metadata": {
                "name": group_name(job),
                "namespace": "default",
                "ownerReferences": [controller_reference(job)],
            },
            "spec": {"schedulingPolicy": {"gang": {"minCount": 4}}, "disruptionMode": {"all": {}}},
        }
    )
    assert tracked_pod(job)["spec"]["schedulingGroup"] == {"podGroupName": group_name(job)}
    assert a_job({"schedulingPolicy": {"gang": {"minCount": 3}}}, completions=9).spec.gang_size == 3
    assert a_job(completions=2).spec.gang_size == 2


def test_the_group_follows_the_job():
    job = a_job()
    group = an_object(PodGroup, group_name(job), owner=job, scheduling_policy={"gang": {"minCount": 2}})

    assert planned(job, group) == [Update(group, {"spec": {"schedulingPolicy": {"gang": {"minCount": 4}}}})]


def test_jobs_without_a_gang_or_with_a_group_of_their_own_get_none():
    named = {"spec": {**TEMPLATE["spec"], "schedulingGroup": {"podGroupName": "mine"}}}
    finished = {"conditions": [{"type": "Complete", "status": "True"}]}
    jobs = [a_job(None), a_job({"schedulingPolicy": {"basic": {}}}), a_job(template=named), a_job(status=finished)]

    assert [planned(job) for job in jobs] == [[]] * 4
    assert "schedulingGroup" not in tracked_pod(jobs[0])["spec"]
    assert tracked_pod(jobs[2])["spec"]["schedulingGroup"] == {"podGroupName": "mine"}
