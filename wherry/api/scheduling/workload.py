"""Workload: what the pod groups of an application are like. Whoever makes the groups copies the templates into them.

Differs: groups of groups are refused; the columns are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.scheduling.group_policy import GROUP, GroupRules, check_change, check_rules
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, immutable, required, too_many
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, each, required_name, unchanged, under
from wherry.machinery.view import Verbatim, View

MOST_TEMPLATES = 8


class PodGroupTemplate(GroupRules):
    """A group to be."""

    name: str = ""


class ControllerReference(View):
    """The object that makes the pods."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""


class WorkloadSpec(View):
    """The groups to be."""

    controller_ref: ControllerReference | None = None
    pod_group_templates: tuple[PodGroupTemplate, ...] = ()
    composite_pod_group_templates: tuple[Verbatim, ...] = ()


def _controller(workload: Workload) -> str:
    reference = workload.spec.controller_ref
    return f"{reference.kind}/{reference.name}" if reference else ""


class Workload(Resource, group=GROUP, version="v1beta1"):
    """What the pod groups of an application are like."""

    spec: WorkloadSpec = WorkloadSpec()

    counts_generations = True
    columns = (
        Column("Controller", _controller),
        Column("Groups", lambda workload: ",".join(each.name for each in workload.spec.pod_group_templates)),
        AGE,
    )

    def validate(self, old: Workload | None) -> Iterator[FieldError]:
        """Every broken rule of a workload."""
        return under("spec", _check(self.spec, old.spec if old else None))


def _check(spec: WorkloadSpec, before: WorkloadSpec | None) -> Iterator[FieldError]:
    templates = spec.pod_group_templates
    if spec.composite_pod_group_templates:
        yield forbidden("compositePodGroupTemplates", "groups of groups are not served here")
    elif not templates:
        yield required("podGroupTemplates", "must have at least one item")
    if len(templates) > MOST_TEMPLATES:
        yield too_many("podGroupTemplates", len(templates), MOST_TEMPLATES)
    yield from each("podGroupTemplates", templates, _check_template)
    if spec.controller_ref is not None:
        yield from under("controllerRef", _check_controller(spec.controller_ref))
    if before is not None:
        yield from unchanged("controllerRef", spec.controller_ref, before.controller_ref)
        if [each.name for each in templates] != [each.name for each in before.pod_group_templates]:
            yield immutable("podGroupTemplates", [each.name for each in templates])
            return
        for index, (template, old) in enumerate(zip(templates, before.pod_group_templates, strict=True)):
            yield from under(f"podGroupTemplates[{index}]", check_change(template, old))


def _check_template(template: PodGroupTemplate) -> Iterator[FieldError]:
    yield from required_name("name", template.name, names.dns1123_label)
    yield from check_rules(template)


def _check_controller(reference: ControllerReference) -> Iterator[FieldError]:
    if reference.api_group:
        yield from check_name("apiGroup", reference.api_group, names.dns1123_subdomain)
    yield from required_name("kind", reference.kind, names.path_segment)
    yield from required_name("name", reference.name, names.path_segment)
