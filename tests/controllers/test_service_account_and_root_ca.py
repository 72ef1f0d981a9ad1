"""What every namespace is given."""

from make import a_namespace, an_object

from controllers.root_ca import Publication, namespace_of, published
from controllers.service_account import plan
from wherry.api.core.service_account import ServiceAccount
from wherry.client.plan import Create, Update
from wherry.client.world import World


def a_publication(text, name="kube-root-ca.crt"):
    return an_object(Publication, name, namespace="shop", fields={"data": {"ca.crt": text}})


def test_a_namespace_gets_its_default_account():
    shop = a_namespace("shop")
    metadata = {"name": "default", "namespace": "shop"}

    assert list(plan(shop, World(shop))) == [
        Create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    ]


def test_an_account_that_is_there_and_a_namespace_that_ends_are_left_alone():
    shop, ending = a_namespace("shop"), a_namespace("old", deleted=True)
    account = an_object(ServiceAccount, "default", namespace="shop")

    assert [*plan(shop, World(shop, account)), *plan(ending, World(ending))] == []


def test_the_certificate_is_published():
    (created,) = published(a_namespace("shop"), World(), "PEM")

    assert (created.manifest["metadata"]["namespace"], created.manifest["data"]) == ("shop", {"ca.crt": "PEM"})


def test_a_changed_publication_is_set_right():
    forged = a_publication("forged")

    assert list(published(a_namespace("shop"), World(forged), "PEM")) == [Update(forged, {"data": {"ca.crt": "PEM"}})]


def test_a_right_publication_and_a_namespace_that_ends_are_left_alone():
    assert list(published(a_namespace("shop"), World(a_publication("PEM")), "PEM")) == []
    assert list(published(a_namespace("shop", deleted=True), World(), "PEM")) == []


def test_only_the_publication_wakes_its_namespace():
    names = [*namespace_of(a_publication("PEM"), World()), *namespace_of(a_publication("PEM", "other"), World())]

    assert names == ["shop"]
