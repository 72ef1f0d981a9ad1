"""What all pods of a profile ask of nodes, besides what they say themselves: the settings of NodeAffinity.

Kubernetes: NodeAffinityArgs.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import ConfigDict, field_validator

from scheduler.framework import PluginArgs
from wherry.api.core.pod.spec import NodeAffinity
from wherry.api.core.pod.validation.scheduling import check_node_affinity
from wherry.machinery.schema import walk
from wherry.machinery.schema.definitions import definition

SCHEMA = "io.k8s.api.core.v1.NodeAffinity"


class NodeAffinityArgs(PluginArgs):
    """Affinity as in a pod, held to the same rules."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    added_affinity: NodeAffinity = NodeAffinity()

    @field_validator("added_affinity", mode="before")
    @classmethod
    def _is_affinity(cls, value: Any) -> NodeAffinity:
        if value is None:
            return NodeAffinity()
        try:
            affinity = NodeAffinity.read(value)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        problems = [f'unknown field "{path}"' for path in walk(value, definition(SCHEMA)).unknown]
        problems += [str(problem) for problem in check_node_affinity(affinity)]
        if problems:
            raise ValueError("; ".join(problems))
        return affinity
