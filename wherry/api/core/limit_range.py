"""LimitRange: what one pod, container or claim of a namespace asks for at least, at most and by default.

What they make of pods: `quota/bounds.py`; applied by apiserver/admission/limit_ranger.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.core.resource_rules import allows_overcommit, container_resource_problems, resource_problems
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, required
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import CREATED_AT
from wherry.machinery.validation import check_name, under
from wherry.machinery.view import View

POD, CONTAINER, CLAIM = "Pod", "Container", "PersistentVolumeClaim"
_ONE = Quantity.from_value(1)


@defaults("io.k8s.api.core.v1.LimitRangeItem")
def _complete(item: dict[str, Any]) -> None:
    """For containers: the default limit is the maximum; the default request the default limit, else the minimum."""
    if item.get("type") != CONTAINER:
        return
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    for field, amounts in (("default", limits), ("defaultRequest", requests)):
        if amounts:
            item[field] = amounts


class LimitRangeItem(View):
    """The bounds of one type of thing."""

    type: str = ""
    max: dict[str, Quantity] = {}
    min: dict[str, Quantity] = {}
    default: dict[str, Quantity] = {}
    default_request: dict[str, Quantity] = {}
    max_limit_request_ratio: dict[str, Quantity] = {}


class LimitRangeSpec(View):
    """The bounds, one entry for each type."""

    limits: tuple[LimitRangeItem, ...] = ()


class LimitRange(Resource, version="v1", short=("limits",)):
    """Bounds and defaults for the pods, containers and claims of a namespace."""

    spec: LimitRangeSpec = LimitRangeSpec()

    create_on_update = True
    columns = (CREATED_AT,)

    def validate(self, old: LimitRange | None) -> Iterator[FieldError]:
        """Every broken rule of the bounds."""
        seen: set[str] = set()
        for index, item in enumerate(self.spec.limits):
            path = f"spec.limits[{index}]"
            yield from under(path, _check_type(item.type))
            if item.type in seen:
                yield duplicate(f"{path}.type", item.type)
            seen.add(item.type)
            yield from under(path, _check_item(item))


def _check_type(type: str) -> Iterator[FieldError]:
    yield from check_name("type", type, names.qualified_name)
    if "/" not in type and type not in (POD, CONTAINER, CLAIM):
        yield invalid("type", type, "must be a standard limit type or fully qualified")


def _check_item(item: LimitRangeItem) -> Iterator[FieldError]:
    given = {"max": item.max, "min": item.min, "maxLimitRequestRatio": item.max_limit_request_ratio}
    for_defaults = {"default": item.default, "defaultRequest": item.default_request}
    if item.type == POD:
        for field, amounts in for_defaults.items():
            if amounts:
                yield forbidden(field, "may not be specified when `type` is 'Pod'")
    else:
        given |= for_defaults
    problems_of = container_resource_problems if item.type in (POD, CONTAINER) else resource_problems
    for field, amounts in given.items():
        for name in amounts:
            yield from (invalid(f"{field}[{name}]", name, problem) for problem in problems_of(name))
    if item.type == CLAIM and "storage" not in {*item.min, *item.max}:
        yield required("limits", "either minimum or maximum storage value is required, but neither was provided")
    for name in sorted({name for amounts in given.values() for name in amounts}):
        yield from _check_order(item, name)
        yield from _check_ratio(item, name)


def _check_order(item: LimitRangeItem, name: str) -> Iterator[FieldError]:
    """Least, default request, default limit and most stand in this order."""
    least, most = ("min", "min", item.min.get(name)), ("max", "max", item.max.get(name))
    request = ("default request", "defaultRequest", item.default_request.get(name))
    limit = ("default", "default", item.default.get(name))
    limit_in_words = ("default limit", *limit[1:])
    orders = (
        (least, most, least),
        (least, request, request),
        (request, most, request),
        (request, limit_in_words, request),
        (least, limit, limit),
        (limit, most, limit),
    )
    for (low_word, _, low), (high_word, _, high), (_, field, _) in orders:
        if low is not None and high is not None and low > high:
            shown = low if field != "defaultRequest" else request[2]
            why = f"{low_word} value {low} is greater than {high_word} value {high}"
            yield invalid(f"{field}[{name}]", str(shown), why)
    if request[2] is not None and limit[2] is not None and request[2] != limit[2] and not allows_overcommit(name):
        why = f"default value {limit[2]} must equal to defaultRequest value {request[2]} in {name}"
        yield invalid(f"defaultRequest[{name}]", str(request[2]), why)


def _check_ratio(item: LimitRangeItem, name: str) -> Iterator[FieldError]:
    ratio, least, most = (amounts.get(name) for amounts in (item.max_limit_request_ratio, item.min, item.max))
    if ratio is None:
        return
    if ratio < _ONE:
        yield invalid(f"maxLimitRequestRatio[{name}]", str(ratio), f"ratio {ratio} is less than 1")
    if least and most:
        possible = most.nanos / least.nanos
        if ratio.nanos / _ONE.nanos > possible:
            why = f"ratio {ratio} is greater than max/min = {possible:f}"
            yield invalid(f"maxLimitRequestRatio[{name}]", str(ratio), why)
