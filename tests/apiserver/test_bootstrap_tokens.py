"""Bootstrap tokens: who is let in by one, as whom, and who is not."""

from datetime import UTC, datetime

import pytest

from tests.apiserver.local_api import Api, running_api
from tests.apiserver.test_identity import whoami

SECRETS = "/api/v1/namespaces/kube-system/secrets"
TOKEN = "abcdef.0123456789abcdef"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOOD = {
    "token-id": "abcdef",
    "token-secret": "0123456789abcdef",
    "usage-bootstrap-authentication": "true",
    "expiration": "2026-06-02T00:00:00Z",
    "auth-extra-groups": "system:bootstrappers:robots,system:bootstrappers:lab:a",
}


def a_secret(name: str = "bootstrap-token-abcdef", type: str = "bootstrap.kubernetes.io/token", **changes: str) -> dict:
    data = {key: value for key, value in {**GOOD, **changes}.items() if value}
    return {"metadata": {"name": name}, "type": type, "stringData": data}


async def test_a_token_makes_a_bootstrapper():
    async with running_api(now=lambda: NOW) as api:
        await api.made(SECRETS, a_secret())

        info = await whoami(api, token=TOKEN)

    groups = [
        "system:bootstrappers",
        "system:bootstrappers:robots",
        "system:bootstrappers:lab:a",
        "system:authenticated",
    ]
    assert info == {"username": "system:bootstrap:abcdef", "groups": groups}


BAD = {
    "a token for other uses": {"usage-bootstrap-authentication": "false"},
    "one that does not say": {"usage-bootstrap-authentication": ""},
    "an expired one": {"expiration": "2026-05-31T23:59:59Z"},
    "one whose end nobody can read": {"expiration": "tomorrow"},
    "another secret": {"token-secret": "0123456789abcdee"},
    "no secret": {"token-secret": ""},
    "another id": {"token-id": "abcdeg"},
    "another type": {"type": "Opaque"},
    "a group that is not a bootstrapper's": {"auth-extra-groups": "system:masters"},
    "a name that does not fit": {"name": "bootstrap-token-abcdeg"},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=list(BAD))
async def test_what_is_no_good_token_opens_nothing(changes: dict):
    async with running_api(now=lambda: NOW) as api:
        await api.made(SECRETS, a_secret(**changes))

        answer = await api.get("/version", token=TOKEN)

    assert answer.error == (401, "Unauthorized", "Unauthorized")


async def test_a_token_without_an_end_lasts_until_it_is_deleted(api: Api):
    await api.made(SECRETS, a_secret(expiration=""))
    assert (await api.get("/version", token=TOKEN)).status == 200

    await api.delete(f"{SECRETS}/bootstrap-token-abcdef")

    assert (await api.get("/version", token=TOKEN)).status == 401


async def test_a_token_in_another_namespace_is_none(api: Api):
    await api.made("/api/v1/namespaces/default/secrets", a_secret(expiration=""))

    assert (await api.get("/version", token=TOKEN)).status == 401


async def test_a_review_knows_the_token(api: Api):
    await api.made(SECRETS, a_secret(expiration=""))
    path = "/apis/authentication.k8s.io/v1/tokenreviews"

    good = await api.post(path, {"spec": {"token": TOKEN}})
    bad = await api.post(path, {"spec": {"token": "abcdef.0000000000000000"}})

    assert good.json["status"]["user"]["username"] == "system:bootstrap:abcdef"
    assert bad.json["status"] == {"user": {}, "error": "invalid bearer token"}
