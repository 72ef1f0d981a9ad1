"""The ReplicationController controller: it does as ReplicaSets do, by a selector that is a plain map."""

from make import a_pod, a_template, an_object

from controllers.replicationcontroller import adopting, plan
from wherry.api.core.pod.resource import pod_from
from wherry.api.core.replication_controller import ReplicationController
from wherry.client.plan import Create, Delete, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.errors import Forbidden


def an_rc(replicas=1, **more):
    template, selector = a_template({"app": "web"}), {"app": "web"}
    return an_object(ReplicationController, replicas=replicas, template=template, selector=selector, **more)


def test_a_missing_pod_is_created_after_the_status_is_told():
    rc = an_rc(replicas=2)

    assert list(plan(rc, World(rc, a_pod(owner=rc, ready=True)))) == [
        SetStatus(
            rc.with_status(
                replicas=1, fully_labeled_replicas=1, ready_replicas=1, available_replicas=1, observed_generation=1
            )
        ),
        Create(pod_from(rc.spec.template, owner=rc)),
    ]


def test_a_surplus_pod_is_deleted():
    rc = an_rc(replicas=1)
    ready, pending = a_pod(owner=rc, ready=True, node="n1"), a_pod(owner=rc)

    assert list(plan(rc, World(rc, ready, pending)))[1:] == [Delete(pending)]


def test_an_orphan_is_adopted_and_one_that_matches_no_more_is_let_go():
    rc = an_rc(replicas=1)
    orphan, strayed = a_pod("a", labels={"app": "web"}), a_pod("b", owner=rc, labels={"app": "other"})

    changed = [action.obj for action in plan(rc, World(rc, orphan, strayed)) if isinstance(action, Update)]

    assert changed == [strayed, orphan]
    assert list(adopting(orphan, World(rc))) == [rc.key]


def test_what_refused_its_pods_is_told_until_it_is_over():
    rc = an_rc(replicas=1)

    status, _ = plan(rc, World(rc, failure=Forbidden("exceeded quota")))
    [condition] = status.obj.status.conditions
    told = rc.replace(status=status.obj.status)
    healed, *_ = plan(told, World(told, a_pod(owner=rc), failure=Forbidden("exceeded quota")))

    assert (condition.type, condition.reason, condition.message) == ("ReplicaFailure", "FailedCreate", "exceeded quota")
    assert healed.obj.status.conditions == ()
