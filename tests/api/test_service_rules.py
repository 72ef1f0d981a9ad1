from __future__ import annotations

import pytest
from judging import class_of, created, defaulted, faults, faults_of_update, service

TWO = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
NONE = {"clusterIP": "None"}


def updated(old, new):
    """What an update would store."""
    draft = defaulted(new)
    class_of(new).prepare_update(draft, created(old))
    return draft["spec"]


def test_a_service_gets_what_kubernetes_gives_it():
    assert created(service())["spec"] == {
        "selector": {"app": "web"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
    }


def test_a_load_balancer_gets_policies_and_node_ports():
    spec = created(service(type="LoadBalancer"))["spec"]

    assert (spec["externalTrafficPolicy"], spec["allocateLoadBalancerNodePorts"]) == ("Cluster", True)


def test_client_affinity_lasts_three_hours():
    spec = created(service(sessionAffinity="ClientIP"))["spec"]

    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_an_address_in_one_field_is_in_both():
    assert created(service(clusterIP="10.0.0.9"))["spec"]["clusterIPs"] == ["10.0.0.9"]


def test_what_was_allocated_stays_when_an_update_leaves_it_out():
    ports = [{"port": 80, "nodePort": 30080}]
    before = service(type="NodePort", clusterIP="10.0.0.9", ports=ports)

    spec = updated(before, service(type="NodePort"))

    assert (spec["clusterIP"], spec["clusterIPs"]) == ("10.0.0.9", ["10.0.0.9"])
    assert spec["ports"][0]["nodePort"] == 30080


def test_what_the_new_type_lacks_goes():
    ports = [{"port": 80, "nodePort": 30080}]
    before = service(type="NodePort", clusterIP="10.0.0.9", ports=ports, externalTrafficPolicy="Cluster")

    spec = updated(before, {**before, "spec": {**before["spec"], "type": "ClusterIP"}})

    assert "nodePort" not in spec["ports"][0]
    assert "externalTrafficPolicy" not in spec


FAULTS = [
    ({"ports": []}, "spec.ports: Required value"),
    ({"ports": [{"port": 80}, {"name": "b", "port": 81}]}, "spec.ports[0].name: Required value"),
    ({"ports": [TWO[0], {**TWO[1], "name": "a"}]}, 'spec.ports[1].name: Duplicate value: "a"'),
    (
        {"ports": [{"port": 0, "targetPort": 1}]},
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    ({"ports": [TWO[0], {**TWO[1], "port": 80}]}, 'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'),
    (
        {"ports": [{"port": 80, "nodePort": 30000}]},
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        {"type": "Magic", "externalTrafficPolicy": ""},
        'spec.type: Unsupported value: "Magic": supported values: '
        '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ),
    (
        {"type": "NodePort", **NONE},
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
    ),
    ({"type": "ExternalName"}, "spec.externalName: Required value"),
    (
        {"clusterIP": "10.0.0.300"},
        'spec.clusterIPs[0]: Invalid value: "10.0.0.300": '
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    ),
    (
        {"externalIPs": ["127.0.0.1"]},
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ),
    (
        {"sessionAffinity": "Always"},
        'spec.sessionAffinity: Unsupported value: "Always": supported values: "ClientIP", "None"',
    ),
    (
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: "
        "must be greater than 0 and less than 86400",
    ),
    (
        {"allocateLoadBalancerNodePorts": True},
        "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
]


@pytest.mark.parametrize(("spec", "fault"), FAULTS)
def test_a_service_obeys(spec: dict, fault: str):
    found = faults(service(**spec))

    assert fault in found
    assert len(found) <= 2  # an unknown type also has no internal traffic policy


@pytest.mark.parametrize("spec", [{}, NONE, {**NONE, "ports": []}, {"type": "ExternalName", "externalName": "a.b."}])
def test_a_sound_service_breaks_no_rule(spec: dict):
    assert faults(service(**spec)) == []


def test_a_name_is_a_label_that_begins_with_a_letter():
    [fault] = faults({**service(), "metadata": {"name": "1web"}})

    assert fault.startswith('metadata.name: Invalid value: "1web": a DNS-1035 label must consist of')


def test_the_address_is_for_life():
    assert faults_of_update(service(clusterIP="10.0.0.9"), service(clusterIP="10.0.0.8")) == [
        'spec.clusterIPs[0]: Invalid value: ["10.0.0.8"]: may not change once set'
    ]


def test_becoming_an_alias_lets_go_of_the_address():
    before = service(clusterIP="10.0.0.9")
    alias = service(clusterIP="10.0.0.9", clusterIPs=["10.0.0.9"], type="ExternalName", externalName="a.b")

    assert faults_of_update(before, alias) == []
    assert "clusterIP" not in updated(before, alias)
