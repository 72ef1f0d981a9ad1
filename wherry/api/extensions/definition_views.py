"""The parts of a CustomResourceDefinition, as far as Wherry reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from wherry.api.meta import Conditions
from wherry.machinery.view import Verbatim, View

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer under which the objects of a kind are deleted before its definition."""


class Names(View):
    """What a kind is called."""

    plural: str = ""
    singular: str = ""
    kind: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class OpenSchema(Verbatim):
    """An `openAPIV3Schema`."""


class VersionSchema(View):
    """Where the schema of a version stands."""

    open_api_v3_schema: OpenSchema | None = msgspec.field(name="openAPIV3Schema", default=None)


class ScalePaths(View):
    """Where the numbers of a scale stand in the object."""

    spec_replicas_path: str = ""
    status_replicas_path: str = ""
    label_selector_path: str = ""


class Presence(Verbatim):
    """An object that says something by being there."""


class Subresources(View):
    """What is served below an object."""

    status: Presence | None = None
    scale: ScalePaths | None = None


class PrinterColumn(View):
    """A column of `kubectl get`."""

    name: str = ""
    type: str = ""
    format: str = ""
    description: str = ""
    priority: int = 0
    json_path: str = ""


class SelectableField(View):
    """A field that field selectors may name."""

    json_path: str = ""


class Version(View):
    """One version of a kind."""

    name: str = ""
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: VersionSchema | None = None
    subresources: Subresources | None = None
    additional_printer_columns: tuple[PrinterColumn, ...] = ()
    selectable_fields: tuple[SelectableField, ...] = ()

    @property
    def open_schema(self) -> dict[str, Any]:
        """The version's schema; one that allows nothing for a version without."""
        found = self.schema.open_api_v3_schema if self.schema else None
        return found.raw if found is not None else {}


class WebhookClient(Verbatim):
    """How a webhook is reached."""


class WebhookConversion(View):
    """Who converts between versions."""

    client_config: WebhookClient = WebhookClient()
    conversion_review_versions: tuple[str, ...] = ()


class Conversion(View):
    """How objects get from one version to another."""

    strategy: str = "None"
    webhook: WebhookConversion | None = None


class DefinitionSpec(View):
    """What is declared."""

    group: str = ""
    names: Names = Names()
    scope: str = ""
    versions: tuple[Version, ...] = ()
    conversion: Conversion = Conversion()
    preserve_unknown_fields: bool = False

    @property
    def storage_version(self) -> str:
        """The version in which objects are stored."""
        return next((version.name for version in self.versions if version.storage), "")


class DefinitionStatus(View):
    """What the API server says about a definition."""

    conditions: Conditions = ()
    accepted_names: Names = Names()
    stored_versions: tuple[str, ...] = ()
