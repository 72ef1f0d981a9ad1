"""PodTemplate: a pod to be, kept for whoever wants to make one."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod import PodTemplate
from wherry.api.core.pod.validation import check_template
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import label_text
from wherry.machinery.validation import under

_NOTHING = PodTemplate()


class StoredPodTemplate(Resource, name="PodTemplate", version="v1"):
    """A pod to be."""

    template: PodTemplate = _NOTHING

    counts_generations = True
    delete_returns_object = True
    columns = (
        Column("Containers", lambda kept: ",".join(each.name for each in kept.template.spec.containers)),
        Column("Images", lambda kept: ",".join(each.image for each in kept.template.spec.containers)),
        Column("Pod Labels", lambda kept: label_text(kept.template.metadata.labels)),
    )

    def validate(self, old: StoredPodTemplate | None) -> Iterator[FieldError]:
        """Every broken rule of the template."""
        return under("template", check_template(self.template))
