"""The Deployment controller: rules one by one. Roll-outs as a whole are in test_deployment_rollouts.py."""

from datetime import timedelta

import pytest
from make import NOW, a_condition, a_deployment, a_pod, a_replicaset, a_template

from controllers.deployment.plan import plan, recreating
from controllers.deployment.resizing import resized
from controllers.deployment.revisions import Fleet, new_name, new_replicaset, next_revision, wanted_annotations
from controllers.deployment.rollout import Bounds, bounds, new_size, rolled
from controllers.parts.collision import AGAIN_SECONDS
from wherry.api.meta import Condition
from wherry.client.plan import CheckAgain, Create, Delete, Event, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.errors import Forbidden

REVISION, DESIRED, MOST = (
    f"deployment.kubernetes.io/{name}" for name in ("revision", "desired-replicas", "max-replicas")
)


STANDING = {"replicas": 10, "updatedReplicas": 10}


def rolling(surge, unavailable, replicas=10, **more):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return a_deployment("web", replicas=replicas, strategy=strategy, **more)


def version(deployment, name, replicas, available=None, *, image="old:1", annotations=(), **more):
    """A ReplicaSet of the deployment; `image` app:1 is the current template's."""
    available = replicas if available is None else available
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available, "observedGeneration": 1}
    labels = {"app": "web", "pod-template-hash": name}
    more.setdefault("template", a_template(labels, image=image))
    more.setdefault("selector", {"matchLabels": labels})
    return a_replicaset(
        name, owner=deployment, replicas=replicas, status=counts, annotations=dict(annotations), labels=labels, **more
    )


def current(deployment, replicas, available=None, **more):
    return version(deployment, "new", replicas, available, image="app:1", **more)


def actions(deployment, *others, failure=None):
    return list(plan(deployment, World(deployment, *others, failure=failure)))


def condition(actions, type):
    status = next(action.obj.status for action in actions if isinstance(action, SetStatus))
    return next(
        ((one.status, one.reason, one.message) for one in status.conditions if one.type == type),
        None,
    )


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "allowed"),
    [
        ("25%", "25%", 10, Bounds(3, 2)),
        (0, 0, 10, Bounds(0, 1)),
        ("1%", "1%", 10, Bounds(1, 0)),
        (2, 20, 10, Bounds(2, 10)),
        ("25%", "25%", 0, Bounds(0, 0)),
    ],
)
def test_surge_rounds_up_and_unavailability_down(surge, unavailable, replicas, allowed):
    assert bounds(rolling(surge, unavailable, replicas)) == allowed


def test_recreate_has_no_room_above_and_below():
    assert bounds(a_deployment(replicas=4, strategy={"type": "Recreate"})) == Bounds(0, 0)


def test_a_new_deployment_gets_its_replicaset_a_revision_and_an_event():
    deployment = a_deployment("web", replicas=3, progress_deadline_seconds=600)
    name = new_name(deployment)

    told, revised, created, event = actions(deployment)

    assert revised == Update(deployment, {"metadata": {"annotations": {REVISION: "1"}}})
    assert created == Create(new_replicaset(deployment, Fleet(None, ()), 3, 4))
    assert event == Event(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3")
    assert condition([told], "Progressing") == ("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')


def test_the_new_replicaset_carries_hash_owner_counts_and_annotations_but_not_what_kubectl_applied():
    notes = {"team": "shop", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    deployment = a_deployment("web", replicas=3, annotations=notes)

    manifest = new_replicaset(deployment, Fleet(None, ()), 3, 4)

    suffix = manifest["metadata"]["name"].removeprefix("web-")
    labels = {"app": "web", "pod-template-hash": suffix}
    assert manifest["metadata"]["labels"] == manifest["spec"]["template"]["metadata"]["labels"] == labels
    assert manifest["spec"]["selector"] == {"matchLabels": labels}
    assert manifest["metadata"]["annotations"] == {"team": "shop", REVISION: "1", DESIRED: "3", MOST: "4"}


def test_a_replica_set_that_an_earlier_deployment_left_behind_is_waited_for():
    former, deployment = a_deployment("web", uid="former"), a_deployment("web")
    left = a_replicaset(new_name(deployment), owner=former)

    assert actions(deployment, left) == [CheckAgain(AGAIN_SECONDS)]


def test_a_taken_name_is_a_collision_and_changes_the_hash():
    deployment = a_deployment("web")
    squatter = a_replicaset(new_name(deployment), labels={"app": "other"})

    assert actions(deployment, squatter) == [SetStatus(deployment.with_status(collision_count=1))]
    assert new_name(deployment.with_status(collision_count=1)) != new_name(deployment)


def test_that_the_replicaset_cannot_be_created_is_told():
    deployment = a_deployment("web", progress_deadline_seconds=600)

    told = condition(actions(deployment, failure=Forbidden("no more")), "Progressing")

    message = f'Failed to create new replica set "{new_name(deployment)}": no more'
    assert told == ("False", "ReplicaSetCreateError", message)


def test_a_rollout_first_grows_the_new_then_shrinks_the_old():
    deployment = rolling(3, 2)
    old, new = version(deployment, "old", 10), current(deployment, 0)
    grown = current(deployment, 3)

    assert rolled(deployment, Fleet(new, (old,))) == {"new": 3}
    assert rolled(deployment, Fleet(grown, (old,))) == {"old": 5}


def test_unavailable_new_pods_keep_the_old_ones_alive():
    deployment = rolling(3, 2)
    old, broken = version(deployment, "old", 8), current(deployment, 5, available=0)

    assert rolled(deployment, Fleet(broken, (old,))) == {}


def test_unhealthy_old_pods_go_before_healthy_ones():
    deployment = rolling(0, 2)
    sick, well = version(deployment, "sick", 4, available=2), version(deployment, "well", 6)

    assert rolled(deployment, Fleet(current(deployment, 0), (well, sick))) == {"sick": 2}


def test_a_size_over_the_wish_is_cut_at_once():
    deployment = rolling(1, 0, replicas=2)

    assert new_size(deployment, Fleet(current(deployment, 5), ())) == 2


def test_a_replicaset_that_still_shrinks_does_not_grow():
    deployment = rolling(1, 0, replicas=4)
    shrunk = current(deployment, 2)
    shrinking = shrunk.replace(status=current(deployment, 4).status)

    assert (new_size(deployment, Fleet(shrinking, ())), new_size(deployment, Fleet(shrunk, ()))) == (2, 4)


def test_while_rolling_a_new_size_is_shared_out_in_proportion():
    deployment = rolling(3, 2, replicas=20)
    notes = {DESIRED: "10", MOST: "13"}
    old, new = version(deployment, "old", 8, annotations=notes), current(deployment, 5, annotations=notes)

    assert resized(deployment, Fleet(new, (old,))) == {"old": 14, "new": 9}


def test_scaling_updates_the_counts_on_every_replicaset():
    deployment = rolling(1, 0, replicas=5)
    rs = current(deployment, 3, annotations={DESIRED: "3", MOST: "4", REVISION: "1"})

    update = next(action for action in actions(deployment, rs) if isinstance(action, Update) and action.obj == rs)

    assert update.patch == {"metadata": {"annotations": {DESIRED: "5", MOST: "6"}}, "spec": {"replicas": 5}}


def test_a_paused_deployment_scales_but_does_not_roll():
    deployment = rolling(1, 0, replicas=3, paused=True, progress_deadline_seconds=600)
    old = version(deployment, "old", 2, annotations={DESIRED: "2"})

    told, *rest = actions(deployment, old)

    assert condition([told], "Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
    assert [action.patch["spec"] for action in rest if isinstance(action, Update)] == [{"replicas": 3}]
    assert not [action for action in rest if isinstance(action, Create)]


def test_resuming_is_told():
    paused = a_condition("Progressing", "Unknown", reason="DeploymentPaused", lastUpdateTime="2026-01-01T00:00:00Z")
    deployment = rolling(1, 0, progress_deadline_seconds=600, status={**STANDING, "conditions": [paused]})
    planned = actions(deployment, current(deployment, 10, available=0))

    assert condition(planned, "Progressing") == ("Unknown", "DeploymentResumed", "Deployment is resumed")


def test_rolling_back_gives_the_version_a_new_number_and_remembers_the_old_one():
    assert wanted_annotations(a_deployment(), {REVISION: "1"}, 3) == {
        REVISION: "3",
        "deployment.kubernetes.io/revision-history": "1",
    }


def test_a_version_goes_on_from_the_highest_number_that_kubernetes_counts_to():
    deployment = a_deployment("web")
    adopted = version(deployment, "old", 1, annotations={REVISION: "3546343826724305832"})
    beyond = version(deployment, "older", 0, annotations={REVISION: str(2**63)})

    assert next_revision(Fleet(None, (adopted, beyond))) == 3546343826724305833


def test_recreate_waits_for_the_last_old_pod():
    deployment = a_deployment("web", strategy={"type": "Recreate"})
    old = version(deployment, "old", 0)
    dying = a_pod(owner=old, deleted=True, phase="Running")

    waiting, free = actions(deployment, old, dying), actions(deployment, old)

    assert not [action for action in waiting if isinstance(action, Create)]
    assert [action for action in free if isinstance(action, Create)]
    assert list(recreating(dying, World(deployment, old))) == ["default/web"]


def test_recreate_empties_the_old_first():
    deployment = a_deployment("web", strategy={"type": "Recreate"})
    planned = actions(deployment, version(deployment, "old", 2))

    assert [action.patch["spec"] for action in planned if isinstance(action, Update)] == [{"replicas": 0}]


def test_a_rollout_that_stands_still_is_overdue_after_its_deadline():
    since = "2025-12-31T23:50:00Z"
    moving = a_condition("Progressing", reason="ReplicaSetUpdated", lastUpdateTime=since)
    counts = {"replicas": 1, "updatedReplicas": 1, "conditions": [moving]}
    patient = rolling(1, 0, replicas=1, progress_deadline_seconds=601, status=counts)
    hasty = patient.replace(spec=patient.spec.replace(progress_deadline_seconds=599))
    rs = current(patient, 1, available=0)

    waits, late = actions(patient, rs), actions(hasty, rs)

    assert CheckAgain(2) in waits
    assert condition(waits, "Progressing") == ("True", "ReplicaSetUpdated", "")
    told = ("False", "ProgressDeadlineExceeded", 'ReplicaSet "new" has timed out progressing.')
    assert condition(late, "Progressing") == told


def test_progress_and_availability_are_told():
    deployment = rolling(1, 0, replicas=2, progress_deadline_seconds=600)
    done, half = actions(deployment, current(deployment, 2)), actions(deployment, current(deployment, 2, available=1))

    assert condition(done, "Progressing") == (
        "True",
        "NewReplicaSetAvailable",
        'ReplicaSet "new" has successfully progressed.',
    )
    assert condition(done, "Available") == ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    assert condition(half, "Progressing") == ("True", "ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
    assert condition(half, "Available")[:2] == ("False", "MinimumReplicasUnavailable")


def test_without_a_deadline_nothing_is_said_of_progress():
    deployment = rolling(1, 0, replicas=1)

    assert condition(actions(deployment, current(deployment, 1)), "Progressing") is None


def test_failures_of_replicasets_are_passed_on():
    deployment = rolling(1, 0, replicas=1)
    rs = current(deployment, 1, available=0)
    failing = Condition(type="ReplicaFailure", status="True", reason="FailedCreate")
    rs = rs.with_status(conditions=(failing,))

    assert condition(actions(deployment, rs), "ReplicaFailure")[:2] == ("True", "FailedCreate")


def test_old_versions_beyond_the_limit_are_forgotten_the_oldest_first():
    deployment = rolling(1, 0, replicas=1, revision_history_limit=1)
    old = [version(deployment, f"v{number}", 0, annotations={REVISION: str(number)}) for number in (1, 2, 3)]

    planned = actions(deployment, current(deployment, 1), *old)

    assert [action for action in planned if isinstance(action, Delete)] == [Delete(old[0]), Delete(old[1])]


def test_a_deployment_being_deleted_only_reports():
    deployment = rolling(1, 0, deleted=True)

    assert [type(action) for action in actions(deployment)] == [SetStatus]


def test_a_restart_is_a_new_version():
    deployment = rolling(1, 0, replicas=1)
    stamp = {
        "metadata": {
            "labels": {"app": "web"},
            "annotations": {"kubectl.kubernetes.io/restartedAt": str(NOW + timedelta(1))},
        }
    }
    restarted = rolling(1, 0, replicas=1, template={**deployment.spec.template.raw, **stamp})

    assert new_name(restarted) != new_name(deployment)
