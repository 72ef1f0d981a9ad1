"""The StatefulSet controller: world in, actions out."""

import pytest
from make import NOW, a_pod, a_statefulset, an_object

from controllers.parts.collision import AGAIN_SECONDS
from controllers.parts.history import history_of, remembered, short_hash
from controllers.statefulset.identity import new_pod
from controllers.statefulset.plan import HASH_LABEL, plan
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.client.plan import CheckAgain, Create, Delete, Event, SetStatus, Update
from wherry.client.world import World

OLD, NEW = "db-old", "db-new"


def a_revision(sts, name=NEW, number=2, image=None):
    """What is remembered of the current template, or of one with another image."""
    template = sts.spec.template.raw
    if image:
        template = {**template, "spec": {"containers": [{"name": "app", "image": image}]}}
    data = {"spec": {"template": {**template, "$patch": "replace"}}}
    labels = {"app": "web"}
    return an_object(ControllerRevision, name, owner=sts, labels=labels, fields={"revision": number, "data": data})


def a_member(sts, ordinal, ready=True, revision=NEW, **more):
    name = f"{sts.metadata.name}-{ordinal}"
    labels = {"app": "web", "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(ordinal)}
    labels["controller-revision-hash"] = revision
    more = {"phase": "Running", **more}
    return a_pod(name, owner=sts, labels=labels, ready=ready, **more)


def deeds(sts, *pods, others=(), revisions=None):
    """What the plan does, by verb and name; reports and events left out."""
    revisions = [a_revision(sts)] if revisions is None else revisions
    actions = list(plan(sts, World(sts, *pods, *revisions, *others)))
    return [deed for action in actions for deed in told(action)]


def told(action):
    match action:
        case Create(manifest):
            yield f"create {manifest['metadata']['name']}"
        case Delete(obj):
            yield f"delete {obj.metadata.name}"
        case Update(obj):
            yield f"update {obj.metadata.name}"


def test_the_version_that_is_wanted_is_written_down_first():
    sts = a_statefulset("db", replicas=2)
    world = World(sts)

    assert list(plan(sts, world)) == list(remembered(sts, history_of(sts, ()), HASH_LABEL, world))
    assert deeds(sts, revisions=[]) == [f"create db-{short_hash(sts)}"]


def test_a_name_that_is_taken_by_another_version_is_a_collision():
    sts = a_statefulset("db")
    taken = an_object(ControllerRevision, f"db-{short_hash(sts)}", fields={"data": {}})

    assert list(plan(sts, World(sts, taken))) == [SetStatus(sts.with_status(collision_count=1))]


def test_what_an_earlier_set_of_that_name_left_behind_is_waited_for():
    former, sts = a_statefulset("db", uid="former"), a_statefulset("db")
    taken = a_revision(former, f"db-{short_hash(sts)}")

    assert list(plan(sts, World(sts, taken))) == [CheckAgain(AGAIN_SECONDS)]


def test_a_pod_has_a_name_a_host_name_and_labels_of_its_own():
    sts = a_statefulset("db", service_name="peers", claims=["data"])

    pod = new_pod(sts, 7, a_revision(sts))

    assert pod["metadata"] == {
        "name": "db-7",
        "namespace": "default",
        "labels": {
            "app": "web",
            "statefulset.kubernetes.io/pod-name": "db-7",
            "apps.kubernetes.io/pod-index": "7",
            "controller-revision-hash": NEW,
        },
        "ownerReferences": pod["metadata"]["ownerReferences"],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-7"}}]
    assert pod["spec"] == {
        **sts.spec.template.raw["spec"],
        **{"hostname": "db-7", "subdomain": "peers", "volumes": volumes},
    }


ORDERED = [
    ("the first pod comes first", [], ["create db-0"]),
    ("an unready pod blocks the next", [(0, False)], []),
    ("a pod comes after the one before it is up", [(0, True)], ["create db-1"]),
    ("a gap is filled before anything else", [(0, True), (2, True)], ["create db-1"]),
    ("all there, nothing to do", [(0, True), (1, True), (2, True)], []),
    ("the highest goes first", [(0, True), (1, True), (2, True), (3, True), (4, True)], ["delete db-4"]),
    ("nobody goes while one that stays is not up", [(0, True), (1, False), (2, True), (3, True)], []),
    ("a lame pod below blocks", [(0, True), (1, True), (2, True), (3, False), (4, False)], []),
    ("the only lame one goes", [(0, True), (1, True), (2, True), (3, True), (4, False)], ["delete db-4"]),
]


@pytest.mark.parametrize(("pods", "expected"), [case[1:] for case in ORDERED], ids=[case[0] for case in ORDERED])
def test_one_thing_at_a_time(pods, expected):
    sts = a_statefulset("db", replicas=3)

    assert deeds(sts, *(a_member(sts, ordinal, ready) for ordinal, ready in pods)) == expected


def test_parallel_waits_for_nobody():
    sts = a_statefulset("db", replicas=3, pod_management_policy="Parallel")
    pods = [a_member(sts, 1, False), a_member(sts, 3, False), a_member(sts, 4)]

    assert deeds(sts, *pods) == ["create db-0", "create db-2", "delete db-4", "delete db-3"]


def test_a_pod_that_is_going_is_neither_replaced_nor_passed_by():
    sts = a_statefulset("db", replicas=2)

    assert deeds(sts, a_member(sts, 0, deleted=True)) == []


@pytest.mark.parametrize(
    ("phase", "reason"), [("Failed", "RecreatingFailedPod"), ("Succeeded", "RecreatingTerminatedPod")]
)
def test_a_pod_that_ended_is_deleted_before_its_name_is_used_again(phase, reason):
    sts = a_statefulset("db")
    pod = a_member(sts, 0, False, phase=phase)

    _, event, delete = plan(sts, World(sts, a_revision(sts), pod))

    assert (event.reason, delete) == (reason, Delete(pod))


def test_numbers_begin_where_the_set_says():
    sts = a_statefulset("db", replicas=2, ordinals={"start": 5})

    assert deeds(sts) == ["create db-5"]
    assert deeds(sts, a_member(sts, 5), a_member(sts, 6), a_member(sts, 0)) == ["delete db-0"]


def test_a_pod_of_the_same_labels_but_another_name_is_let_go_and_never_adopted():
    sts = a_statefulset("db")
    stranger, owned = a_pod("other", labels={"app": "web"}), a_pod("db-01", owner=sts)

    assert deeds(sts, a_member(sts, 0), stranger, owned) == ["update db-01"]


def test_a_name_that_somebody_else_has_is_told_of():
    sts = a_statefulset("db")

    _, event, again = plan(sts, World(sts, a_revision(sts), a_pod("db-0", labels={"app": "other"})))

    assert event == Event(
        sts, "FailedCreate", 'create Pod db-0 in StatefulSet db failed error: pods "db-0" already exists', "Warning"
    )
    assert again == CheckAgain(10.0)


def test_lost_labels_come_back():
    sts = a_statefulset("db")
    pod = a_pod("db-0", owner=sts, labels={"app": "web", "controller-revision-hash": NEW}, ready=True)

    assert deeds(sts, pod) == ["update db-0"]


def rolling(**more):
    bounds = {key: more.pop(key) for key in ("partition", "max_unavailable") if key in more}
    strategy = {"type": "RollingUpdate", "rolling_update": {"partition": 0, **bounds}}
    status = {"current_revision": OLD, "update_revision": NEW}
    return a_statefulset("db", **{"replicas": 3, "update_strategy": strategy, "status": status, **more})


def updates(sts, *members):
    """What happens to pods given as (ordinal, ready, revision)."""
    pods = [a_member(sts, ordinal, ready, revision) for ordinal, ready, revision in members]
    return deeds(sts, *pods, revisions=[a_revision(sts, OLD, 1, "app:0"), a_revision(sts)])


def test_an_update_goes_from_the_highest_number_down_one_by_one():
    everyone = [(0, True, OLD), (1, True, OLD), (2, True, OLD)]

    assert updates(rolling(), *everyone) == ["delete db-2"]
    assert updates(rolling(), *everyone[:2], (2, True, NEW)) == ["delete db-1"]
    assert updates(rolling(), *everyone[:2], (2, False, NEW)) == []


def test_what_is_below_the_partition_stays_and_comes_back_in_the_old_version():
    sts = rolling(partition=2)
    world = World(sts, a_revision(sts, OLD, 1, "app:0"), a_revision(sts), a_member(sts, 0, True, OLD))

    *_, create = plan(sts, world)

    assert updates(sts, (0, True, OLD), (1, True, OLD), (2, True, NEW)) == []
    assert create.manifest["metadata"]["labels"]["controller-revision-hash"] == OLD
    assert create.manifest["spec"]["containers"] == [{"name": "app", "image": "app:0"}]


@pytest.mark.parametrize(
    ("most", "expected"), [(2, ["delete db-3", "delete db-2"]), ("50%", ["delete db-3", "delete db-2"]), ("10%", 1)]
)
def test_several_may_be_missing_if_the_set_allows_it(most, expected):
    everyone = [(ordinal, True, OLD) for ordinal in range(4)]
    expected = ["delete db-3"] if expected == 1 else expected

    assert updates(rolling(replicas=4, max_unavailable=most), *everyone) == expected


def test_a_bad_version_is_rolled_back_under_parallel_and_costs_no_healthy_pod():
    bad = [(0, True, NEW), (1, True, NEW), (2, False, OLD)]

    assert updates(rolling(pod_management_policy="Parallel"), *bad) == ["delete db-2"]
    assert updates(rolling(), *bad) == []


def test_on_delete_waits_for_people_and_makes_new_pods_of_the_new_version():
    sts = rolling(update_strategy={"type": "OnDelete"})

    assert updates(sts, (0, True, OLD), (1, True, OLD), (2, True, OLD)) == []
    assert updates(sts, (0, True, OLD), (1, True, OLD)) == ["create db-2"]


def test_the_status_counts_by_version():
    sts = rolling(generation=4)
    pods = [a_member(sts, 0, True, OLD), a_member(sts, 1, False, NEW), a_member(sts, 2, True, NEW, deleted=True)]

    status, *_ = plan(sts, World(sts, a_revision(sts, OLD, 1, "app:0"), a_revision(sts), *pods))

    counts = {"replicas": 3, "ready_replicas": 2, "available_replicas": 2, "current_replicas": 1, "updated_replicas": 1}
    assert status == SetStatus(sts.with_status(**counts, observed_generation=4))


def test_once_everybody_is_new_the_new_version_is_the_current_one():
    sts = rolling(replicas=1)

    status, *_ = plan(sts, World(sts, a_revision(sts, OLD, 1, "app:0"), a_revision(sts), a_member(sts, 0)))

    assert (status.obj.status.current_revision, status.obj.status.current_replicas) == (NEW, 1)


def test_a_version_that_is_wanted_again_becomes_the_newest():
    sts = a_statefulset("db", replicas=0)
    again, other = a_revision(sts, NEW, 1), a_revision(sts, OLD, 2, "app:0")

    assert list(plan(sts, World(sts, again, other)))[1:] == [Update(again, {"revision": 3})]


def test_old_versions_beyond_the_limit_are_forgotten_unless_pods_are_of_them():
    sts = rolling(replicas=1, revision_history_limit=0, status={"current_revision": NEW})
    old = [a_revision(sts, f"db-v{number}", number, f"app:{number}") for number in (-2, -1, 0)]
    pod = a_member(sts, 0, False, "db-v-1")

    assert deeds(sts, pod, revisions=[*old, a_revision(sts)]) == ["delete db-v-2", "delete db-v0"]


def test_availability_comes_with_time():
    sts = a_statefulset("db", replicas=2, min_ready_seconds=10)
    world = World(sts, a_revision(sts), a_member(sts, 0, ready_since=NOW))

    assert list(plan(sts, world))[1:] == [CheckAgain(10.0)]


def test_a_set_that_is_going_only_tells():
    sts = a_statefulset("db", replicas=3, deleted=True)

    assert deeds(sts, a_member(sts, 0)) == []
