"""What may stand in a list of requests, limits or capacities: names of resources and their amounts.

Kubernetes: core/helper and the resource part of core/validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, required
from wherry.machinery.quantity import NANOS, Quantity
from wherry.machinery.validation import NEGATIVE

NOT_INTEGER = "must be an integer"
HUGE_PAGES = "hugepages-"
COMPUTE = ("cpu", "memory")
CONTAINER_RESOURCES = (*COMPUTE, "ephemeral-storage")
_COUNTED = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_STANDARD = {
    *CONTAINER_RESOURCES,
    *(f"requests.{name}" for name in (*CONTAINER_RESOURCES, "storage")),
    *(f"limits.{name}" for name in CONTAINER_RESOURCES),
    *_COUNTED,
    "storage",
}

Amounts = Mapping[str, Quantity]


def is_native(name: str) -> bool:
    """Kubernetes' own resources: unprefixed names and those of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=512)
def is_extended(name: str) -> bool:
    """Resources of others, such as nvidia.com/gpu: counted in whole units, never shared."""
    return not is_native(name) and not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


def is_huge_page(name: str) -> bool:
    """Memory in pages of the size the name tells: hugepages-2Mi."""
    return name.startswith(HUGE_PAGES)


def allows_overcommit(name: str) -> bool:
    """Whether limits may be over requests."""
    return is_native(name) and not is_huge_page(name)


@lru_cache(maxsize=512)
def container_resource_problems(name: str) -> tuple[str, ...]:
    """Why a container cannot ask for this resource."""
    if problems := names.qualified_name(name):
        return tuple(problems)
    if "/" not in name:
        if is_huge_page(name) or name in CONTAINER_RESOURCES:
            return ()
        unknown = () if name in _STANDARD else ("must be a standard resource type or fully qualified",)
        return (*unknown, "must be a standard resource for containers")
    return () if is_native(name) or is_extended(name) else ("doesn't follow extended resource name standard",)


@lru_cache(maxsize=512)
def resource_problems(name: str) -> tuple[str, ...]:
    """Why this is no name of a resource at all."""
    if problems := names.qualified_name(name):
        return tuple(problems)
    is_known = "/" in name or name in _STANDARD or is_huge_page(name.removeprefix("requests."))
    return () if is_known else ("must be a standard resource type or fully qualified",)


@lru_cache(maxsize=512)
def quota_resource_problems(name: str) -> tuple[str, ...]:
    """Why a quota cannot limit this resource."""
    problems = resource_problems(name)
    is_unknown = "/" not in name and (problems or name == "storage")
    return (*problems, "must be a standard resource for quota") if is_unknown else problems


def check_amount(field: str, name: str, amount: Quantity) -> Iterator[FieldError]:
    """Not negative, and whole where the resource is counted."""
    if amount.nanos < 0:
        yield invalid(field, str(amount), NEGATIVE)
    if (name in _COUNTED or is_extended(name)) and amount.millis % 1000:
        yield invalid(field, str(amount), NOT_INTEGER)


def check_positive(field: str, amount: Quantity) -> Iterator[FieldError]:
    """More than nothing."""
    if amount.nanos <= 0:
        yield invalid(field, str(amount), "must be greater than zero")


def check_requests_and_limits(requests: Amounts, limits: Amounts) -> Iterator[FieldError]:
    """A container's requests and limits; paths begin at its `resources`."""
    for name, limit in limits.items():
        yield from _check_container_resource(f"limits[{name}]", name, limit)
    for name, request in requests.items():
        yield from _check_container_resource(f"requests[{name}]", name, request)
        yield from _check_request(name, request, limits.get(name))
    asked = {*requests, *limits}
    if any(map(is_huge_page, asked)) and not asked.intersection(COMPUTE):
        yield forbidden("", "HugePages require cpu or memory")


def _check_container_resource(field: str, name: str, amount: Quantity) -> Iterator[FieldError]:
    for problem in container_resource_problems(name):
        yield invalid(field, name, problem)
    yield from check_amount(field, name, amount)
    if is_huge_page(name) and not _is_whole_pages(name, amount):
        yield invalid(field, str(amount), f"{amount} is not positive integer multiple of {name}")


def _is_whole_pages(name: str, amount: Quantity) -> bool:
    try:
        page = Quantity.parse(name.removeprefix(HUGE_PAGES))
    except ValueError:
        return False
    return page.nanos > 0 and page.nanos % NANOS == 0 and amount.value % page.value == 0


def _check_request(name: str, request: Quantity, limit: Quantity | None) -> Iterator[FieldError]:
    if limit is None:
        if not allows_overcommit(name):
            yield required("limits", "Limit must be set for non overcommitable resources")
    elif request != limit and not allows_overcommit(name):
        yield invalid("requests", str(request), f"must be equal to {name} limit of {limit}")
    elif request > limit:
        yield invalid("requests", str(request), f"must be less than or equal to {name} limit of {limit}")
