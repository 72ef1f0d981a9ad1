"""ID tokens of a real issuer over TLS: who they make one, when they are refused, and that keys may be rotated."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from apiserver.access.oidc import issuers
from apiserver.access.oidc import keys as issuer_keys
from apiserver.access.oidc.config import AuthenticationConfiguration, Flags, Trusted, trusted_by_flags
from apiserver.file_errors import FileProblem, read_model
from tests.apiserver.local_api import Api, running_api
from tests.apiserver.served_api import backend
from tests.faults.cluster_keys import ClusterKeys

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Issuer:
    """Discovery and keys over TLS, and tokens signed with one of them."""

    def __init__(self, port: int, authority: Path) -> None:
        self.url, self.authority = f"https://127.0.0.1:{port}", authority
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.published: list[dict[str, Any]] = [self.jwk("one")]
        self.asked = 0

    def jwk(self, key_id: str) -> dict[str, Any]:
        algorithm, key = (
            (jwt.algorithms.ECAlgorithm, self.ec) if key_id == "ec" else (jwt.algorithms.RSAAlgorithm, self.rsa)
        )
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}

    def token(self, key_id: str = "one", **claims: Any) -> str:
        said = {"iss": self.url, "aud": "wherry", "sub": "ann", "exp": int(NOW.timestamp()) + 60} | claims
        said = {name: value for name, value in said.items() if value is not None}
        key, algorithm = (self.ec, "ES256") if key_id == "ec" else (self.rsa, "RS256")
        return jwt.encode(said, key, algorithm, headers={"kid": key_id})

    def flags(self, **more: Any) -> tuple[Trusted, ...]:
        return (trusted_by_flags(Flags(self.url, "wherry", self.authority, **more)),)


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    keys = ClusterKeys(tmp_path)
    keys.sign("issuer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "issuer.crt", tmp_path / "issuer.key")
    app = web.Application()

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response({"issuer": found.url, "jwks_uri": f"{found.url}/keys"})

    async def published(_: web.Request) -> web.Response:
        found.asked += 1
        return web.json_response({"keys": found.published})

    app.add_routes([web.get("/.well-known/openid-configuration", discovery), web.get("/keys", published)])
    async with backend(app, tls=context) as port:
        found = Issuer(port, tmp_path / "ca.crt")
        yield found


def serving(trusted: tuple[Trusted, ...]) -> contextlib.AbstractAsyncContextManager[Api]:
    return running_api(now=lambda: NOW, trusted_issuers=trusted)


async def who(api: Api, token: str) -> Any:
    """Name and groups of the holder, or the code of the refusal."""
    answer = await api.post(REVIEW, {}, token=token)
    if answer.status != 201:
        assert answer.json["message"] == "Unauthorized"
        return answer.status
    user = answer.json["status"]["userInfo"]
    return user["username"], [group for group in user["groups"] if group != "system:authenticated"]


async def test_a_token_says_who_one_is(issuer: Issuer):
    async with serving(issuer.flags(groups_claim="courses", groups_prefix="course:")) as api:
        assert await who(api, issuer.token(courses=["os", "db"])) == (f"{issuer.url}#ann", ["course:os", "course:db"])
        assert await who(api, issuer.token(courses="os")) == (f"{issuer.url}#ann", ["course:os"])
        assert await who(api, issuer.token(aud=["other", "wherry"])) == (f"{issuer.url}#ann", [])
        assert issuer.asked == 1


async def test_a_token_is_refused_for_many_reasons_and_never_logged(issuer: Issuer, capsys):
    wrong = [
        issuer.token(exp=int(NOW.timestamp())),
        issuer.token(exp=None),
        issuer.token(nbf=int(NOW.timestamp()) + 301),
        issuer.token(aud="other"),
        issuer.token(aud=None),
        issuer.token(sub=None),
        issuer.token(groups=[1]),
        issuer.token(iss="https://other.example"),
        f"{issuer.token().split('.')[0]}.eyJpc3MiOlsiYSJdfQ.AAAA",
        issuer.token(hd="other.example"),
        issuer.token()[:-8] + "AAAAAAAA",
        jwt.encode(jwt.decode(issuer.token(), options={"verify_signature": False}), "x" * 32, "HS256"),
        jwt.encode(jwt.decode(issuer.token(), options={"verify_signature": False}), None, "none"),
        "no.jwt.atall",
    ]
    trusted = issuer.flags(groups_claim="groups", required_claims=("hd=example.edu",))
    async with serving(trusted) as api:
        assert [await who(api, token) for token in wrong] == [401] * len(wrong)
        assert (await who(api, issuer.token(hd="example.edu")))[0] == f"{issuer.url}#ann"

    told = capsys.readouterr().out
    assert "it has expired" in told
    assert [token for token in wrong if token.split(".")[-1] and token.split(".")[-1] in told] == []


async def test_a_review_names_no_audience_that_is_not_this_servers(issuer: Issuer):
    async with serving(issuer.flags()) as api:
        ours = list(api.server.tokens.audiences)
        spec = {"token": issuer.token(), "audiences": ["vault", *ours]}
        answer = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec})

    assert answer.json["status"]["audiences"] == ours


async def test_an_address_counts_only_if_it_is_verified(issuer: Issuer):
    async with serving(issuer.flags(username_claim="email")) as api:
        assert await who(api, issuer.token(email="ann@example.edu")) == ("ann@example.edu", [])
        assert await who(api, issuer.token(email="ann@example.edu", email_verified=True)) == ("ann@example.edu", [])
        assert await who(api, issuer.token(email="ann@example.edu", email_verified=False)) == 401


async def test_keys_are_rotated_and_asked_for_no_more_than_needed(issuer: Issuer, monkeypatch):
    async with serving(issuer.flags(signing_algorithms=("RS256", "ES256"))) as api:
        before = [await who(api, issuer.token()), await who(api, issuer.token("ec"))]
        issuer.published = [issuer.jwk("ec")]
        soon = await who(api, issuer.token("ec", sub="bob"))
        monkeypatch.setattr(issuer_keys, "AGAIN_SECONDS", 0.0)
        later = await who(api, issuer.token("ec", sub="bob"))
        withdrawn = await who(api, issuer.token(sub="carl"))

    assert before == [(f"{issuer.url}#ann", []), 401]
    assert (soon, later, withdrawn) == (401, (f"{issuer.url}#bob", []), 401)


async def test_keys_may_be_long_and_come_in_pieces(issuer: Issuer):
    long = {**issuer.jwk("old"), "x5c": ["A" * 200_000]}
    issuer.published = [long, issuer.jwk("one")]
    async with serving(issuer.flags()) as api:
        assert await who(api, issuer.token()) == (f"{issuer.url}#ann", [])


async def test_a_token_is_judged_anew_after_a_while(issuer: Issuer, monkeypatch):
    monkeypatch.setattr(issuer_keys, "OLDEST_SECONDS", 0.0)
    monkeypatch.setattr(issuer_keys, "AGAIN_SECONDS", -1.0)
    monkeypatch.setattr(issuers, "OLDEST_SECONDS", 0.0)
    async with serving(issuer.flags()) as api:
        before = await who(api, issuer.token())
        issuer.published = []
        assert (before, await who(api, issuer.token())) == ((f"{issuer.url}#ann", []), 401)


async def test_an_algorithm_that_is_not_allowed_is_refused(issuer: Issuer):
    issuer.published = [issuer.jwk("ec")]
    async with serving(issuer.flags()) as api:
        assert await who(api, issuer.token("ec")) == 401


async def test_a_silent_issuer_harms_nobody_else(issuer: Issuer):
    trusted = (trusted_by_flags(Flags("https://127.0.0.1:1", "wherry", issuer.authority)),)
    async with serving(trusted) as api:
        assert await who(api, issuer.token(iss="https://127.0.0.1:1")) == 401
        assert (await api.get("/api")).status == 200


CONFIGURATION = """
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {{url: "{url}", audiences: [wherry, other], audienceMatchPolicy: MatchAny, certificateAuthority: {ca}}}
  claimMappings:
    username: {{expression: "claims.sub + '@lab'"}}
    groups: {{expression: "claims.courses.map(each, 'course:' + each)"}}
    uid: {{claim: id}}
    extra: [{{key: example.edu/desk, valueExpression: "claims.desk"}}]
  claimValidationRules:
  - {{claim: hd, requiredValue: example.edu}}
  - {{expression: "claims.exp - claims.iat <= 3600", message: lives too long}}
  userValidationRules:
  - {{expression: "!user.username.startsWith('system:')", message: system names are taken}}
"""


async def test_a_file_says_it_in_expressions(issuer: Issuer, tmp_path: Path, capsys):
    file, authority = tmp_path / "authentication.yaml", await asyncio.to_thread(issuer.authority.read_text)
    file.write_text(CONFIGURATION.format(url=issuer.url, ca=repr(authority).replace("'", '"')))
    trusted = read_model(file, AuthenticationConfiguration).jwt
    good = {"hd": "example.edu", "courses": ["os"], "id": "7", "desk": "d1", "iat": int(NOW.timestamp())}

    async with serving(trusted) as api:
        made = await api.post(REVIEW, {}, token=issuer.token(**good))
        refused = [
            await who(api, issuer.token(**{**good, "iat": 5})),
            await who(api, issuer.token(**{**good, "sub": "system:admin"})),
            await who(api, issuer.token(**{**good, "courses": None})),
        ]
        seen = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": issuer.token(**good)}})

    assert made.json["status"]["userInfo"] == {
        "username": "ann@lab",
        "uid": "7",
        "groups": ["course:os", "system:authenticated"],
        "extra": {"example.edu/desk": ["d1"]},
    }
    assert refused == [401, 401, 401]
    assert "lives too long" in capsys.readouterr().out
    assert seen.json["status"]["user"]["username"] == "ann@lab"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ('url: "http://a.b"', "jwt[0].issuer.url: it must begin with https://"),
        ('url: "https://a.b", audience: x', "jwt[0].issuer.audience: there is no such field"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, said: str, complaint: str):
    file = tmp_path / "authentication.yaml"
    mapping = "claimMappings: {username: {claim: sub}}"
    head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
    file.write_text(f"{head}jwt:\n- issuer: {{{said}, audiences: [a]}}\n  {mapping}\n")

    with pytest.raises(FileProblem) as found:
        read_model(file, AuthenticationConfiguration)

    assert complaint in str(found.value)


ANONYMOUS = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous: "


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        ("{enabled: true}", [200, 200, 403]),
        ("{enabled: false}", [401, 401, 401]),
        ("{enabled: true, conditions: [{path: /livez}]}", [200, 401, 401]),
    ],
)
async def test_who_brings_no_credentials_is_let_in_where_the_file_says_so(tmp_path: Path, said: str, codes: list[int]):
    file = tmp_path / "authentication.yaml"
    file.write_text(ANONYMOUS + said)
    anonymous = read_model(file, AuthenticationConfiguration).anonymous

    async with running_api(anonymous=anonymous) as api:
        paths = ("/livez", "/livez/ping", "/api/v1/pods")
        assert [(await api.get(path, user=None)).status for path in paths] == codes
        assert (await api.get("/api/v1/pods")).status == 200


def test_conditions_for_nobody_are_a_mistake(tmp_path: Path):
    file = tmp_path / "authentication.yaml"
    file.write_text(ANONYMOUS + "{enabled: false, conditions: [{path: /livez}]}")

    with pytest.raises(FileProblem, match=r"anonymous: .*enabled should be set to true when conditions are defined"):
        read_model(file, AuthenticationConfiguration)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"required_claims": ("hd",)}, "'hd': expected CLAIM=VALUE"),
        ({"signing_algorithms": ("HS256",)}, "--oidc-signing-algs HS256: expected some of RS256"),
    ],
)
def test_a_mistake_in_the_flags_is_named(more: dict[str, Any], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        trusted_by_flags(Flags("https://a.b", "wherry", **more))
