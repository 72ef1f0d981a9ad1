"""Make the rules of a cluster role with an aggregation rule those of all cluster roles that it selects.

So that whoever adds a kind extends `admin`, `edit` and `view` with a role of his own. Kubernetes: the
clusterroleaggregation controller.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.rbac.role import ClusterRole, PolicyRule
from wherry.client.controller import controller
from wherry.client.plan import Plan, Update
from wherry.client.world import World


def sums_of(_: ClusterRole, world: World) -> Iterator[str]:
    """The roles that may have to follow when a role changes: it may have been selected before, or may be now."""
    return (role.key for role in world.list(ClusterRole) if role.aggregation_rule is not None)


@controller(ClusterRole, wakes={ClusterRole: sums_of})
def plan(role: ClusterRole, world: World) -> Plan:
    """Write the rules anew if they are not the sum; roles without an aggregation rule are their authors'."""
    if role.aggregation_rule is None or role.metadata.deleted_at is not None:
        return
    rules = list(dict.fromkeys(_added_up(role, world)))
    if rules != list(role.rules):
        yield Update(role, {"rules": [rule.to_wire() for rule in rules]})


def _added_up(role: ClusterRole, world: World) -> Iterator[PolicyRule]:
    for selector in role.aggregation_rule.cluster_role_selectors if role.aggregation_rule else ():
        for selected in world.list(ClusterRole, selector=selector):
            if selected.metadata.name != role.metadata.name:
                yield from selected.rules
