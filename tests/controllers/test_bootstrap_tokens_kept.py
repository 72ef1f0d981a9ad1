"""Bootstrap tokens: expired ones go, and those that may sign do."""

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64decode
from datetime import timedelta

from make import NOW, an_object

from controllers.access import introduction
from controllers.access.bootstrap_tokens import plan
from wherry.api.core.bootstrap_token import BootstrapToken
from wherry.api.core.config_map import ConfigMap
from wherry.client.plan import CheckAgain, Delete, Update
from wherry.client.world import World
from wherry.machinery.time import time_text
from wherry.sim import virtual_time
from wherry.sim.cluster import SimulatedCluster

IN_AN_HOUR = time_text(NOW + timedelta(hours=1))


def data(**changes: str) -> dict[str, str]:
    given = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", **changes}
    return {key: b64encode(text.encode()).decode() for key, text in given.items() if text}


def a_token(name: str = "bootstrap-token-abcdef", **changes: str) -> BootstrapToken:
    fields = {"type": changes.pop("type", "bootstrap.kubernetes.io/token"), "data": data(**changes)}
    return an_object(BootstrapToken, name, namespace="kube-system", fields=fields)


def planned(token: BootstrapToken, **later: float) -> list:
    return list(plan(token, World(token, now=NOW + timedelta(**later))))


def test_a_token_goes_when_it_expires():
    token = a_token(expiration=IN_AN_HOUR)

    assert planned(token) == [CheckAgain(3600)]
    assert planned(token, hours=1) == [Delete(token)]


def test_tokens_without_an_end_and_other_secrets_stay():
    assert planned(a_token()) == []
    assert planned(a_token(expiration=IN_AN_HOUR, type="Opaque"), hours=2) == []


def an_info(**more: str) -> ConfigMap:
    return an_object(
        ConfigMap, "cluster-info", namespace="kube-public", fields={"data": {"kubeconfig": "text", **more}}
    )


def test_every_token_that_may_sign_signs_and_old_signatures_go():
    info = an_info(**{"jws-kubeconfig-gone00": "x"})
    tokens = [a_token(), a_token("bootstrap-token-silent", **{"token-id": "silent", "usage-bootstrap-signing": ""})]

    [action] = introduction.plan(info, tokens)

    assert isinstance(action, Update)
    assert action.patch["data"].keys() == {"jws-kubeconfig-gone00", "jws-kubeconfig-abcdef"}
    assert action.patch["data"]["jws-kubeconfig-gone00"] is None
    signed = an_info(**{"jws-kubeconfig-abcdef": action.patch["data"]["jws-kubeconfig-abcdef"]})
    assert list(introduction.plan(signed, tokens)) == []


def test_a_signature_is_a_detached_jws_with_the_tokens_secret():
    header, content, signature = introduction.signature("text", a_token()).split(".")

    assert urlsafe_b64decode(header + "==") == b'{"alg":"HS256","kid":"abcdef"}'
    assert content == ""
    expected = hmac.digest(b"0123456789abcdef", f"{header}.dGV4dA".encode(), hashlib.sha256)
    assert urlsafe_b64decode(signature + "==") == expected


def test_in_a_cluster_a_token_signs_until_it_is_deleted():
    async def story() -> None:
        async with SimulatedCluster(nodes=0) as cluster:
            metadata = {"name": "cluster-info", "namespace": "kube-public"}
            info = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kubeconfig": "text"}}
            await cluster.admin.create(info)
            metadata = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data()}
            await cluster.admin.create({**secret, "type": "bootstrap.kubernetes.io/token"})
            await cluster.settle()
            signed = await cluster.admin.get(ConfigMap, "cluster-info", "kube-public")
            assert set(signed.data) == {"kubeconfig", "jws-kubeconfig-abcdef"}

            await cluster.admin.delete(BootstrapToken, "bootstrap-token-abcdef", "kube-system")
            await cluster.settle()
            alone = await cluster.admin.get(ConfigMap, "cluster-info", "kube-public")
            assert set(alone.data) == {"kubeconfig"}

    virtual_time.run(story(), seed=2)
