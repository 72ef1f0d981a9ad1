from __future__ import annotations

from typing import Any

from judging import container, created, faults_of_update, pod

from wherry.api.core.pod import Pod

ONLY = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def test_an_image_may_change():
    assert faults_of_update(pod(), pod(containers=[container(image="nginx:1.30")])) == []


def test_a_deadline_may_be_set_and_shortened_but_not_extended_or_removed():
    assert faults_of_update(pod(), pod(activeDeadlineSeconds=10)) == []
    assert faults_of_update(pod(activeDeadlineSeconds=10), pod(activeDeadlineSeconds=5)) == []
    assert faults_of_update(pod(activeDeadlineSeconds=10), pod(activeDeadlineSeconds=11)) == [
        "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value"
    ]
    assert faults_of_update(pod(activeDeadlineSeconds=10), pod()) == [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
    ]


def test_other_fields_may_not_change_and_the_difference_is_shown():
    [fault] = faults_of_update(pod(), pod(dnsPolicy="Default"))

    assert fault == f'{ONLY}\n- dnsPolicy: "ClusterFirst"\n+ dnsPolicy: "Default"\n'


def test_a_field_that_wherry_does_nothing_with_may_not_change_either():
    before, after = (
        pod(containers=[container(volumeMounts=[{"name": "v", "mountPath": "/v", **more}])], volumes=[{"name": "v"}])
        for more in ({}, {"bindMountOptions": ["noexec"]})
    )

    [fault] = faults_of_update(before, after)

    assert fault.startswith(ONLY)


def test_containers_may_not_be_added():
    assert faults_of_update(pod(), pod(containers=[container(), container(name="b")])) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_tolerations_may_only_be_added():
    one, two = ({"key": key, "operator": "Exists", "effect": "NoExecute"} for key in ("a", "b"))

    assert faults_of_update(pod(tolerations=[one]), pod(tolerations=[one, two])) == []
    assert faults_of_update(pod(tolerations=[one]), pod(tolerations=[{**one, "tolerationSeconds": 5}])) == []
    assert faults_of_update(pod(tolerations=[one]), pod(tolerations=[two])) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_gates_may_be_lifted_but_not_added():
    gates = [{"name": "a"}, {"name": "b"}]

    assert faults_of_update(pod(schedulingGates=gates), pod(schedulingGates=gates[:1])) == []
    assert faults_of_update(pod(schedulingGates=gates[:1]), pod(schedulingGates=gates)) == [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'"
    ]


def test_a_gated_pod_may_become_choosier_about_nodes():
    gated = {"schedulingGates": [{"name": "a"}], "nodeSelector": {"disk": "ssd"}}

    assert faults_of_update(pod(**gated), pod(**gated | {"nodeSelector": {"disk": "ssd", "zone": "1"}})) == []
    [fault] = faults_of_update(pod(**gated), pod(**gated | {"nodeSelector": {"zone": "1"}}))
    assert fault.endswith("only additions to spec.nodeSelector are allowed (no mutations or deletions)")


def test_debug_containers_may_be_added_but_not_changed():
    def with_debuggers(*debuggers: dict[str, Any]) -> Pod:
        return Pod.read(created(pod(ephemeralContainers=list(debuggers))))

    one, two = container(name="one"), container(name="two")

    assert list(with_debuggers(one, two).validate_subresource("ephemeralcontainers", with_debuggers(one))) == []
    [fault] = with_debuggers(two).validate_subresource("ephemeralcontainers", with_debuggers(one))
    assert str(fault) == (
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "one" may not be removed\n'
    )


def test_a_container_that_finished_for_good_cannot_run_again():
    stored = created(pod(restartPolicy="Never"))
    ended = {"name": "app", "state": {"terminated": {"exitCode": 1}}}
    running = {"name": "app", "state": {"running": {}}}
    before, after = (Pod.read({**stored, "status": {"containerStatuses": [state]}}) for state in (ended, running))

    assert [str(fault) for fault in after.validate_status(before)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]
