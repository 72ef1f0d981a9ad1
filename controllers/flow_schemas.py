"""Say of each flow schema whether its priority level exists. Kubernetes: the API server's APF controller."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.flowcontrol.flow_schema import FlowSchema
from wherry.api.flowcontrol.priority_level_configuration import PriorityLevelConfiguration
from wherry.api.meta import Condition, with_condition
from wherry.client.controller import controller
from wherry.client.plan import Plan, SetStatus
from wherry.client.world import World

DANGLING = "Dangling"


def schemas_of(level: PriorityLevelConfiguration, world: World) -> Iterator[str]:
    """The schemas that name a level."""
    name = level.metadata.name
    return (each.key for each in world.list(FlowSchema) if each.spec.priority_level_configuration.name == name)


@controller(FlowSchema, wakes={PriorityLevelConfiguration: schemas_of})
def plan(schema: FlowSchema, world: World) -> Plan:
    """Keep the condition `Dangling`."""
    name = schema.spec.priority_level_configuration.name
    exists = world.get(PriorityLevelConfiguration, name) is not None
    what = f'This FlowSchema references the PriorityLevelConfiguration object named "{name}"'
    if exists:
        condition = Condition(type=DANGLING, status="False", reason="Found", message=f"{what} and it exists")
    else:
        condition = Condition(
            type=DANGLING, status="True", reason="NotFound", message=f"{what} but there is no such object"
        )
    if schema.metadata.deleted_at is None:
        yield SetStatus(schema.with_status(conditions=with_condition(schema.status.conditions, condition, world.now)))
