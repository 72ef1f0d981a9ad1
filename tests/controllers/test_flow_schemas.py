"""Flow schemas tell whether their priority level exists."""

from make import an_object

from controllers.flow_schemas import plan, schemas_of
from wherry.api.flowcontrol.flow_schema import FlowSchema
from wherry.api.flowcontrol.priority_level_configuration import PriorityLevelConfiguration
from wherry.client.world import World


def a_schema(level: str) -> FlowSchema:
    return an_object(FlowSchema, f"to-{level}", priorityLevelConfiguration={"name": level})


def test_a_schema_without_its_level_is_dangling():
    there, gone = a_schema("there"), a_schema("gone")
    world = World(there, gone, an_object(PriorityLevelConfiguration, "there"))

    told = [action.obj.status.conditions[0] for schema in (there, gone) for action in plan(schema, world)]

    assert [(each.type, each.status, each.reason) for each in told] == [
        ("Dangling", "False", "Found"),
        ("Dangling", "True", "NotFound"),
    ]


def test_a_level_wakes_the_schemas_that_name_it():
    level = an_object(PriorityLevelConfiguration, "there")

    assert list(schemas_of(level, World(level, a_schema("there"), a_schema("gone")))) == ["to-there"]
