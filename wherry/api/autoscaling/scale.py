"""Scale: the number of replicas of anything that has them. Served by apiserver/subresources/scale.py."""

from __future__ import annotations

from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.view import View


class ScaleSpec(View):
    """How many are wanted."""

    replicas: int = 0


class ScaleStatus(View):
    """How many there are, and the labels they are found by."""

    replicas: int = 0
    selector: str = ""


class Scale(Resource, group="autoscaling", version="v1", plural="scales", verbs=()):
    """The number of replicas of anything that has them; exists only as a subresource."""

    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()

    columns = (
        Column("Desired", lambda scale: scale.spec.replicas, type="integer"),
        Column("Available", lambda scale: scale.status.replicas, type="integer"),
        AGE,
    )
