"""Rules of ingresses, network policies, addresses, storage drivers and runtimes: an object, and its one fault."""

from __future__ import annotations

from typing import Any

import pytest
from judging import created, faults, faults_of_update, row, thing

from wherry.machinery.names import dns1123_label

NET, CSI = "networking.k8s.io/v1", "storage.k8s.io/v1"
Manifest = dict[str, Any]
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
VALID_PATH = {"path": "/", "pathType": "Prefix", "backend": BACKEND}
DRIVER = {"name": "d.example", "nodeID": "n"}
ATTACH = {"attacher": "d.example", "nodeName": "n", "source": {"persistentVolumeName": "v"}}


def ingress(**spec: Any) -> Manifest:
    """An ingress with these fields of the spec."""
    return thing("Ingress", NET, spec={"defaultBackend": BACKEND, **spec})


def path(**change: Any) -> Manifest:
    """An ingress with one path, changed."""
    return ingress(rules=[{"http": {"paths": [{**VALID_PATH, **change}]}}])


def policy(**spec: Any) -> Manifest:
    """A network policy with these fields of the spec."""
    return thing("NetworkPolicy", NET, spec={"podSelector": {}, **spec})


def peer(**peer: Any) -> Manifest:
    """A network policy that lets one peer in."""
    return policy(ingress=[{"from": [peer]}])


FAULTS = [
    (
        thing("Ingress", NET, spec={}),
        "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
    ),
    (path(pathType=None), "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"),
    (
        path(path="x"),
        'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
    ),
    (
        path(path="/a//b"),
        "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
    ),
    (
        path(backend={"service": {"name": "web"}}),
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
    ),
    (
        path(backend={}),
        'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
    ),
    (
        ingress(rules=[{"host": "10.0.0.1"}]),
        'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ),
    (thing("IngressClass", NET, spec={}), "spec.controller: Required value"),
    (
        thing("IngressClass", NET, spec={"controller": "nginx"}),
        'spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")',
    ),
    (
        thing(
            "IngressClass",
            NET,
            spec={"controller": "a.io/b", "parameters": {"kind": "X", "name": "x", "scope": "Namespace"}},
        ),
        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    ),
    (peer(), "spec.ingress[0].from[0]: Required value: must specify a peer"),
    (
        peer(podSelector={}, ipBlock={"cidr": "10.0.0.0/8"}),
        "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
    ),
    (
        peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}),
        'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
    ),
    (
        policy(egress=[{"ports": [{"port": 80, "endPort": 70}]}]),
        "spec.egress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
    ),
    (
        policy(policyTypes=["In"]),
        'spec.policyTypes[0]: Unsupported value: "In": supported values: "Egress", "Ingress"',
    ),
    (
        thing("ServiceCIDR", NET, spec={"cidrs": ["10.0.0.1/24"]}),
        'spec.cidrs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length',
    ),
    (
        thing("IPAddress", NET, "10.0.0.x", spec={"parentRef": {"resource": "services", "name": "a"}}),
        'metadata.name: Invalid value: "10.0.0.x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    (thing("IPAddress", NET, "10.0.0.1"), "spec.parentRef: Required value"),
    (
        thing("RuntimeClass", "node.k8s.io/v1", handler="Run_C"),
        f'handler: Invalid value: "Run_C": {dns1123_label("Run_C")[0]}',
    ),
    (
        thing("CSIDriver", CSI, spec={"fsGroupPolicy": "All"}),
        'spec.fsGroupPolicy: Unsupported value: "All": supported values: "File", "None", "ReadWriteOnceWithFSType"',
    ),
    (thing("CSINode", CSI, spec={"drivers": [{"name": "d.example"}]}), "spec.drivers[0].nodeID: Required value"),
    (
        thing("CSINode", CSI, spec={"drivers": [DRIVER, DRIVER]}),
        'spec.drivers[1].name: Duplicate value: "d.example"',
    ),
    (
        thing("CSIStorageCapacity", CSI, storageClassName="fast", capacity="-1"),
        'capacity: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (
        thing("VolumeAttachment", CSI, spec={**ATTACH, "source": {}}),
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
    ),
    (
        thing("VolumeAttributesClass", CSI, driverName="d.example"),
        "parameters: Required value: must contain at least one key/value pair",
    ),
    (thing("PodTemplate", template={"spec": {"containers": []}}), "template.spec.containers: Required value"),
]


@pytest.mark.parametrize(("manifest", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_broken_rule_is_named(manifest: Manifest, fault: str):
    assert faults(manifest) == [fault]


UPDATES = [
    (
        thing("IngressClass", NET, spec={"controller": "a.io/b"}),
        thing("IngressClass", NET, spec={"controller": "a.io/c"}),
        ['spec.controller: Invalid value: "a.io/c": field is immutable'],
    ),
    (
        thing("ServiceCIDR", NET, spec={"cidrs": ["10.0.0.0/24"]}),
        thing("ServiceCIDR", NET, spec={"cidrs": ["10.0.0.0/24", "fd00::/64"]}),
        [],
    ),
    (
        thing("ServiceCIDR", NET, spec={"cidrs": ["10.0.0.0/24"]}),
        thing("ServiceCIDR", NET, spec={"cidrs": ["10.1.0.0/24"]}),
        ['spec.cidrs[0]: Invalid value: "10.1.0.0/24": field is immutable'],
    ),
    (
        thing("RuntimeClass", "node.k8s.io/v1", handler="a"),
        thing("RuntimeClass", "node.k8s.io/v1", handler="b"),
        ['handler: Invalid value: "b": field is immutable'],
    ),
    (
        thing("CSINode", CSI, spec={"drivers": [DRIVER]}),
        thing("CSINode", CSI, spec={"drivers": [{**DRIVER, "nodeID": "m"}]}),
        ['CSINodeDriver: Invalid value: {"name":"d.example","nodeID":"m"}: field is immutable'],
    ),
    (
        thing("VolumeAttributesClass", CSI, driverName="d", parameters={"a": "b"}),
        thing("VolumeAttributesClass", CSI, driverName="d", parameters={"a": "c"}),
        ["parameters: Forbidden: updates to parameters are forbidden."],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), UPDATES)
def test_what_is_for_life_stays(before: Manifest, after: Manifest, expected: list[str]):
    assert faults_of_update(before, after) == expected


RULES = [{"host": f"{letter}.example"} for letter in "abcd"]


def test_an_ingress_shows_three_hosts_and_all_its_addresses():
    status = {"loadBalancer": {"ingress": [{"hostname": "b.example"}, {"ip": "10.0.0.1"}]}}
    shown = row({**ingress(rules=RULES, ingressClassName="nginx"), "status": status})

    assert shown["Hosts"] == "a.example,b.example,c.example + 1 more..."
    assert (shown["Class"], shown["Address"], shown["Ports"]) == ("nginx", "10.0.0.1,b.example", "80")


def test_a_policy_is_about_what_comes_in_unless_it_says_more():
    assert created(policy())["spec"]["policyTypes"] == ["Ingress"]
    assert created(policy(egress=[]))["spec"]["policyTypes"] == ["Ingress", "Egress"]
