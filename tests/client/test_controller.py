"""How a plan is declared."""

import uuid

import pytest
from make import a_replicaset

from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client.controller import all_controllers, controller, controller_named
from wherry.client.plan import CheckAgain, Plan
from wherry.client.world import World


def plan(rs: ReplicaSet, world: World) -> Plan:
    yield CheckAgain(1)


def test_a_declared_plan_is_known_and_still_a_plain_function():
    name = uuid.uuid4().hex
    declared = controller(ReplicaSet, owns=[Pod], reads=[Node, Pod], name=name, workers=2)(plan)

    assert declared is plan
    assert list(declared(a_replicaset(), World())) == [CheckAgain(1)]
    found = controller_named(name)
    assert (found.plan, found.kinds, found.workers) == (plan, (ReplicaSet, Pod, Node), 2)
    assert found in all_controllers()


def test_two_controllers_of_one_name_are_refused():
    name = uuid.uuid4().hex
    controller(ReplicaSet, name=name)(plan)

    with pytest.raises(TypeError, match=f"two controllers are called '{name}', in test_controller and test_controller"):
        controller(Node, name=name)(plan)


def test_without_a_name_a_controller_is_called_like_its_module():
    controller(ReplicaSet)(plan)

    assert controller_named("test_controller").plan is plan


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(KeyError, match="there is no controller 'nothing'; there are "):
        controller_named("nothing")
