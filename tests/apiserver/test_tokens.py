"""Service-account tokens: who is believed, for how long, and who never is."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.apiserver.local_api import CORE, Api, running_api, service_account_key
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_identity import whoami


async def a_token(api: Api, **spec: object) -> str:
    await api.post(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
    answer = await api.post(f"{CORE}/serviceaccounts/robot/token", {"spec": spec})
    return answer.json["status"]["token"]


async def test_a_pod_waits_a_moment_for_the_default_account_of_a_new_namespace():
    place = "/api/v1/namespaces/new"
    async with running_api(admission=True) as api:
        await api.made("/api/v1/namespaces", {"metadata": {"name": "new"}})
        waiting = asyncio.ensure_future(api.post(f"{place}/pods", a_pod()))
        await asyncio.sleep(0.1)
        is_waiting = not waiting.done()
        await api.made(f"{place}/serviceaccounts", {"metadata": {"name": "default"}})

        assert (is_waiting, (await waiting).status) == (True, 201)


async def test_a_service_account_is_who_its_token_says(api: Api):
    token = await a_token(api)

    info = await whoami(api, token=token)

    groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert (info["username"], info["groups"]) == ("system:serviceaccount:default:robot", groups)
    assert info["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")


def forged(token: str, *, algorithm: str = "ES256", **claims: object) -> str:
    body = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    if algorithm == "none":
        return jwt.encode(body, None, algorithm="none")
    if algorithm == "HS256":  # the public key as if it were a shared secret
        return jwt.encode(body, "x" * 32, algorithm="HS256")
    return jwt.encode(body, ec.generate_private_key(ec.SECP256R1()), algorithm=algorithm)


def signed(token: str, **claims: object) -> str:
    """What the server's own key would sign, if it ever did."""
    body = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    body = {key: value for key, value in body.items() if value is not None}
    return jwt.encode(body, service_account_key().read_bytes(), algorithm="ES256")


BAD_TOKENS = {
    "forged": lambda token: forged(token),
    "unsigned": lambda token: forged(token, algorithm="none"),
    "symmetric": lambda token: forged(token, algorithm="HS256"),
    "cut": lambda token: token[:-10],
    "changed": lambda token: ".".join([token.split(".")[0], "e30", token.split(".")[2]]),
    "garbage": lambda token: "garbage",
    "dots": lambda token: "..",
    "binary": lambda token: "\xff\xfe",
    "long": lambda token: "x" * 100_000,
    "expired": lambda token: signed(token, exp=1),
    "early": lambda token: signed(token, nbf=2**40),
    "other issuer": lambda token: signed(token, iss="https://elsewhere"),
    "other audience": lambda token: signed(token, aud=["elsewhere"]),
    "no claims of ours": lambda token: signed(token, **{"kubernetes.io": None}),
    "claims of another shape": lambda token: signed(token, **{"kubernetes.io": {"namespace": 5}}),
    "expiry of another shape": lambda token: signed(token, exp="soon"),
    "other account": lambda token: signed(token, **{"kubernetes.io": {"namespace": "kube-system"}}),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_a_401_even_where_nobody_would_pass(api: Api, kind: str):
    bad = BAD_TOKENS[kind](await a_token(api))

    answer = await api.get("/version", token=bad)

    assert (answer.error, "details" in answer.json) == ((401, "Unauthorized", "Unauthorized"), False)
    assert answer.header("www-authenticate") == 'Bearer realm="kubernetes"'


@pytest.mark.parametrize("header", ["Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "bearer\t", "nonsense"])
async def test_other_credentials_are_a_401(api: Api, header: str):
    assert (await api.get("/version", user=None, headers={"authorization": header})).status == 401


async def test_a_token_dies_with_its_account_and_is_not_revived_by_a_new_one(api: Api):
    token = await a_token(api)
    assert (await api.get("/version", token=token)).status == 200

    await api.delete(f"{CORE}/serviceaccounts/robot")
    gone = await api.get("/version", token=token)
    await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
    renewed = await api.get("/version", token=token)

    assert (gone.status, renewed.status) == (401, 401)


async def test_a_token_bound_to_a_pod_dies_with_it(api: Api):
    await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
    await api.made(PODS, a_pod(serviceAccountName="robot"))
    token = await a_token(api, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})

    alive = await whoami(api, token=token)
    await api.delete(f"{PODS}/p")

    assert alive["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    assert (await api.get("/version", token=token)).status == 401


async def test_a_pods_token_names_its_node_and_a_nodes_token_dies_with_it(api: Api):
    await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})
    node = await api.made("/api/v1/nodes", {"metadata": {"name": "n"}})
    await api.made(PODS, a_pod(serviceAccountName="robot", nodeName="n"))
    of_pod, of_node = [
        await a_token(api, boundObjectRef={"kind": kind, "apiVersion": "v1", "name": name})
        for kind, name in (("Pod", "p"), ("Node", "n"))
    ]
    told = {"node-name": ["n"], "node-uid": [node["metadata"]["uid"]]}
    extras = [(await whoami(api, token=token))["extra"] for token in (of_pod, of_node)]

    await api.delete("/api/v1/nodes/n")

    assert all({f"authentication.kubernetes.io/{key}": told[key] for key in told}.items() <= e.items() for e in extras)
    assert [(await api.get("/version", token=token)).status for token in (of_pod, of_node)] == [200, 401]


async def test_a_token_expires():
    clock = [datetime.now(UTC)]
    async with running_api(now=lambda: clock[0]) as api:
        token = await a_token(api, expirationSeconds=600)
        before = await api.get("/version", token=token)
        clock[0] += timedelta(seconds=601)

        assert (before.status, (await api.get("/version", token=token)).status) == (200, 401)


async def test_a_token_review_tells_good_from_bad(api: Api):
    token = await a_token(api)
    path = "/apis/authentication.k8s.io/v1/tokenreviews"

    good = await api.post(path, {"spec": {"token": token}})
    bad = await api.post(path, {"spec": {"token": "garbage"}})

    assert (good.status, good.json["status"]["authenticated"]) == (201, True)
    assert good.json["status"]["user"]["username"] == "system:serviceaccount:default:robot"
    assert bad.json["status"] == {"user": {}, "error": "invalid bearer token"}


async def test_others_can_check_a_token_with_the_published_keys(api: Api):
    token = await a_token(api, audiences=["me"])
    (key,) = (await api.get("/openid/v1/jwks")).json["keys"]

    claims = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["ES256"], audience="me")

    assert (claims["iss"], jwt.get_unverified_header(token)["kid"]) == ("https://kubernetes.default.svc", key["kid"])


async def test_what_a_bound_token_carries_is_not_believed_without_its_signature(api: Api):
    header, _, signature = (await a_token(api)).split(".")
    claims = {"sub": "system:serviceaccount:kube-system:admin", "aud": ["https://kubernetes.default.svc"]}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    assert (await api.get("/version", token=f"{header}.{body}.{signature}")).status == 401
