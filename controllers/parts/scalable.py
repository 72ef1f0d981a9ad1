"""Which kind an autoscaler means."""

from __future__ import annotations

from wherry.api.autoscaling.metric_views import CrossVersionObjectReference
from wherry.machinery.resource import Kind, all_kinds


def scalable_kind(reference: CrossVersionObjectReference) -> Kind | None:
    """The kind that is meant, whichever version of its group the reference names."""
    group = reference.api_version.rpartition("/")[0]
    return next(
        (
            cls.kind
            for cls in all_kinds()
            if (cls.kind.group, cls.kind.name) == (group, reference.kind) and "scale" in cls.kind.subresources
        ),
        None,
    )
