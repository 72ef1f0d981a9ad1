"""What is wrong with one field: a value, yielded by validation, collected into one 422 answer.

Kubernetes: apimachinery `util/validation/field`, texts included, because people and programs read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson


class FieldError(NamedTuple):
    """One broken rule. `field` is a path such as `spec.containers[0].image`."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def under(self, path: str) -> FieldError:
        """The same error seen from the object that holds `path`."""
        joined = path + self.field if self.field.startswith("[") or not self.field else f"{path}.{self.field}"
        return FieldError(joined, self.reason, self.message)


def _show(value: Any) -> str:
    """A value as Kubernetes prints it: strings quoted, structures as JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z).decode()


def required(field: str, detail: str = "") -> FieldError:
    """The field must be set."""
    return FieldError(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """The value breaks a rule."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {_show(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The value is none of the few that exist."""
    choices = ", ".join(f'"{choice}"' for choice in sorted(supported))
    message = f"Unsupported value: {_show(value)}: supported values: {choices}"
    return FieldError(field, "FieldValueNotSupported", message)


def forbidden(field: str, detail: str) -> FieldError:
    """The field must not be set here."""
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate(field: str, value: Any) -> FieldError:
    """The value stands twice in a list whose members are distinct."""
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {_show(value)}")


def not_found(field: str, value: Any) -> FieldError:
    """The value names something that is not there."""
    return FieldError(field, "FieldValueNotFound", f"Not found: {_show(value)}")


def too_long(field: str, limit: int, unit: str = "bytes") -> FieldError:
    """The value is over its limit; the value itself is not repeated."""
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} {unit}")


def too_many(field: str, count: int, limit: int) -> FieldError:
    """The list is longer than it may be."""
    return FieldError(field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


def immutable(field: str, value: Any) -> FieldError:
    """The field was set at creation and stays."""
    return invalid(field, value, "field is immutable")
