"""What the status of a new object says before anybody looked at it."""

import pytest

import wherry.api.kinds  # noqa: F401 - declares every kind
from wherry.api.autoscaling.autoscaler_v1 import HorizontalPodAutoscalerV1
from wherry.machinery.resource import all_kinds
from wherry.machinery.schema import UnknownKind, schema_for

# The first version of an autoscaler is a face of the second: only that one is ever made.
FACES = (HorizontalPodAutoscalerV1,)
KINDS = [cls for cls in all_kinds() if "status" in cls.kind.subresources and cls not in FACES]


def required_numbers(cls) -> dict[str, int]:
    """The fields that the schema of a kind's status requires."""
    try:
        status = schema_for(cls.kind.api_version, cls.kind.name).properties["status"]
    except UnknownKind:
        return {}
    return dict.fromkeys(status.required, 0)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind.name)
def test_a_new_status_has_the_numbers_that_its_schema_requires(cls):
    draft = {"metadata": {"name": "new"}, "spec": {}}

    cls.prepare_create(draft)

    assert required_numbers(cls).items() <= draft.get("status", {}).items()
