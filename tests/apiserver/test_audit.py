"""The audit log: what a policy wants is written, line by line, and nothing else."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from apiserver.audit.log import AuditLog, Rotation
from apiserver.audit.policy import NOTHING, PolicyError, load_policy
from apiserver.audit.record import Audit
from apiserver.request import Request, Response, Target, User
from tests.apiserver.local_api import CORE, Api, running_api

MAPS = f"{CORE}/configmaps"
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: [quiet]}
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: RequestResponse, verbs: [create, delete], omitManagedFields: true, resources: [{group: ""}]}
- {level: Request, resources: [{group: "", resources: ["pods/*"]}], namespaces: [default]}
- {level: Metadata, nonResourceURLs: ["/version*"]}
- {level: Metadata, verbs: [watch, get], resources: [{group: "", resources: [configmaps]}], omitStages: []}
"""


def events(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


@asynccontextmanager
async def audited(folder: Path, policy: str) -> AsyncIterator[tuple[Api, Callable[[], list[dict[str, Any]]]]]:
    (folder / "policy.yaml").write_text(policy)
    file = folder / "audit.log"
    log = AuditLog(str(file), Rotation())
    audit = Audit(load_policy(folder / "policy.yaml"), log)

    def told() -> list[dict[str, Any]]:
        log.flush()
        found = events(file)
        file.write_bytes(b"")
        return found

    async with running_api(audit=audit) as api:
        yield api, told
    audit.close()


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Api, Callable[[], list[dict[str, Any]]]]]:
    async with audited(tmp_path, POLICY) as opened:
        yield opened


async def test_a_write_is_told_with_its_objects_and_who_asked(scene: Any):
    api, told = scene
    made = await api.made(
        MAPS, {"metadata": {"name": "a"}}, headers={"user-agent": "me/1"}, query={"fieldManager": "m"}
    )

    [event] = told()

    assert event.pop("auditID")
    assert event.pop("requestReceivedTimestamp") <= event.pop("stageTimestamp")
    made["metadata"].pop("managedFields", None)
    assert event["requestObject"]["metadata"] == {"name": "a"}
    assert event["responseObject"] == made
    assert event["user"]["username"] == "admin"
    assert {key: event[key] for key in ("level", "stage", "requestURI", "verb", "userAgent", "objectRef")} == {
        "level": "RequestResponse",
        "stage": "ResponseComplete",
        "requestURI": f"{MAPS}?fieldManager=m",
        "verb": "create",
        "userAgent": "me/1",
        "objectRef": {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"},
    }
    assert event["responseStatus"] == {"metadata": {}, "code": 201}
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"


async def test_of_secrets_only_metadata_is_told(scene: Any):
    api, told = scene
    await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}, "data": {"k": "eA=="}})
    answer = await api.get(f"{CORE}/secrets/s")

    found = told()

    assert [event["verb"] for event in found] == ["create", "get"]
    assert answer.all("audit-id") == [found[-1]["auditID"]]
    assert not {"requestObject", "responseObject"} & {key for event in found for key in event}


async def test_words_that_cite_a_secret_are_not_told(scene: Any):
    api, told = scene
    await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}})
    copied = [{"op": "copy", "from": "/data/k", "path": "/type"}]

    answer = await api.patch(f"{CORE}/secrets/s", copied, "application/json-patch+json")

    assert "c2VjcmV0" in answer.json["message"]
    status = {"metadata": {}, "code": 422, "status": "Failure", "reason": "Invalid"}
    assert told()[-1]["responseStatus"] == status


@pytest.mark.parametrize(("resource", "is_told"), [("secrets", False), ("pods/exec", True)])
async def test_what_a_webhook_changed_is_told_only_where_objects_are(scene: Any, resource: str, is_told: bool):
    api, told = scene
    plural, _, subresource = resource.partition("/")
    request = Request.of({"headers": [], "path": "/"}, asyncio.Event().wait)  # type: ignore[arg-type]
    request.target, request.verb = Target("", "v1", plural, "default", "s", subresource), "update"
    record = api.server.audit.record_of(api.server, request)
    patch, noted = "patch.webhook.admission.k8s.io/round_0", "mutation.webhook.admission.k8s.io/round_0"
    request.annotations |= {patch: '[{"op":"add","path":"/data/k","value":"eA=="}]', noted: "{}"}

    record.answered(Response(200, b""))

    assert [set(event["annotations"]) for event in told()] == [{patch, noted} if is_told else {noted}]


async def test_refusals_are_told_with_their_words(scene: Any):
    api, told = scene
    await api.post(MAPS, {"metadata": {"name": "a"}}, user="eve", groups=())
    await api.request("GET", "/version", token="wrong")

    refused, unknown = told()

    assert (refused["responseStatus"]["code"], refused["responseStatus"]["reason"]) == (403, "Forbidden")
    assert refused["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert (unknown["responseStatus"]["code"], unknown["user"]["username"]) == (401, "system:anonymous")


async def test_a_watch_is_told_when_it_begins_and_when_it_ends(scene: Any):
    api, told = scene
    async with api.watch(MAPS):
        begun = told()

    assert [event["stage"] for event in begun + told()] == ["ResponseStarted", "ResponseComplete"]


async def test_somebody_who_acts_for_another_is_told_of_as_both(scene: Any):
    api, told = scene
    await api.get("/version", headers={"impersonate-user": "bob"})

    [event] = told()

    assert (event["user"]["username"], event["impersonatedUser"]["username"]) == ("admin", "bob")


async def test_what_no_rule_wants_is_not_told(scene: Any):
    api, told = scene
    await api.made(MAPS, {"metadata": {"name": "q"}}, user="quiet")
    await api.get("/healthz")
    await api.get("/apis/apps/v1/deployments")

    assert told() == []


@pytest.mark.parametrize(
    ("path", "level"),
    [
        (Target("", "v1", "pods", "default", "p", "log"), 2),
        (Target("", "v1", "pods", "other", "p", "log"), 0),
        (Target("", "v1", "pods", "default", "p", ""), 0),
        (Target("apps", "v1", "deployments", "default", "d", ""), 0),
    ],
)
def test_the_first_rule_that_matches_counts(tmp_path: Path, path: Target, level: int):
    (tmp_path / "p.yaml").write_text(POLICY)

    told = load_policy(tmp_path / "p.yaml").told_of(User("u"), "get", path, "/")

    assert (told.level, told == NOTHING) == (level, not level)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rules: []", "apiVersion: it is missing; kind: it is missing; rules: it has 0 items"),
        (
            "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: All}]}",
            r"rules\[0\].level: 'All': expected 'None'",
        ),
        (
            "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: None, user: [a]}]}",
            r"rules\[0\].user: there is no such field",
        ),
        ("- {", "line 1: it is not YAML"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_the_field(tmp_path: Path, text: str, why: str):
    (tmp_path / "p.yaml").write_text(text)

    with pytest.raises(PolicyError, match=why):
        load_policy(tmp_path / "p.yaml")


async def test_the_file_is_closed_to_others_and_makes_room_in_time(tmp_path: Path):
    file = tmp_path / "logs" / "audit.log"
    log = AuditLog(str(file), Rotation(max_mebibytes=1, max_backups=2))
    for number in range(5):
        log.write({"number": number, "filling": "x" * 700_000})
        log.flush()
    log.close()

    kept = sorted(file.parent.iterdir())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [events(each)[0]["number"] for each in kept] == [2, 3, 4]


async def test_a_log_that_somebody_moved_away_begins_anew(tmp_path: Path):
    file = tmp_path / "audit.log"
    log = AuditLog(str(file), Rotation(max_mebibytes=1))
    log.write({"number": 0, "filling": "x" * 700_000})
    log.flush()
    file.rename(tmp_path / "moved")
    log.write({"number": 1, "filling": "x" * 700_000})
    log.close()

    assert [events(each)[0]["number"] for each in (tmp_path / "moved", file)] == [0, 1]
