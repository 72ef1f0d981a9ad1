"""VolumeAttributesClass: settings of volumes that can be changed while they are in use."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.storage.storage_class import check_parameters
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE

IS_DEFAULT = "volumeattributesclass.alpha.kubernetes.io/is-default-class"


class VolumeAttributesClass(
    Resource, group="storage.k8s.io", version="v1", plural="volumeattributesclasses", scope="Cluster", short=("vac",)
):
    """Settings of volumes that can be changed while they are in use."""

    driver_name: str = ""
    parameters: dict[str, str] = {}

    name_column = False
    delete_returns_object = True
    columns = (
        Column("Name", lambda each: each.metadata.name + (" (default)" if each.is_default else "")),
        Column("DriverName", lambda each: each.driver_name),
        AGE,
    )

    @property
    def is_default(self) -> bool:
        """Whether it is marked as the class of claims that name none."""
        return self.metadata.annotations.get(IS_DEFAULT) == "true"

    def validate(self, old: VolumeAttributesClass | None) -> Iterator[FieldError]:
        """Every broken rule; a class is for life."""
        if not self.driver_name:
            yield required("driverName")
        else:
            for problem in names.qualified_name(self.driver_name.lower()):
                yield invalid("driverName", self.driver_name, problem)
        if not self.parameters:
            yield required("parameters", "must contain at least one key/value pair")
        yield from check_parameters(self.parameters)
        if old is not None and self.driver_name != old.driver_name:
            yield forbidden("driverName", "updates to driverName are forbidden.")
        if old is not None and self.parameters != old.parameters:
            yield forbidden("parameters", "updates to parameters are forbidden.")
