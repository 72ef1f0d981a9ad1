"""What happened to pods and nodes, in order, and which timer fired."""

from datetime import timedelta

import pytest
from click.testing import CliRunner
from make import NOW, a_condition, a_node, a_pod, an_object

from wherry.api.coordination.lease import Lease
from wherry.api.events.event import Event
from wherry.cli import main
from wherry.cluster.timeline import Story, node_timeline, pod_timeline, table

UNREACHABLE = "node.kubernetes.io/unreachable"


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def a_dead_node():
    taint = {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": at(61)}
    return a_node("n1", ready="Unknown", ready_since=at(60), taints=[taint], created=at(-900))


def its_lease():
    return an_object(Lease, "n1", api_version="coordination.k8s.io/v1", renew_time="2026-01-01T00:00:10.123456Z")


def an_event(reason, message, seconds, *, count=1, until=0):
    fields = {"firstTimestamp": at(seconds), "lastTimestamp": at(until or seconds), "count": count}
    fields |= {"reason": reason, "message": message, "source": {"component": "kubelet"}}
    return an_object(Event, f"e-{seconds}", fields=fields)


def a_doomed_pod():
    toleration = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    disrupted = a_condition("DisruptionTarget", True, since=at(361), reason="DeletionByTaintManager")
    pod = a_pod("web", node="n1", created=NOW, conditions=[disrupted], tolerations=[toleration], deleted=at(391))
    return pod.replace(metadata=pod.metadata.replace(deletion_grace_seconds=30))


def told(moments):
    return [(round((moment.at - NOW).total_seconds()), moment.who, moment.what) for moment in moments]


def test_a_pods_end_names_the_timers_that_led_to_it():
    story = Story(pod=a_doomed_pod(), node=a_dead_node(), lease=its_lease())

    assert told(pod_timeline(story)) == [
        (0, "api", "pod created"),
        (10, "kubelet", "last heartbeat of node n1"),
        (60, "timer", "node-monitor-grace-period: node n1 silent for 50 s"),
        (61, "controllers", f"node n1 tainted {UNREACHABLE}:NoExecute"),
        (361, "timer", f"tolerationSeconds of 300 s for {UNREACHABLE} ends"),
        (361, "pod", "DisruptionTarget True (DeletionByTaintManager)"),
        (361, "api", "deletion asked for, with 30 s of grace"),
        (391, "timer", "terminationGracePeriodSeconds of 30 s ends; the kubelet must confirm"),
    ]


def test_a_nodes_story_names_the_pods_that_leave_it():
    lines = [what for _, _, what in told(node_timeline(Story(node=a_dead_node(), pods=(a_doomed_pod(),))))]

    assert f"pod default/web: tolerationSeconds of 300 s for {UNREACHABLE} ends" in lines
    assert lines[0] == "node created"
    assert "Ready Unknown" in lines


def test_containers_start_and_end():
    ended = {"startedAt": at(1), "finishedAt": at(5), "exitCode": 1, "reason": "Error"}
    status = {"name": "app", "lastState": {"terminated": ended}, "state": {"running": {"startedAt": at(15)}}}
    pod = a_pod("web", created=NOW, status={"startTime": at(0), "containerStatuses": [status]}, node="n1")

    assert told(pod_timeline(Story(pod=pod)))[1:] == [
        (0, "kubelet", "node n1 took the pod"),
        (1, "kubelet", "container app started"),
        (5, "kubelet", "container app ended with 1: Error"),
        (15, "kubelet", "container app started"),
    ]


def test_of_a_pod_that_is_gone_the_events_are_left():
    events = (an_event("BackOff", "restarting", 10, count=3, until=40), an_event("Killing", "stopping", 2))

    assert told(pod_timeline(Story(events=events))) == [
        (2, "kubelet", "Killing: stopping"),
        (10, "kubelet", "BackOff: restarting"),
        (40, "kubelet", "BackOff: restarting (x3)"),
    ]


def test_the_table_counts_from_the_first_moment():
    lines = list(table(pod_timeline(Story(events=(an_event("A", "a", 0), an_event("B", "b", 75)))), at(75)))

    assert lines == [
        "TIME (UTC)              AFTER  WHO      WHAT",
        "2026-01-01 00:00:00       +0s  kubelet  A: a",
        "2026-01-01 00:01:15      +75s  kubelet  B: b",
    ]


def test_a_timer_that_has_not_fired_is_still_ahead():
    lines = list(table(pod_timeline(Story(pod=a_doomed_pod(), node=a_dead_node())), at(370)))

    assert [line.endswith("(still ahead)") for line in lines[-2:]] == [False, True]


def test_what_has_happened_is_not_ahead_of_a_clock_that_is_slow():
    lines = list(table(pod_timeline(Story(events=(an_event("A", "a", 75),))), at(70)))

    assert not lines[-1].endswith("(still ahead)")


@pytest.mark.parametrize("what", ["web", "pod/", "service/web", "/web"])
def test_what_is_neither_pod_nor_node_is_refused(what, tmp_path):
    result = CliRunner().invoke(main, ["timeline", what, "--data-dir", str(tmp_path)])

    assert result.exit_code == 2
    assert "expected pod/NAME or node/NAME" in result.output


def test_where_there_is_no_cluster_it_says_so(tmp_path):
    result = CliRunner().invoke(main, ["timeline", "pod/web", "--data-dir", str(tmp_path)])

    assert "there is no cluster wherry in" in result.output


def test_a_pods_story_names_those_that_made_way_for_it():
    pod = a_pod("urgent", created=NOW, uid="u-1")
    mine, other = (an_event("Preempted", f"Preempted by pod {uid} on node n1", 3) for uid in ("u-1", "u-2"))
    mine = mine.replace(about=mine.about.replace(namespace="bob", name="low"))

    lines = told(pod_timeline(Story(pod=pod, preempted=(mine, other))))

    assert lines[1:] == [(3, "kubelet", "pod bob/low makes way for it")]


def test_things_of_one_second_stand_in_the_order_in_which_they_cause_each_other():
    names = ("ContainersReady", "Initialized", "PodReadyToStartContainers", "PodScheduled", "Ready")
    started = {"name": "app", "state": {"running": {"startedAt": NOW}}}
    status = {"startTime": NOW, "containerStatuses": [started]}
    conditions = [a_condition(name, True, since=NOW) for name in names]
    pod = a_pod("web", node="n1", created=NOW, conditions=conditions, status=status)

    lines = [what for _, _, what in told(pod_timeline(Story(pod=pod, events=(an_event("Scheduled", "to n1", 0),))))]

    assert lines == [
        "pod created",
        "PodScheduled True",
        "Scheduled: to n1",
        "node n1 took the pod",
        "PodReadyToStartContainers True",
        "Initialized True",
        "container app started",
        "ContainersReady True",
        "Ready True",
    ]


def test_another_pod_of_the_same_name_has_a_story_of_its_own():
    def of(uid, seconds):
        event = an_event("Started", f"of {uid}", seconds)
        return event.replace(about=event.about.replace(uid=uid))

    earlier, later = of("1", 1), of("2", 9)
    pod = a_pod("web", uid="1", created=NOW)

    assert [what for _, _, what in told(pod_timeline(Story(events=(earlier, later))))] == ["Started: of 2"]
    assert told(pod_timeline(Story(pod=pod, events=(earlier, later))))[-1] == (1, "kubelet", "Started: of 1")
