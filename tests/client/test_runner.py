"""Controllers at work: what reaches the API server of what their plans say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fake_api import FakeApi, Perform, lost
from make import NOW, a_namespace, a_node, a_pod, a_replicaset
from structlog.testing import capture_logs

from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.api.events.event import Event as EventObject
from wherry.client.controller import Controller
from wherry.client.plan import CheckAgain, Create, Delete, Evict, Plan, SetStatus, Update
from wherry.client.runner import Runner
from wherry.client.world import World
from wherry.machinery import errors
from wherry.machinery.errors import Conflict
from wherry.sim.virtual_time import in_virtual_time

ApiMaker = Callable[..., Any]


def keep_replicas(rs: ReplicaSet, world: World) -> Plan:
    pods = yield from world.claim(rs, Pod, rs.spec.selector)
    active = [pod for pod in pods if pod.is_active]
    for _ in range(rs.spec.replicas - len(active)):
        yield Create(pod_from(rs.spec.template, owner=rs))
    for pod in active[rs.spec.replicas :]:
        yield Delete(pod)
    yield SetStatus(rs.with_status(replicas=len(active)))


REPLICAS = Controller("replicaset", ReplicaSet, keep_replicas, owns=(Pod,))


@asynccontextmanager
async def running(api: FakeApi, *controllers: Controller, **options: Any) -> AsyncIterator[Runner]:
    runner = Runner(api.client(), controllers or (REPLICAS,), **options)
    task = asyncio.create_task(runner.run())
    yield runner
    assert not task.done(), task.exception()
    task.cancel()


def told(logs: Iterable[Any]) -> list[Any]:
    """What the runner wrote; the real API server logs too."""
    return [line for line in logs if line["event"].startswith("plan")]


def replicas_of(api: FakeApi) -> int:
    return len([pod for pod in api.all(Pod) if pod.is_active])


@in_virtual_time
async def test_a_cache_two_seconds_old_leads_to_no_extra_pod(an_api: ApiMaker):
    api = an_api(lag_seconds=2)
    async with running(api):
        await asyncio.sleep(1)
        api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(120)

        assert api.writes("POST") == ["POST /api/v1/namespaces/default/pods", "POST /api/v1/pods"]
        assert (replicas_of(api), api.all(ReplicaSet)[0].status.replicas) == (3, 3)


@in_virtual_time
async def test_a_pod_that_came_and_went_while_nobody_could_watch_is_made_again(an_api: ApiMaker):
    api = an_api(lag_seconds=20)
    async with running(api):
        await asyncio.sleep(1)
        api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(21)
        [pod] = api.all(Pod)
        api.remove(pod)
        api.compact()
        api.cut()
        await asyncio.sleep(60)

        assert [again.metadata.name != pod.metadata.name for again in api.all(Pod)] == [True]


@in_virtual_time
async def test_a_settled_world_sees_no_write(an_api: ApiMaker):
    api = an_api()
    async with running(api) as runner:
        api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(5)
        assert runner.is_idle
        del api.requests[:]
        await asyncio.sleep(3600)

        assert api.writes() == []


@in_virtual_time
async def test_deleted_pods_are_replaced_and_surplus_goes(an_api: ApiMaker):
    api = an_api()
    async with running(api):
        rs = api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(5)
        api.remove(api.all(Pod)[0])
        await asyncio.sleep(5)
        assert replicas_of(api) == 3
        api.put(rs.replace(spec=rs.spec.replace(replicas=1)))
        await asyncio.sleep(5)

        assert replicas_of(api) == 1


@in_virtual_time
async def test_creations_go_out_in_batches_that_double(an_api: ApiMaker):
    api, there = an_api(), []

    async def count(method: str, path: str, perform: Perform) -> Any:
        answer = await perform()
        if method == "POST" and path.endswith("/pods"):
            there.append(replicas_of(api))
        return answer

    api.disturb = count
    async with running(api):
        api.put(a_replicaset("web", replicas=10))
        await asyncio.sleep(60)

    assert there == [1, 3, 7, 10]


@in_virtual_time
async def test_a_server_that_takes_no_batches_gets_pods_one_by_one(an_api: ApiMaker):
    async def refuse(method: str, path: str, perform: Perform) -> Any:
        if (method, path) == ("POST", "/api/v1/pods"):
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        return await perform()

    api = an_api(disturb=refuse)
    async with running(api):
        api.put(a_replicaset("web", replicas=10))
        await asyncio.sleep(60)

    posts = api.writes("POST")
    assert (replicas_of(api), posts.count("POST /api/v1/pods"), len(posts)) == (10, 1, 11)


@in_virtual_time
async def test_of_pods_that_come_together_each_that_has_no_clear_answer_goes_on_alone(an_api: ApiMaker):
    api, lose = an_api(), iter([True])

    async def lose_once(method: str, path: str, perform: Perform) -> Any:
        answer = await perform()
        if (method, path) == ("POST", "/api/v1/pods") and next(lose, False):
            raise lost()
        return answer

    api.disturb = lose_once
    async with running(api):
        api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(60)

    alone, together = "POST /api/v1/namespaces/default/pods", "POST /api/v1/pods"
    assert (replicas_of(api), api.writes("POST")) == (3, [alone, together, alone, alone])


@in_virtual_time
async def test_when_the_first_creation_is_refused_the_others_are_not_tried(an_api: ApiMaker):
    api = an_api()

    async def over_quota(method: str, path: str, perform: Perform) -> Any:
        if method == "POST" and path.endswith("/pods"):
            raise errors.forbidden("pods", "", "exceeded quota")
        return await perform()

    api.disturb = over_quota
    async with running(api):
        api.put(a_replicaset("web", replicas=50))
        await asyncio.sleep(10)

        assert len(api.writes("POST")) <= 15  # a failing plan each, with back-off; not 50 at once
        api.disturb = None
        await asyncio.sleep(60)
        assert replicas_of(api) == 50


@in_virtual_time
async def test_the_world_tells_the_next_plan_how_the_last_one_failed(an_api: ApiMaker):
    api, seen = an_api(), []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        seen.append(world.failure and world.failure.message)
        yield Create(pod_from(rs.spec.template, owner=rs))

    async def refuse_once(method: str, path: str, perform: Perform) -> Any:
        if method == "POST" and len(seen) == 1:
            raise errors.forbidden("pods", "", "exceeded quota")
        return await perform()

    api.disturb = refuse_once
    async with running(api, replace(REPLICAS, plan=plan, owns=())):
        api.put(a_replicaset("web"))
        await asyncio.sleep(10)

    assert seen == [None, "pods is forbidden: exceeded quota"]


@in_virtual_time
async def test_a_plan_that_tells_of_its_failure_does_not_wake_itself(an_api: ApiMaker):
    def plan(rs: ReplicaSet, world: World) -> Plan:
        yield SetStatus(rs.with_status(replicas=rs.status.replicas + 1))  # told anew each time
        yield Create(pod_from(rs.spec.template, owner=rs))

    async def over_quota(method: str, path: str, perform: Perform) -> Any:
        if method == "POST" and path.endswith("/pods"):
            raise errors.forbidden("pods", "", "exceeded quota")
        return await perform()

    api = an_api(disturb=over_quota)
    async with running(api, replace(REPLICAS, plan=plan)):
        api.put(a_replicaset("web"))
        await asyncio.sleep(300)

        assert 10 < len(api.writes("PATCH")) < 40


@in_virtual_time
async def test_a_refused_creation_is_told_without_the_name_that_was_made_up(an_api: ApiMaker):
    async def refuse(method: str, path: str, perform: Perform) -> Any:
        if method == "POST" and path.endswith("/pods"):
            await perform()
            [pod] = api.all(Pod)
            api.remove(pod)
            raise errors.forbidden("pods", pod.metadata.name, "exceeded quota")
        return await perform()

    api = an_api(disturb=refuse)
    async with running(api):
        api.put(a_replicaset("web"))
        await asyncio.sleep(1)
        [told] = api.all(EventObject)

    assert told.message == 'Error creating: pods "web-" is forbidden: exceeded quota'
    assert told.count > 1


@in_virtual_time
async def test_lost_answers_to_creations_lead_to_no_extra_pod(an_api: ApiMaker):
    api = an_api()

    async def lose_each_second(method: str, path: str, perform: Perform) -> Any:
        answer = await perform()
        if method == "POST" and path.endswith("/pods") and len(api.requests) % 2:
            raise lost()
        return answer

    api.disturb = lose_each_second
    async with running(api):
        api.put(a_replicaset("web", replicas=20))
        most = 0
        for _ in range(3000):
            await asyncio.sleep(0.01)
            most = max(most, replicas_of(api))

    assert (most, replicas_of(api)) == (20, 20)


@in_virtual_time
async def test_a_deletion_whose_answer_is_lost_is_looked_up_before_the_next_plan(an_api: ApiMaker):
    api = an_api()
    async with running(api):
        rs = api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(5)

        async def lose(method: str, path: str, perform: Perform) -> Any:
            answer = await perform()
            if method == "DELETE":
                api.disturb = None
                raise lost()
            return answer

        api.disturb, api.lag_seconds = lose, 5
        api.put(rs.replace(spec=rs.spec.replace(replicas=2)))
        await asyncio.sleep(60)

    assert (replicas_of(api), len(api.writes("DELETE"))) == (2, 1)


@in_virtual_time
@pytest.mark.parametrize("is_status", [False, True])
async def test_a_change_whose_answer_is_lost_is_looked_up_before_the_next_plan(an_api: ApiMaker, is_status: bool):
    api, seen = an_api(), list[int]()

    def plan(rs: ReplicaSet, world: World) -> Plan:
        seen.append(rs.status.replicas if is_status else rs.spec.replicas)
        if seen[-1] == 0:
            yield SetStatus(rs.with_status(replicas=5)) if is_status else Update(rs, {"spec": {"replicas": 5}})

    async def lose(method: str, path: str, perform: Perform) -> Any:
        answer = await perform()
        if method == "PATCH":
            api.disturb = None
            raise lost()
        return answer

    async with running(api, replace(REPLICAS, plan=plan)):
        await asyncio.sleep(5)
        api.disturb, api.lag_seconds = lose, 5
        api.put(a_replicaset("web", replicas=0))
        await asyncio.sleep(60)

    assert (seen[:2], len(api.writes("PATCH"))) == ([0, 5], 1)


@in_virtual_time
async def test_a_creation_whose_answers_are_all_lost_is_looked_up_before_the_next_plan(an_api: ApiMaker):
    api = an_api()

    async def lose(method: str, path: str, perform: Perform) -> Any:
        answer = await perform() if method != "POST" or not api.all(Pod) else None
        if method == "POST" and path.endswith("/pods"):
            raise lost()
        return answer

    api.disturb, api.lag_seconds = lose, 5
    async with running(api):
        api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(60)

    assert replicas_of(api) == 1
    assert api.all(ReplicaSet)[0].status.replicas == 1


@in_virtual_time
async def test_a_refusal_after_a_lost_answer_says_nothing_of_what_was_not_answered(an_api: ApiMaker):
    async def lose_then_refuse(method: str, path: str, perform: Perform) -> Any:
        if method != "POST" or not path.endswith("/pods"):
            return await perform()
        if api.all(Pod):
            api.disturb = None
            raise errors.TooManyRequests("the server is under strain")
        await perform()
        raise lost()

    api = an_api(disturb=lose_then_refuse, lag_seconds=5)
    async with running(api):
        api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(9)
        most = len(api.writes("POST"))
        await asyncio.sleep(60)

    assert (most, replicas_of(api)) == (2, 1)


@in_virtual_time
async def test_a_conflict_is_planned_again_in_silence(an_api: ApiMaker):
    api = an_api()
    rs = api.put(a_replicaset("web", replicas=0))
    calls: list[str] = []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        calls.append(rs.metadata.resource_version)
        if len(calls) == 1:
            api.put(rs, status={"replicas": 7})  # somebody writes while the plan is made
        yield SetStatus(rs.with_status(replicas=5))

    with capture_logs() as logs:
        async with running(api, replace(REPLICAS, plan=plan)):
            await asyncio.sleep(10)

    assert api.all(ReplicaSet)[0].status.replicas == 5
    lines = [line["event"] for line in told(logs) if line["log_level"] != "debug"]
    assert (calls[0], lines) == (rs.metadata.resource_version, ["plan"])


@in_virtual_time
async def test_after_many_conflicts_the_next_plan_is_made_as_soon_as_the_copy_is_newer(an_api: ApiMaker):
    api = an_api()
    rs = api.put(a_replicaset("web", replicas=0))
    begun = asyncio.get_running_loop().time()
    done: list[float] = []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        now = asyncio.get_running_loop().time() - begun
        if now < 25:
            raise Conflict("the copy is old")  # until then the pause has grown to half a minute
        done.append(now)
        yield from ()

    async with running(api, replace(REPLICAS, plan=plan)):
        await asyncio.sleep(26)
        api.put(rs, status={"replicas": 7})
        await asyncio.sleep(2)

    assert [round(at) for at in done] == [26]


@in_virtual_time
async def test_one_line_is_logged_for_a_plan_that_did_something(an_api: ApiMaker):
    api = an_api()
    with capture_logs() as logs:
        async with running(api):
            api.put(a_replicaset("web", namespace="shop", replicas=1))
            await asyncio.sleep(10)

    assert told(logs) == [
        {"event": "plan", "log_level": "info", "replicaset": "shop/web", "create": 1},
        {"event": "plan", "log_level": "info", "replicaset": "shop/web", "status": "changed"},
    ]


@in_virtual_time
async def test_a_status_write_names_the_version_it_saw_and_only_what_changed():
    api = FakeApi()
    rs = api.put(a_replicaset("web", replicas=0), status={"replicas": 3, "unknownToUs": "kept"})
    async with running(api):
        await asyncio.sleep(1)

    stored = api.objects[ReplicaSet, "default", "web"]
    assert stored["status"] == {"replicas": 0, "unknownToUs": "kept"}
    assert int(stored["metadata"]["resourceVersion"]) == int(rs.metadata.resource_version) + 1


@in_virtual_time
async def test_two_writes_of_one_plan_to_one_object_do_not_conflict(an_api: ApiMaker):
    def plan(rs: ReplicaSet, world: World) -> Plan:
        if not rs.metadata.annotations:
            yield Update(rs, {"metadata": {"annotations": {"revision": "1"}}})
            yield SetStatus(rs.with_status(replicas=2))

    api = an_api()
    async with running(api, replace(REPLICAS, plan=plan)):
        api.put(a_replicaset("web"))
        await asyncio.sleep(0.5)

    [rs] = api.all(ReplicaSet)
    assert (rs.metadata.annotations, rs.status.replicas, len(api.writes())) == ({"revision": "1"}, 2, 2)


@in_virtual_time
async def test_what_its_namespace_takes_along_is_not_planned_again(an_api: ApiMaker):
    async def going(method: str, path: str, perform: Perform) -> Any:
        if method == "POST":
            raise errors.Forbidden(
                "namespace shop is being terminated", {"causes": [{"reason": "NamespaceTerminating"}]}
            )
        return await perform()

    api = an_api(disturb=going)
    with capture_logs() as logs:
        async with running(api):
            api.put(a_replicaset("web", replicas=2))
            await asyncio.sleep(60)

    tries = [line["event"] for line in logs if line["event"].startswith("plan ")]
    assert tries == ["plan too late"]


@in_virtual_time
async def test_a_pod_whose_owner_is_named_wrongly_is_replaced_when_it_goes(an_api: ApiMaker):
    api = an_api()
    async with running(api):
        api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(5)
        pod = api.all(Pod)[0]
        [reference] = pod.metadata.owner_references
        metadata = pod.metadata.replace(owner_references=(reference.replace(name="wed"),))
        api.put(pod.replace(metadata=metadata))
        await asyncio.sleep(5)
        api.remove(api.all(Pod)[0])
        await asyncio.sleep(5)

        assert replicas_of(api) == 1


@in_virtual_time
async def test_an_orphan_is_adopted_and_counts(an_api: ApiMaker):
    api = an_api()
    async with running(api):
        rs = api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(5)
        api.put(a_pod("stray", labels={"app": "web"}, created=NOW))
        await asyncio.sleep(5)

        assert replicas_of(api) == 1
        assert [pod.metadata.controller.uid for pod in api.all(Pod)] == [rs.metadata.uid]


@in_virtual_time
async def test_an_owner_that_is_deleted_meanwhile_adopts_nothing(an_api: ApiMaker):
    api = an_api(lag_seconds=0)
    async with running(api):
        rs = api.put(a_replicaset("web", replicas=0, finalizers=["orphan"]))
        await asyncio.sleep(1)
        api.lag_seconds = 3
        await api.client().delete(ReplicaSet, "web", "default")
        await asyncio.sleep(2.9)
        api.lag_seconds = 0
        stray = api.put(a_pod("stray", labels={"app": "web"}))
        await asyncio.sleep(10)

    assert api.all(Pod) == [stray]
    assert rs.metadata.deleted_at is None


@in_virtual_time
async def test_a_delete_is_meant_for_one_life_only(an_api: ApiMaker):
    api, planned = an_api(), []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        for pod in world.owned(rs, Pod):
            if pod.metadata.uid == "first":
                planned.append(pod.key)
                api.remove(pod)
                api.put(a_pod("a", owner=rs, uid="second"))
                yield Delete(pod)

    async with running(api, replace(REPLICAS, plan=plan)):
        rs = api.put(a_replicaset("web"))
        api.put(a_pod("a", owner=rs, uid="first"))
        await asyncio.sleep(10)

    assert (planned, [pod.metadata.uid for pod in api.all(Pod)]) == (["default/a"], ["second"])


@in_virtual_time
async def test_a_budget_that_forbids_one_eviction_is_asked_again():
    def plan(node: Node, world: World) -> Plan:
        for pod in world.list(Pod):
            yield Evict(pod)

    api = FakeApi(budget_allows=False)
    async with running(api, Controller("drain", Node, plan, reads=(Pod,))):
        api.put(a_pod("a"))
        api.put(a_pod("b"))
        api.put(a_node("n1"))
        await asyncio.sleep(5)
        assert len(api.all(Pod)) == 2
        api.budget_allows = True
        await asyncio.sleep(31)

        assert api.all(Pod) == []


@in_virtual_time
async def test_pods_created_and_deleted_are_told_of_their_owner(an_api: ApiMaker):
    api = an_api()
    async with running(api):
        rs = api.put(a_replicaset("web", replicas=1))
        await asyncio.sleep(5)
        [pod] = api.all(Pod)
        [told] = api.all(EventObject)

    assert (told.about.uid, told.reason, told.message) == (
        rs.metadata.uid,
        "SuccessfulCreate",
        f"Created pod: {pod.metadata.name}",
    )
    assert (told.source.component, told.count) == ("replicaset-controller", 1)


@in_virtual_time
async def test_check_again_plans_without_a_change(an_api: ApiMaker):
    planned_at: list[float] = []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        planned_at.append((world.now - NOW).total_seconds())
        yield CheckAgain(60)

    api = an_api()
    async with running(api, replace(REPLICAS, plan=plan)):
        api.put(a_replicaset("web"))
        await asyncio.sleep(150)

    assert planned_at == [0, 60, 120]


@in_virtual_time
async def test_a_broken_plan_disturbs_no_other_object(an_api: ApiMaker):
    def plan(rs: ReplicaSet, world: World) -> Plan:
        if rs.metadata.name == "broken":
            raise RuntimeError("this plan is broken")
        yield from keep_replicas(rs, world)

    api = an_api()
    with capture_logs() as logs:
        async with running(api, replace(REPLICAS, plan=plan, workers=1)):
            api.put(a_replicaset("broken"))
            api.put(a_replicaset("web", replicas=2))
            await asyncio.sleep(60)

    assert replicas_of(api) == 2
    assert 5 < len([line for line in logs if line["event"] == "plan broken"]) < 20


@in_virtual_time
async def test_a_kind_that_wakes_is_asked_whom_before_and_after(an_api: ApiMaker):
    woken: list[str] = []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        woken.append(rs.metadata.name)
        yield from ()

    def of_node(node: Node, world: World) -> Iterable[str]:
        return [f"default/{node.metadata.labels['wakes']}"]

    api = an_api()
    async with running(api, replace(REPLICAS, plan=plan, owns=(), wakes={Node: of_node})):
        for name in ("a", "b", "c"):
            api.put(a_replicaset(name))
        api.put(a_node("n1", labels={"wakes": "a"}))
        await asyncio.sleep(1)
        del woken[:]
        api.put(a_node("n1", labels={"wakes": "b"}))
        await asyncio.sleep(1)

    assert sorted(woken) == ["a", "b"]


@in_virtual_time
async def test_a_change_that_leaves_all_that_is_noticed_the_same_wakes_nobody(an_api: ApiMaker):
    woken: list[str] = []

    def plan(rs: ReplicaSet, world: World) -> Plan:
        woken.append(rs.metadata.name)
        yield from ()

    noticing = replace(
        REPLICAS,
        plan=plan,
        owns=(),
        wakes={Node: lambda node, world: ["default/a"]},
        notices={Node: lambda node: node.metadata.labels},
    )
    api, seen = an_api(), []
    async with running(api, noticing):
        api.put(a_replicaset("a"))
        for node in (a_node("n1"), a_node("n1", ready=False), a_node("n1", labels={"colour": "blue"})):
            await asyncio.sleep(1)
            del woken[:]
            api.put(node)
            await asyncio.sleep(1)
            seen.append(len(woken))

    assert seen == [1, 0, 1]


@in_virtual_time
async def test_an_object_that_is_gone_gets_its_last_plan(an_api: ApiMaker):
    def absent(key: str, world: World) -> Plan:
        for pod in world.list(Pod):
            yield Delete(pod)

    api = an_api()
    async with running(api, replace(REPLICAS, absent=absent)):
        rs = api.put(a_replicaset("web", replicas=2))
        await asyncio.sleep(5)
        api.remove(rs)
        await asyncio.sleep(5)

        assert api.all(Pod) == []


@in_virtual_time
async def test_who_no_longer_leads_writes_nothing(an_api: ApiMaker):
    api = an_api()
    async with running(api, may_act=lambda: False):
        api.put(a_replicaset("web", replicas=3))
        await asyncio.sleep(60)

        assert api.writes() == []


@pytest.mark.parametrize("fault", [errors.InternalError, errors.TooManyRequests, errors.Unavailable])
def test_a_minute_of_faults_is_outlived(fault: type[errors.ApiError]):
    @in_virtual_time
    async def play() -> None:
        api = FakeApi()
        chance = asyncio.get_running_loop().random  # type: ignore[attr-defined]

        async def one_in_ten(method: str, path: str, perform: Perform) -> Any:
            if chance.random() < 0.1:
                raise fault("a fault")
            if chance.random() < 0.1:
                api.cut()
            return await perform()

        api.disturb = one_in_ten
        async with running(api):
            for number in range(10):
                api.put(a_replicaset(f"web-{number}", replicas=3, labels={"app": f"web-{number}"}))
            await asyncio.sleep(60)
            api.disturb = None
            await asyncio.sleep(35)
            assert replicas_of(api) == 30
            assert len(api.writes("POST")) <= 60

    play()


@in_virtual_time
async def test_a_finalizer_of_a_namespace_goes_by_its_own_door(an_api: ApiMaker):
    def plan(namespace: Namespace, world: World) -> Plan:
        if namespace.status.phase == "Terminating" and namespace.spec.finalizers:
            yield Update(namespace, {"spec": {"finalizers": None}}, "finalize")

    api = an_api()
    async with running(api, Controller("namespace", Namespace, plan)):
        api.put(a_namespace("shop", deleted=True))
        await asyncio.sleep(5)

    assert api.writes() == ["PUT /api/v1/namespaces/shop/finalize"]


@in_virtual_time
async def test_after_every_possible_crash_the_final_state_is_the_same(an_api: ApiMaker):
    async def crash_after(writes: int) -> tuple[int, int]:
        api = an_api(lag_seconds=0.05)
        api.put(a_replicaset("web", replicas=5))
        done = 0

        async def count(method: str, path: str, perform: Perform) -> Any:
            nonlocal done
            if method not in ("GET", "WATCH"):
                done += 1
                if done > writes:
                    raise lost()
            return await perform()

        api.disturb = count
        async with running(api):
            await asyncio.sleep(3)
        api.disturb = None
        async with running(api):
            await asyncio.sleep(60)
        return replicas_of(api), api.all(ReplicaSet)[0].status.replicas

    assert [await crash_after(writes) for writes in range(8)] == [(5, 5)] * 8
