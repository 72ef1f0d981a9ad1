"""Priority and fairness: whose requests wait for whose, and that no client takes the server from the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from apiserver.fairness.sharing import Sharing
from apiserver.request import Request, User
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Entry
from tests.apiserver.local_api import APPLY, CORE, Answer, Api, running_api

FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"
MAPS = f"{CORE}/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
ACCOUNT = "system:serviceaccount:default:greedy"
ACCOUNTS = ("system:serviceaccounts", "system:authenticated")


class Stuck(MemoryStore):
    """A store in which no config map is written until the gate opens; it tells the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.came: list[str] = []

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        if "/configmaps/" in key:
            self.came.append(key.rpartition("/")[2])
            await self.gate.wait()
        return await super().put(key, value, expected=expected)


async def uid_of(api: Api, kind: str, name: str) -> str:
    uid: str = (await api.get(f"{FLOWS}/{kind}/{name}")).json["metadata"]["uid"]
    return uid


@pytest.mark.parametrize(
    ("user", "groups", "path", "schema", "level"),
    [
        ("admin", ("system:masters",), MAPS, "exempt", "exempt"),
        ("system:node:n1", ("system:nodes",), LEASES, "system-node-high", "node-high"),
        ("system:node:n1", ("system:nodes",), f"{CORE}/pods", "system-nodes", "system"),
        ("system:kube-scheduler", (), f"{CORE}/pods", "kube-scheduler", "workload-high"),
        ("system:serviceaccount:kube-system:x", ACCOUNTS, MAPS, "kube-system-service-accounts", "workload-high"),
        (ACCOUNT, ACCOUNTS, MAPS, "service-accounts", "workload-low"),
        ("eve", (), MAPS, "global-default", "global-default"),
        ("eve", (), "/healthz", "probes", "exempt"),
    ],
)
async def test_requests_belong_where_kubernetes_puts_them(
    api: Api, user: str, groups: tuple[str, ...], path: str, schema: str, level: str
):
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    roles = "/apis/rbac.authorization.k8s.io/v1/"
    await api.made(f"{roles}clusterroles", {"metadata": {"name": "all"}, "rules": [rule]})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "all"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]
    await api.made(f"{roles}clusterrolebindings", {"metadata": {"name": "all"}, "roleRef": ref, "subjects": subjects})

    answer = await api.get(path, user=user, groups=groups)

    assert answer.header("x-kubernetes-pf-flowschema-uid") == await uid_of(api, "flowschemas", schema)
    assert answer.header("x-kubernetes-pf-prioritylevel-uid") == await uid_of(api, "prioritylevelconfigurations", level)


async def test_a_schema_of_ones_own_is_in_force_at_once(api: Api):
    limited = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}
    level = {"metadata": {"name": "lab"}, "spec": {"type": "Limited", "limited": limited}}
    await api.made(f"{FLOWS}/prioritylevelconfigurations", level)
    subject = {"kind": "User", "user": {"name": "eve"}}
    rule = {"subjects": [subject], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}
    spec = {"matchingPrecedence": 1000, "priorityLevelConfiguration": {"name": "lab"}, "rules": [rule]}
    schema = await api.made(f"{FLOWS}/flowschemas", {"metadata": {"name": "lab"}, "spec": spec})

    answer = await api.get("/version", user="eve", groups=())

    assert answer.header("x-kubernetes-pf-flowschema-uid") == schema["metadata"]["uid"]


class Crowd:
    """A greedy account whose requests are under way."""

    def __init__(self, api: Api, store: Stuck) -> None:
        self.api, self.store = api, store
        self.requests: list[asyncio.Task[Answer]] = []

    def send(self, count: int, user: str = ACCOUNT, name: str = "m") -> None:
        for index in range(count):
            made: dict[str, Any] = {"metadata": {"name": f"{name}-{index}"}}
            self.requests.append(asyncio.ensure_future(self.api.post(MAPS, made, user=user, groups=ACCOUNTS)))

    async def settle(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def answers(self) -> list[Answer]:
        self.store.gate.set()
        return await asyncio.gather(*self.requests)


async def have_role(api: Api) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1/"
    rules = [{"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"], "verbs": ["*"]}]
    await api.made(f"{roles}clusterroles", {"metadata": {"name": "maker"}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maker"}
    subjects = [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
        for group in (*ACCOUNTS, "system:nodes")
    ]
    await api.made(f"{roles}clusterrolebindings", {"metadata": {"name": "maker"}, "roleRef": ref, "subjects": subjects})


@asynccontextmanager
async def a_stuck_crowd(seats: int, count: int) -> AsyncIterator[Crowd]:
    """So many requests of one account on a server with so many seats; those that have begun get stuck in the store."""
    store = Stuck()
    async with running_api(store) as api:
        await have_role(api)
        api.server.sharing = Sharing(api.server.cache, seats)
        crowd = Crowd(api, store)
        crowd.send(count)
        await crowd.settle()
        yield crowd


async def test_a_greedy_client_waits_while_nodes_renew_their_leases():
    async with a_stuck_crowd(seats=20, count=100) as crowd:
        stuck = len(crowd.store.came)
        lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40}}
        renewed = await asyncio.wait_for(
            crowd.api.post(LEASES, lease, user="system:node:n1", groups=("system:nodes",)), 5
        )

        assert (renewed.status, stuck < 20, crowd.api.server.sharing.levels["workload-low"].waiting) == (
            201,
            True,
            100 - stuck,
        )
        assert {answer.status for answer in await crowd.answers()} == {201}


async def test_what_exceeds_the_queues_is_told_when_to_come_again():
    async with a_stuck_crowd(seats=10, count=500) as crowd:
        answers = await crowd.answers()

        refused = [answer for answer in answers if answer.status == 429]
        assert {answer.status for answer in answers} == {201, 429}
        assert {answer.header("retry-after") for answer in refused} == {"1"}
        assert refused[0].error == (429, "TooManyRequests", "Too many requests, please try again later.")
        assert crowd.api.server.sharing.levels["workload-low"].rejected.total() == len(refused)
        assert [level.executing for level in crowd.api.server.sharing.levels.values()] == [0] * 8


async def test_flows_of_one_level_take_turns():
    async with a_stuck_crowd(seats=10, count=60) as crowd:
        crowd.send(5, user="system:serviceaccount:default:modest", name="modest")
        await crowd.settle()

        await crowd.answers()

        modest = [place for place, name in enumerate(crowd.store.came) if name.startswith("modest")]
        assert max(modest) < 55


async def test_who_has_nothing_under_way_does_not_wait_behind_who_has():
    async with a_stuck_crowd(seats=20, count=100) as crowd:
        crowd.send(1, user="system:serviceaccount:default:modest", name="modest")
        await crowd.settle()

        assert crowd.store.came[-1] == "modest-0"
        assert {answer.status for answer in await crowd.answers()} == {201}


async def test_a_client_that_leaves_takes_nobodys_turn():
    async with a_stuck_crowd(seats=10, count=40) as crowd:
        level = crowd.api.server.sharing.levels["workload-low"]
        before = level.waiting
        for request in crowd.requests[-5:]:
            request.cancel()
        await asyncio.gather(*crowd.requests[-5:], return_exceptions=True)

        assert (before - level.waiting, level.executing) == (5, 40 - before)
        del crowd.requests[-5:]
        assert {answer.status for answer in await crowd.answers()} == {201}


async def test_what_is_counted_has_kubernetes_names(api: Api):
    await api.made(MAPS, {"metadata": {"name": "a"}})
    await api.get(f"{MAPS}/none")

    told = (await api.get("/metrics")).body.decode()

    [line] = [line for line in told.splitlines() if line.startswith("apiserver_request_total{") and '"POST"' in line]
    where = 'resource="configmaps",scope="resource",subresource="",verb="POST",version="v1"'
    assert line == f'apiserver_request_total{{code="201",component="apiserver",dry_run="",group="",{where}}} 1.0'
    assert 'code="404"' in told
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="exempt"} 0.0' in told
    assert "apiserver_request_duration_seconds_bucket" in told
    assert "apiserver_admission_webhook_fail_open_count_total" in told


@pytest.mark.parametrize(
    ("method", "path", "options", "wanted"),
    [
        (
            "POST",
            MAPS,
            {"query": {"dryRun": "All"}},
            'apiserver_request_total{code="201",component="apiserver",dry_run="All"',
        ),
        ("PATCH", f"{MAPS}/b", {"query": {"fieldManager": "m"}, "headers": {"content-type": APPLY}}, 'verb="APPLY"'),
        ("POST", "/api/v1/namespaces/default/pods/p/exec", {}, 'subresource="exec",verb="CONNECT"'),
        (
            "GET",
            "/api/v1/endpoints",
            {},
            'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endp',
        ),
    ],
)
async def test_dry_runs_applies_connections_and_old_apis_are_told_apart(api: Api, method, path, options, wanted):
    await api.request(method, path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}, **options)

    assert wanted in (await api.get("/metrics")).body.decode()


async def test_the_sizes_of_answers_are_counted(api: Api):
    await api.made(MAPS, {"metadata": {"name": "a"}, "data": {"k": "v" * 20_000}})
    await api.get(f"{MAPS}/a")

    told = (await api.get("/metrics")).body.decode()

    [small] = [line for line in told.splitlines() if 'le="10000.0"' in line and 'scope="resource"' in line]
    [all] = [line for line in told.splitlines() if "response_sizes_count" in line and 'scope="resource"' in line]
    assert (small.split()[-1], all.split()[-1]) == ("0.0", "1.0")


async def test_a_request_that_takes_too_long_is_a_504():
    store = Stuck()
    async with running_api(store, request_timeout_seconds=0.05) as api:
        slow = await api.post(MAPS, {"metadata": {"name": "a"}})
        odd = await api.get(MAPS, query={"timeout": "soon"})
        quick = await api.get(MAPS, query={"timeout": "10s"})

    assert slow.error == (504, "Timeout", "request did not complete within the allotted timeout")
    assert (odd.status, "invalid timeout specified in the request URL" in odd.json["message"]) == (400, True)
    assert quick.status == 200


async def test_a_client_says_how_long_it_waits():
    store = Stuck()
    async with running_api(store) as api:
        answer = await api.post(MAPS, {"metadata": {"name": "a"}}, query={"timeout": "20ms"})

    assert answer.status == 504


async def test_what_strangers_ask_for_is_not_remembered_at_any_length(api: Api):
    for number in range(20):
        await api.get(f"/{number}/" + "x" * 2000, user=None)
        await api.get(f"/apis/{'x' * 2000}/v{number}/pods", user=None)
        await api.get(f"{CORE}/pods/web/proxy/{number}", user=None)

    remembered = (api.server.sharing._places, api.server.authorizer._decisions, api.server.counts.tallies)
    assert max(len(str(key)) for each in remembered for key in each) < 2000
    assert [key[4] for key in api.server.counts.tallies if key[4].startswith("proxy")] == ["proxy"]


async def test_a_seat_whose_client_leaves_at_that_moment_goes_to_the_next(api: Api):
    sharing = Sharing(api.server.cache, 1)
    request = Request.of({"headers": [], "path": "/version"}, asyncio.Event().wait)  # type: ignore[arg-type]
    request.user, request.verb = User("eve", ("system:authenticated",)), "get"
    place = sharing.place_of(request)
    assert place is not None
    level = place.level
    await asyncio.gather(*(sharing.enter(place) for _ in range(level.nominal)))
    first, second = (asyncio.ensure_future(sharing.enter(place)) for _ in range(2))
    await asyncio.sleep(0)

    sharing.leave(place)  # the first one's turn
    first.cancel()

    await asyncio.wait_for(second, 1)
    assert (first.cancelled(), level.executing, level.waiting) == (True, level.nominal, 0)


async def test_connections_by_any_method_count_together_and_what_is_not_served_is_not_old(api: Api):
    await api.get("/api/v1/nodes/none/proxy/a")
    await api.post("/api/v1/nodes/none/proxy/b", {})
    await api.get("/api/v1/namespaces/default/endpoints/e/invented")

    told = (await api.get("/metrics")).body.decode().splitlines()

    [line] = [line for line in told if line.startswith("apiserver_request_total{") and '"CONNECT"' in line]
    assert line.endswith(" 2.0")
    assert not any(line.startswith("apiserver_requested_deprecated_apis{") for line in told)
