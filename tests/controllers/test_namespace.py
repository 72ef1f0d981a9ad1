"""Emptying a namespace that is being deleted."""

from make import NOW, a_namespace, a_pod, an_object

from controllers.namespace import LATER_SECONDS, SOON_SECONDS, plan
from wherry.api.core.config_map import ConfigMap
from wherry.client.plan import CheckAgain, Delete, SetStatus, Update
from wherry.machinery.errors import Unavailable

ENDING = a_namespace("shop", phase="Terminating", deleted=True)


def conditions(actions):
    status = next(action.obj.status for action in actions if isinstance(action, SetStatus))
    return {one.type.removeprefix("Namespace"): (one.status, one.reason, one.message) for one in status.conditions}


def test_a_namespace_that_stays_is_left_alone():
    assert list(plan(a_namespace("shop"), [a_pod(namespace="shop")], NOW)) == []


def test_an_empty_one_is_let_go():
    assert list(plan(ENDING, [], NOW)) == [Update(ENDING, {"spec": {"finalizers": []}}, subresource="finalize")]


def test_everything_in_it_is_deleted_and_looked_for_again_soon():
    settings = an_object(ConfigMap, "settings", namespace="shop")

    told, delete, again = plan(ENDING, [settings], NOW)

    assert (delete, again) == (Delete(settings), CheckAgain(SOON_SECONDS))
    assert conditions([told]) == {
        "DeletionDiscoveryFailure": ("False", "ResourcesDiscovered", "All resources successfully discovered"),
        "DeletionGroupVersionParsingFailure": (
            ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed")
        ),
        "DeletionContentFailure": (
            ("False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
        ),
        "ContentRemaining": (
            ("True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances")
        ),
        "FinalizersRemaining": (("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")),
    }


def test_what_is_on_its_way_out_is_waited_for():
    stuck = an_object(ConfigMap, "a", namespace="shop", deleted=True, finalizers=["example.com/mine"])

    told, again = plan(ENDING, [stuck], NOW)

    assert again == CheckAgain(LATER_SECONDS)
    assert conditions([told])["FinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/mine in 1 resource instances",
    )


def test_nothing_new_is_told_twice():
    stuck = an_object(ConfigMap, "a", namespace="shop", deleted=True, finalizers=["example.com/mine"])
    told, _ = plan(ENDING, [stuck], NOW)

    assert list(plan(told.obj, [stuck], NOW)) == [CheckAgain(LATER_SECONDS)]


def test_a_failed_attempt_is_told():
    told, *_ = plan(ENDING, [a_pod(namespace="shop")], NOW, Unavailable("the server is away"))

    status, reason, message = conditions([told])["DeletionContentFailure"]
    assert (status, reason) == ("True", "ContentDeletionFailed")
    assert "the server is away" in message
