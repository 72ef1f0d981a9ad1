"""Secrets that hold a service account's token: filled when somebody makes them, and gone with the account."""

from base64 import b64decode, b64encode

from make import an_object

from controllers.access.account_tokens import TokenSecret, lacks_token, plan
from wherry.api.core.namespace import Namespace
from wherry.api.core.secret import Secret
from wherry.api.core.service_account import ServiceAccount
from wherry.client.plan import Delete, Update
from wherry.sim import virtual_time
from wherry.sim.cluster import SimulatedCluster

NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
TYPE = "kubernetes.io/service-account-token"
BOT = an_object(ServiceAccount, "bot", namespace="shop")


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def a_secret(uid: str = "", **data: str) -> TokenSecret:
    annotations = {NAME: "bot", **({UID: uid} if uid else {})}
    fields = {"type": TYPE, "data": {key.replace("_", "."): encoded(text) for key, text in data.items()}}
    return an_object(TokenSecret, "bot-token", namespace="shop", annotations=annotations, fields=fields)


def test_an_empty_secret_gets_the_token_the_certificate_and_the_namespace():
    secret = a_secret()

    assert lacks_token(secret, BOT)
    [action] = plan(secret, BOT, "t0ken", "PEM")
    data = {"namespace": encoded("shop"), "ca.crt": encoded("PEM"), "token": encoded("t0ken")}
    assert action == Update(secret, {"metadata": {"annotations": {UID: BOT.metadata.uid}}, "data": data})


def test_a_secret_that_has_all_is_left_alone_and_another_certificate_is_written():
    secret = a_secret(BOT.metadata.uid, token="t0ken", ca_crt="PEM", namespace="shop")

    assert not lacks_token(secret, BOT)
    assert list(plan(secret, BOT, "", "PEM")) == []
    [action] = plan(secret, BOT, "", "NEW")
    assert action.patch["data"] == {"ca.crt": encoded("NEW")}


def test_a_secret_goes_with_its_account_also_if_another_of_that_name_came():
    earlier = a_secret("uid-of-an-earlier-bot", token="t0ken", ca_crt="PEM", namespace="shop")

    assert list(plan(earlier, None, "", "PEM")) == [Delete(earlier)]
    assert list(plan(earlier, BOT, "", "PEM")) == [Delete(earlier)]


def test_a_secret_that_may_not_change_gets_no_token():
    immutable = a_secret().replace(immutable=True)

    assert not lacks_token(immutable, BOT)
    assert list(plan(immutable, BOT, "", "PEM")) == []
    assert list(plan(immutable, None, "", "PEM")) == [Delete(immutable)]


def test_in_a_cluster_the_token_opens_the_server_until_the_secret_or_the_account_goes():
    async def story() -> None:
        async with SimulatedCluster(nodes=0).of(Namespace, Secret, ServiceAccount) as cluster:
            await cluster.settle()
            metadata = {"name": "bot-token", "namespace": "default", "annotations": {NAME: "default"}}
            await cluster.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE})
            await cluster.settle()
            secret = await cluster.admin.get(Secret, "bot-token", "default")
            spec = {"token": b64decode(secret.data["token"]).decode()}
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
            path = "/apis/authentication.k8s.io/v1/tokenreviews"
            known = await cluster.admin.request("POST", path, body=review)
            await cluster.admin.delete(ServiceAccount, "default", "default")
            await cluster.settle()
            gone = await cluster.admin.request("POST", path, body=review)

            assert known["status"]["user"]["username"] == "system:serviceaccount:default:default"
            assert not gone["status"].get("authenticated")
            assert (await cluster.admin.list(Secret, "default")).items == []

    virtual_time.run(story())
