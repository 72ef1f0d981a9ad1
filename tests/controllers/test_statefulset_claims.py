"""The storage of StatefulSets: claims made before pods, kept or given away."""

import pytest
from make import a_statefulset, an_object
from test_statefulset import a_member, a_revision, deeds

from controllers.statefulset.claims import sets_of
from controllers.statefulset.plan import plan
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.client.plan import Create, Event, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference


def a_claim(name, *owners, **more):
    claim = an_object(PersistentVolumeClaim, name, **more)
    references = tuple(type(claim.metadata).read({"ownerReferences": [*owners]}).owner_references)
    return claim.replace(metadata=claim.metadata.replace(owner_references=references))


def retaining(deleted, scaled, **more):
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    return a_statefulset("db", claims=["data"], persistent_volume_claim_retention_policy=policy, **more)


def owners_after(sts, pod, claim):
    """The kinds of the owners that the plan gives to the claim; None if it leaves them."""
    world = World(sts, a_revision(sts), pod, claim)
    patches = [action.patch for action in plan(sts, world) if isinstance(action, Update) and action.obj == claim]
    if not patches:
        return None
    return [owner["kind"] for owner in patches[0]["metadata"]["ownerReferences"] or ()]


def test_claims_come_before_the_pod_that_needs_them():
    sts = a_statefulset("db", claims=["data", "log"])

    assert deeds(sts) == ["create data-db-0", "create log-db-0", "create db-0"]
    assert deeds(sts, others=[a_claim("data-db-0")]) == ["create log-db-0", "create db-0"]


def test_a_claim_is_found_by_the_sets_labels_and_people_are_told():
    sts = a_statefulset("db", claims=["data"])

    _, create, event, _ = plan(sts, World(sts, a_revision(sts)))

    assert create == Create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-db-0", "labels": {"app": "web"}, "namespace": "default"},
            "spec": sts.spec.volume_claim_templates[0].raw["spec"],
        }
    )
    assert event == Event(sts, "SuccessfulCreate", "create Claim data-db-0 Pod db-0 in StatefulSet db success")


def test_a_pending_pod_gets_the_claim_that_somebody_deleted():
    sts = a_statefulset("db", claims=["data"])

    assert deeds(sts, a_member(sts, 0, False, phase="Pending")) == ["create data-db-0"]


@pytest.mark.parametrize(
    "claim",
    [
        a_claim("data-db-0", deleted=True),
        a_claim("data-db-0", {"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "of-a-pod-that-is-gone"}),
    ],
    ids=["being deleted", "left by a pod"],
)
def test_no_pod_is_made_on_a_claim_that_is_about_to_go(claim):
    sts = a_statefulset("db", claims=["data"])

    assert deeds(sts, others=[claim]) == []


POLICIES = [
    ("Retain", "Retain", False, None),
    ("Retain", "Retain", True, None),
    ("Delete", "Retain", False, ["StatefulSet"]),
    ("Delete", "Retain", True, ["StatefulSet"]),
    ("Retain", "Delete", False, None),
    ("Retain", "Delete", True, ["Pod"]),
    ("Delete", "Delete", False, ["StatefulSet"]),
    ("Delete", "Delete", True, ["Pod"]),
]


@pytest.mark.parametrize(("deleted", "scaled", "is_condemned", "expected"), POLICIES)
def test_a_claim_belongs_to_whoever_it_should_go_with(deleted, scaled, is_condemned, expected):
    sts = retaining(deleted, scaled, replicas=0 if is_condemned else 1)

    assert owners_after(sts, a_member(sts, 0), a_claim("data-db-0")) == expected


def test_a_claim_is_given_back_when_the_set_grows_again():
    sts = retaining("Retain", "Delete", replicas=1)
    pod = a_member(sts, 0)

    assert owners_after(sts, pod, a_claim("data-db-0", controller_reference(pod))) == []


def test_a_claim_that_is_somebody_elses_is_left_alone():
    sts = retaining("Delete", "Delete")

    assert owners_after(sts, a_member(sts, 0), a_claim("data-db-0", controller_reference(a_statefulset()))) is None


def test_a_claim_wakes_the_set_that_its_name_speaks_of():
    sts, other = a_statefulset("db", claims=["data"]), a_statefulset("other", claims=["data"])

    assert list(sets_of(a_claim("data-db-3"), World(sts, other))) == ["default/db"]
