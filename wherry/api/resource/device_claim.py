"""Which devices somebody wants: requests, constraints among them, and settings for the driver.

CEL expressions are checked for their length and left to who evaluates them. Kubernetes: DeviceClaim and its validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, invalid, not_supported, required, too_long, too_many
from wherry.machinery.quantity import Quantity
from wherry.machinery.schema import defaults
from wherry.machinery.validation import each, required_name, under
from wherry.machinery.view import View

GROUP = "resource.k8s.io"
ADMIN_ACCESS = "resource.kubernetes.io/admin-access"
"""The label of namespaces whose claims may reach devices that others have."""
DEFINITIONS = "io.k8s.api.resource.v1."
ALLOCATION_MODES = ("All", "ExactCount")
TAINT_EFFECTS = ("NoExecute", "NoSchedule")
OPERATORS = ("Equal", "Exists")
MAX_ITEMS, MAX_ALTERNATIVES, MAX_EXPRESSION = 32, 8, 10 * 1024
_NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_EXACTLY_ONE = "exactly one of `exactly` or `firstAvailable` is required"

RequestNames = Mapping[str, frozenset[str]]

defaults.literal(DEFINITIONS + "DeviceToleration", operator="Equal")


@defaults(DEFINITIONS + "ExactDeviceRequest")
@defaults(DEFINITIONS + "DeviceSubRequest")
def _how_many(request: dict[str, Any]) -> None:
    """One device, if nothing is said."""
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1


class CELDeviceSelector(View):
    """An expression that is true for the devices that fit."""

    expression: str = ""


class DeviceSelector(View):
    """Which devices fit."""

    cel: CELDeviceSelector | None = None


class DeviceToleration(View):
    """A taint of devices that does not matter."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None

    def covers(self, key: str, value: str, effect: str) -> bool:
        """Whether it is about such a taint."""
        if self.effect not in ("", effect) or self.key not in ("", key):
            return False
        return self.operator == "Exists" or self.value == value


class CapacityRequirements(View):
    """How much of something a device must have, by the name of the capacity."""

    requests: dict[str, Quantity] = {}


class ExactDeviceRequest(View):
    """How many devices of a class, and which ones fit."""

    device_class_name: str = ""
    selectors: tuple[DeviceSelector, ...] = ()
    allocation_mode: str = ""
    count: int = 0
    admin_access: bool = False
    tolerations: tuple[DeviceToleration, ...] = ()
    capacity: CapacityRequirements = CapacityRequirements()


class DeviceSubRequest(ExactDeviceRequest):
    """One of several ways to meet a request."""

    name: str = ""


class DeviceRequest(View):
    """Exactly these devices, or the first of several ways that can be met."""

    name: str = ""
    exactly: ExactDeviceRequest | None = None
    first_available: tuple[DeviceSubRequest, ...] = ()


class DeviceConstraint(View):
    """What the devices of several requests have in common, or in which they differ."""

    requests: tuple[str, ...] = ()
    match_attribute: str | None = None
    distinct_attribute: str | None = None


class OpaqueDeviceConfiguration(View):
    """Settings that only the driver understands."""

    driver: str = ""
    # Any JSON, though in practice an object.
    parameters: Any = None


class DeviceClassConfiguration(View):
    """Settings for a driver."""

    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClaimConfiguration(DeviceClassConfiguration):
    """Settings for the devices of some requests; of all if none is named."""

    requests: tuple[str, ...] = ()


class DeviceClaim(View):
    """Which devices somebody wants."""

    requests: tuple[DeviceRequest, ...] = ()
    constraints: tuple[DeviceConstraint, ...] = ()
    config: tuple[DeviceClaimConfiguration, ...] = ()


class ResourceClaimSpec(View):
    """Which devices somebody wants."""

    devices: DeviceClaim = DeviceClaim()


def check_claim_spec(spec: ResourceClaimSpec) -> Iterator[FieldError]:
    """Every broken rule of a claim, and of one in a template."""
    return under("devices", _check_claim(spec.devices))


def request_names(claim: DeviceClaim) -> RequestNames:
    """The requests of a claim, and the alternatives of each."""
    return {each.name: frozenset(sub.name for sub in each.first_available) for each in claim.requests}


def _check_claim(claim: DeviceClaim) -> Iterator[FieldError]:
    known = request_names(claim)
    for field in ("requests", "constraints", "config"):
        yield from at_most(field, getattr(claim, field))
    yield from each("requests", claim.requests, _check_request)
    yield from distinct("requests", "name", (request.name for request in claim.requests))
    for index, constraint in enumerate(claim.constraints):
        yield from under(f"constraints[{index}]", _check_constraint(constraint, known))
    for index, config in enumerate(claim.config):
        yield from check_request_references(f"config[{index}].requests", config.requests, known)
        yield from under(f"config[{index}]", check_configuration(config))


def at_most(field: str, items: tuple[Any, ...], limit: int = MAX_ITEMS) -> Iterator[FieldError]:
    """The list is not too long."""
    if len(items) > limit:
        yield too_many(field, len(items), limit)


def distinct(path: str, field: str, values: Iterable[str]) -> Iterator[FieldError]:
    """No two items of a list have the same value in a field."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield duplicate(f"{path}[{index}]" + (f".{field}" if field else ""), value)
        seen.add(value)


def _check_request(request: DeviceRequest) -> Iterator[FieldError]:
    yield from required_name("name", request.name, names.dns1123_label)
    if request.exactly is None and not request.first_available:
        yield required("", _EXACTLY_ONE)
    elif request.exactly is not None and request.first_available:
        yield invalid("", None, f"{_EXACTLY_ONE}, but multiple fields are set")
    elif request.exactly is not None:
        yield from under("exactly", _check_exact(request.exactly))
    else:
        yield from at_most("firstAvailable", request.first_available, MAX_ALTERNATIVES)
        yield from each("firstAvailable", request.first_available, _check_alternative)
        yield from distinct("firstAvailable", "name", (sub.name for sub in request.first_available))


def _check_alternative(request: DeviceSubRequest) -> Iterator[FieldError]:
    yield from required_name("name", request.name, names.dns1123_label)
    yield from _check_exact(request)


def _check_exact(request: ExactDeviceRequest) -> Iterator[FieldError]:
    yield from required_name("deviceClassName", request.device_class_name, names.dns1123_subdomain)
    yield from check_selectors(request.selectors)
    if request.allocation_mode not in ALLOCATION_MODES:
        yield not_supported("allocationMode", request.allocation_mode, ALLOCATION_MODES)
    elif request.allocation_mode == "All":
        if request.count:
            yield invalid("count", request.count, "must not be specified when allocationMode is 'All'")
    elif request.count <= 0:
        yield invalid("count", request.count, "must be greater than zero")
    yield from each("tolerations", request.tolerations, _check_toleration)


def check_selectors(selectors: tuple[DeviceSelector, ...]) -> Iterator[FieldError]:
    """Every selector has an expression of bearable length."""
    yield from at_most("selectors", selectors)
    for index, selector in enumerate(selectors):
        if selector.cel is None:
            yield required(f"selectors[{index}].cel")
        elif not selector.cel.expression:
            yield required(f"selectors[{index}].cel.expression")
        elif len(selector.cel.expression) > MAX_EXPRESSION:
            yield too_long(f"selectors[{index}].cel.expression", MAX_EXPRESSION)


def _check_toleration(toleration: DeviceToleration) -> Iterator[FieldError]:
    if toleration.key:
        yield from required_name("key", toleration.key, names.qualified_name)
    if toleration.operator not in OPERATORS:
        yield not_supported("operator", toleration.operator, OPERATORS)
    elif toleration.operator == "Exists" and toleration.value:
        yield invalid("value", toleration.value, "must be empty for operator `Exists`")
    elif toleration.operator == "Equal" and not toleration.key:
        yield required(
            "key", 'operator must be `Exists` when `key` is empty, which means "match all values and all keys"'
        )
    if toleration.effect and toleration.effect not in TAINT_EFFECTS:
        yield not_supported("effect", toleration.effect, TAINT_EFFECTS)


def _check_constraint(constraint: DeviceConstraint, known: RequestNames) -> Iterator[FieldError]:
    yield from check_request_references("requests", constraint.requests, known)
    attribute = constraint.match_attribute
    field = "matchAttribute"
    if attribute is None:
        field, attribute = "distinctAttribute", constraint.distinct_attribute
    if attribute is None:
        yield required("matchAttribute")
    else:
        yield from check_qualified_attribute(field, attribute)


def check_qualified_attribute(field: str, attribute: str) -> Iterator[FieldError]:
    """An attribute with its domain: `gpu.example.com/model`."""
    if not attribute:
        yield required(field)
    elif "/" not in attribute:
        yield invalid(field, attribute, "must include a domain")
    else:
        domain, _, name = attribute.partition("/")
        yield from required_name(field, domain, names.dns1123_subdomain)
        yield from required_name(field, name, names.c_identifier)


def check_request_references(field: str, requests: tuple[str, ...], known: RequestNames) -> Iterator[FieldError]:
    """Each names a request of the claim, or one of its alternatives."""
    yield from at_most(field, requests)
    yield from distinct(field, "", requests)
    for index, text in enumerate(requests):
        request, slash, alternative = text.partition("/")
        if request not in known or (slash and alternative not in known[request]):
            yield invalid(f"{field}[{index}]", text, _NO_REQUEST)


def check_configuration(config: DeviceClassConfiguration) -> Iterator[FieldError]:
    """Settings name the driver that they are for."""
    if config.opaque is None:
        yield required("opaque")
        return
    yield from check_driver_name("opaque.driver", config.opaque.driver)
    if config.opaque.parameters is None:
        yield required("opaque.parameters")
