"""Disruption budgets: how many pods may be missing now."""

from datetime import timedelta

import pytest
from make import NOW, a_deployment, a_pod, a_replicaset, a_workload, an_object

from controllers.disruption import budgets_beside, budgets_of, plan
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.replication_controller import ReplicationController
from wherry.api.policy.disruption_budget import PodDisruptionBudget
from wherry.client.plan import CheckAgain
from wherry.client.world import World

DEPLOYMENT = a_deployment("web", replicas=4)
RS = a_replicaset("web-1", replicas=4, owner=DEPLOYMENT)


def a_budget(**more):
    more.setdefault("selector", {"matchLabels": {"app": "web"}})
    return an_object(PodDisruptionBudget, "web", api_version="policy/v1", **more)


def pods(ready, waiting=0):
    return [a_pod(f"p{number}", owner=RS, ready=number < ready) for number in range(ready + waiting)]


def told(budget, *objects):
    status = next(iter(plan(budget, World(budget, DEPLOYMENT, RS, *objects)))).obj.status
    return status.disruptions_allowed, status.current_healthy, status.desired_healthy, status.expected_pods


@pytest.mark.parametrize(
    ("limit", "allowed", "desired"),
    [
        ({"minAvailable": 3}, 1, 3),
        ({"minAvailable": 5}, 0, 5),
        ({"minAvailable": "70%"}, 1, 3),
        ({"maxUnavailable": 1}, 1, 3),
        ({"maxUnavailable": "30%"}, 2, 2),
        ({"maxUnavailable": 9}, 4, 0),
    ],
)
def test_what_may_be_missing_follows_from_the_limit(limit, allowed, desired):
    assert told(a_budget(**limit), *pods(4)) == (allowed, 4, desired, 4)


@pytest.mark.parametrize("kind", [StatefulSet, ReplicationController])
def test_other_workloads_are_counted_on_as_well(kind):
    workload = a_workload(kind, "db", replicas=4, api_version=kind.kind.api_version, selector={})
    members = [a_pod(f"db-{number}", owner=workload, ready=True) for number in range(4)]

    assert told(a_budget(maxUnavailable="50%"), workload, *members) == (2, 4, 2, 4)
    assert list(budgets_beside(workload, World(a_budget()))) == ["default/web"]


def test_pods_that_are_not_ready_leave_less_to_spend():
    assert told(a_budget(maxUnavailable=2), *pods(3, waiting=1)) == (1, 3, 2, 4)


def test_an_eviction_that_was_granted_is_not_granted_twice():
    budget = a_budget(minAvailable=3, status={"disruptedPods": {"p0": NOW - timedelta(seconds=20)}})

    actions = list(plan(budget, World(budget, *pods(4))))

    assert actions[0].obj.status.disruptions_allowed == 0
    assert actions[1:] == [CheckAgain(100)]


def test_a_grant_that_led_nowhere_is_forgotten():
    budget = a_budget(minAvailable=3, status={"disruptedPods": {"p0": NOW - timedelta(seconds=121)}})

    assert told(budget, *pods(4)) == (1, 4, 3, 4)


def test_a_pod_that_went_needs_its_grant_no_longer():
    budget = a_budget(minAvailable=3, status={"disruptedPods": {"gone": NOW}})

    (action,) = plan(budget, World(budget, *pods(4)))

    assert action.obj.status.disrupted_pods == {}


def test_without_pods_nothing_is_allowed():
    assert told(a_budget(minAvailable=0)) == (0, 0, 0, 0)


def test_a_budget_that_cannot_be_worked_out_allows_nothing():
    budget = a_budget(maxUnavailable=1, status={"disruptionsAllowed": 3})
    stray = a_pod("stray", owner=a_replicaset("unseen"))

    _, action = plan(budget, World(budget, stray))

    status = action.obj.status
    assert (status.disruptions_allowed, status.conditions[0].reason) == (0, "SyncFailed")


def test_only_budgets_that_select_a_pod_are_woken():
    budget = a_budget()
    other = an_object(PodDisruptionBudget, "mail", api_version="policy/v1", selector={"matchLabels": {"app": "mail"}})
    world = World(budget, other)

    assert (
        list(budgets_of(a_pod(labels={"app": "web"}), world)) == list(budgets_beside(DEPLOYMENT, world)) == [budget.key]
    )
