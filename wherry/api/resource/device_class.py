"""DeviceClass: a kind of device to be had, and its settings."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.resource_rules import is_extended
from wherry.api.resource.device_claim import (
    GROUP,
    DeviceClassConfiguration,
    DeviceSelector,
    at_most,
    check_configuration,
    check_selectors,
)
from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import each, under
from wherry.machinery.view import View


class DeviceClassSpec(View):
    """Which devices, and their settings. `extended_resource_name`: under which name pods may ask for them as well."""

    selectors: tuple[DeviceSelector, ...] = ()
    config: tuple[DeviceClassConfiguration, ...] = ()
    extended_resource_name: str | None = None


class DeviceClass(Resource, group=GROUP, version="v1", scope="Cluster"):
    """A kind of device to be had."""

    spec: DeviceClassSpec = DeviceClassSpec()

    counts_generations = True
    columns = (AGE,)

    def validate(self, old: DeviceClass | None) -> Iterator[FieldError]:
        """Every broken rule of a class."""
        spec = self.spec
        yield from under("spec", check_selectors(spec.selectors))
        yield from under("spec", at_most("config", spec.config))
        yield from each("spec.config", spec.config, check_configuration)
        name = spec.extended_resource_name
        if name is not None and not is_extended(name):
            yield invalid("spec.extendedResourceName", name, "must be a valid extended resource name")
