"""Pods of services and workloads are spread though they do not say so; those that ask for GPUs are packed."""

import pytest
from make import a_node, a_pod, an_object

from scheduler.config import ConfigError, ProfileConfig, plugins_of
from scheduler.explaining.picture import Objects, Picture
from scheduler.framework import load_plugins
from scheduler.kin import KINDS, Kin
from scheduler.pods import PodView
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.replication_controller import ReplicationController
from wherry.api.core.service import Service
from wherry.client.informer import Change
from wherry.client.world import Shelf

WEB, ZONE = {"app": "web", "tier": "front"}, "topology.kubernetes.io/zone"
SET = an_object(ReplicaSet, "web", api_version="apps/v1", selector={"matchLabels": {"app": "web"}})
CONTROLLER = an_object(ReplicationController, "web", selector={"app": "web"})
FRONT = an_object(Service, "front", selector={"tier": "front"})
NODES = [
    a_node(name, labels={"kubernetes.io/hostname": name, ZONE: zone}, allocatable={"cpu": "64", "nvidia.com/gpu": "8"})
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b"))
]


def a_web(node="", owner=SET, labels=WEB, **more):
    return a_pod("", owner=owner, labels=labels, node=node, **more)


def spread(pod, *others, args=None, objects=(SET,)):
    """The nodes where the pod fits, the best first, ties by name."""
    of = {kind: [each for each in objects if type(each) is kind] for kind in KINDS}
    config = {"plugin_config": [{"name": "PodTopologySpread", "args": args or {}}]}
    plugins = plugins_of(ProfileConfig.model_validate(config), load_plugins())
    picture = Picture(Objects({Node: NODES, Pod: others, **of}), {"default-scheduler": plugins})
    decision = picture.judged(picture.view(pod)).decision
    best = {name: round(score, 3) for name, score in zip(decision.nodes, decision.totals.tolist(), strict=True)}
    fits = dict(zip(decision.nodes, decision.feasible.tolist(), strict=True))
    return sorted((name for name in best if fits[name]), key=lambda name: (-best[name], name))


def kin_of(pod, *objects):
    shelves = {kind: Shelf() for kind in KINDS}
    for each in objects:
        shelves[type(each)].put(each)
    return Kin(shelves).view(PodView(pod)).kin


@pytest.mark.parametrize(
    ("owner", "objects", "expected"),
    [
        (SET, [SET], "app=web"),
        (SET, [SET, FRONT], "tier=front,app=web"),
        (CONTROLLER, [CONTROLLER, FRONT], "app=web,tier=front"),
        (None, [SET, FRONT], "tier=front"),
        (SET, [], "None"),
        (None, [an_object(Service, "db", selector={"app": "db"}), an_object(Service, "none")], "None"),
    ],
)
def test_a_pods_like_is_what_its_services_and_its_workload_select(owner, objects, expected):
    assert str(kin_of(a_web(owner=owner), *objects)) == expected


def test_a_new_service_is_heard_of():
    shelves = {kind: Shelf() for kind in KINDS}
    shelves[ReplicaSet].put(SET)
    kin, pod = Kin(shelves), PodView(a_web())
    assert str(kin.view(pod).kin) == "app=web"

    shelves[Service].put(FRONT)
    kin.changed(Change(None, FRONT))

    assert str(kin.view(pod).kin) == "tier=front,app=web"


def test_pods_of_a_workload_are_spread_over_zones_and_hosts():
    assert spread(a_web(), a_web("a1"))[0] == "b1"
    assert spread(a_web(), a_web("a1"), a_web("b1"), a_web("b1"))[0] == "a2"


def test_pods_that_ask_for_gpus_are_packed_all_the_same():
    gpu = {"resources": {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}}
    pods = [a_web(node, containers=[{"name": "main", "image": "web", **gpu}]) for node in ("", "a1")]

    assert spread(*pods)[0] == "a1"


def test_a_list_of_ones_own_takes_the_place_of_the_systems_and_an_empty_one_leaves_pods_alone():
    hard = [{"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"}]

    assert spread(a_web(), a_web("a1"), args={"defaultingType": "List", "defaultConstraints": hard}) == ["b1"]
    assert spread(a_web(), a_web("a1"), args={"defaultingType": "List"})[0] == "a2"
    assert spread(a_web(owner=None), a_web("a1"), args={"defaultingType": "List", "defaultConstraints": hard})[1:]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"defaultConstraints": [{"maxSkew": 1}]}, "defaultConstraints.0.topologyKey: Field required"),
        (
            {"defaultConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]},
            "defaultConstraints: must be empty when defaultingType is System",
        ),
        (
            {
                "defaultingType": "List",
                "defaultConstraints": 2 * [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}],
            },
            "topologyKey 'z' stands twice with the same whenUnsatisfiable",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(args, why):
    with pytest.raises(ConfigError, match=why):
        spread(a_web(), args=args)
