"""Rules that hold for every kind: metadata, labels, selectors, and the grammar of small values.

    def validate(self, old):
        yield from non_negative("spec.replicas", self.spec.replicas)
        yield from each("spec.ports", self.spec.ports, check_port)

A check yields errors whose paths begin at the value it was given; the caller puts them `under` its own path.

Kubernetes: apimachinery `api/validation`, `metav1/validation`, and the metadata rules of `core/validation`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, immutable, invalid, not_supported, required, too_long
from wherry.machinery.meta import ObjectMeta, OwnerReference
from wherry.machinery.resource import Kind

T = TypeVar("T")
Check = Callable[[T], Iterable[FieldError]]
NameRule = Callable[[str], list[str]]

NEGATIVE = "must be greater than or equal to 0"
NOT_AN_OPERATOR = "not a valid selector operator"
NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
# IPv6 that ends as IPv4 does, with every digit written.
_LONGEST_IP = 45
MAX_INT32 = 2**31 - 1
MAX_ANNOTATION_BYTES = 256 * 1024


def _address_problems(value: str) -> list[str]:
    """Names that are IP addresses, each in its one canonical form."""
    ip = parse_ip(value)
    if ip is None:
        return [NO_IP]
    return [] if str(ip) == value else [f'must be in canonical form ("{ip}")']


NAME_RULES: dict[str, NameRule] = {
    "subdomain": names.dns1123_subdomain,
    "label": names.dns1123_label,
    "service": names.dns1035_label,
    "path": names.path_segment,
    "ip": _address_problems,
}
_OWN_FINALIZERS = ("customresourcecleanup.apiextensions.k8s.io", "kubernetes", "orphan", "foregroundDeletion")


def under(path: str, errors: Iterable[FieldError]) -> Iterator[FieldError]:
    """The same errors, seen from the object that holds `path`."""
    return (error.under(path) for error in errors)


def each(path: str, items: Iterable[T], check: Check[T]) -> Iterator[FieldError]:
    """The errors of every item of a list."""
    for index, item in enumerate(items):
        yield from under(f"{path}[{index}]", check(item))


def repeats(values: Iterable[Hashable]) -> Iterator[bool]:
    """Of each value, whether there was one like it before.

    >>> list(repeats(["a", "b", "a"]))
    [False, False, True]
    """
    seen: set[Hashable] = set()
    for value in values:
        yield value in seen
        seen.add(value)


def check_name(field: str, value: str, rule: NameRule) -> Iterable[FieldError]:
    """What a rule of `wherry.machinery.names` says of a value: of most names nothing."""
    messages = rule(value)
    return [invalid(field, value, message) for message in messages] if messages else ()


def required_name(field: str, value: str, rule: NameRule) -> Iterable[FieldError]:
    """The same for a name that must be given."""
    return check_name(field, value, rule) if value else (required(field),)


def non_negative(field: str, value: int) -> Iterator[FieldError]:
    """The number must be at least 0."""
    if value < 0:
        yield invalid(field, value, NEGATIVE)


def in_range(field: str, value: int, low: int, high: int) -> Iterable[FieldError]:
    """The number must be one of low to high."""
    if not low <= value <= high:
        yield invalid(field, value, f"must be between {low} and {high}, inclusive")


def check_amount_or_percent(field: str, value: int | str) -> Iterable[FieldError]:
    """A number of things, or a share of them such as 25%."""
    if isinstance(value, int):
        return non_negative(field, value)
    return check_name(field, value, names.percent)


def at_most_all(field: str, value: int | str) -> Iterable[FieldError]:
    """A share is at most 100%."""
    if isinstance(value, str) and leading_number(value) > 100:
        yield invalid(field, value, "must not be greater than 100%")


def leading_number(value: int | str) -> int:
    """The number of an amount or percentage; what is neither counts as 0, which the check of its form reports.

    More than nine digits cannot matter any more.
    """
    if isinstance(value, int):
        return value
    return 0 if names.percent(value) else int(value[:-1].lstrip("0")[:9] or 0)


def one_of(field: str, value: str, supported: Iterable[str]) -> Iterator[FieldError]:
    """The value must be given and one of a few."""
    choices = tuple(supported)
    if not value:
        yield required(field)
    elif value not in choices:
        yield not_supported(field, value, choices)


def unchanged(field: str, value: Any, before: Any) -> Iterator[FieldError]:
    """The field stays as it was created."""
    if value != before:
        yield immutable(field, value)


def check_ip(field: str, value: str) -> Iterator[FieldError]:
    """The value must be an IP address."""
    if parse_ip(value) is None:
        yield invalid(field, value, NO_IP)


def check_cidr(field: str, value: str) -> Iterator[FieldError]:
    """The value must be a network such as 10.9.8.0/24."""
    try:
        ipaddress.ip_interface(value)
        is_network = value.rpartition("/")[2].isdecimal() and "/" in value
    except ValueError:
        is_network = False
    if not is_network:
        yield invalid(field, value, NO_CIDR)


def parse_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None if the text is none; zones such as `%eth0` are no part of one."""
    return None if len(value) > _LONGEST_IP or "%" in value else _parsed_ip(value)


@lru_cache(maxsize=4096)
def _parsed_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def check_public_ip(field: str, value: str) -> Iterator[FieldError]:
    """The value must be an address that traffic of others can be sent to. Kubernetes: ValidateNonSpecialIP."""
    ip = parse_ip(value)
    if ip is None:
        yield invalid(field, value, "must be a valid IP address")
        return
    if ip.is_unspecified:
        yield invalid(field, value, f"may not be unspecified ({value})")
    if ip.is_loopback:
        yield invalid(field, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if ip.is_link_local:
        yield invalid(field, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if value.startswith("224.0.0.") or (ip.is_multicast and value.lower().startswith("ff02:")):
        yield invalid(field, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def check_port(field: str, port: int | str) -> Iterator[FieldError]:
    """The value must be a port number or the name of a port."""
    problems = names.port_number(port) if isinstance(port, int) else names.port_name(port)
    return (invalid(field, port, problem) for problem in problems)


def check_labels(field: str, labels: Mapping[str, str]) -> Iterator[FieldError]:
    """Keys are qualified names, values at most 63 characters."""
    for key, value in labels.items():
        yield from check_name(field, key, names.qualified_name)
        yield from check_name(field, value, names.label_value)


def check_annotations(field: str, annotations: Mapping[str, str]) -> Iterator[FieldError]:
    """Keys are qualified names in any case; all together at most 256 KiB."""
    size = 0
    for key, value in annotations.items():
        size += len(key.encode(errors="replace")) + len(value.encode(errors="replace"))
        yield from (invalid(field, key, message) for message in names.qualified_name(key.lower()))
    if size > MAX_ANNOTATION_BYTES:
        yield too_long(field, MAX_ANNOTATION_BYTES)


def check_selector(field: str, selector: Mapping[str, Any]) -> Iterator[FieldError]:
    """The JSON of a LabelSelector."""
    yield from check_labels(f"{field}.matchLabels", selector.get("matchLabels") or {})
    yield from each(f"{field}.matchExpressions", selector.get("matchExpressions") or (), _check_expression)


def _check_expression(expression: Mapping[str, Any]) -> Iterator[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required("values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden("values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid("operator", operator, NOT_AN_OPERATOR)
    yield from check_name("key", expression.get("key", ""), names.qualified_name)
    for index, value in enumerate(values):
        yield from check_name(f"values[{index}]", value, names.label_value)


def validate_metadata(
    meta: ObjectMeta, old_meta: ObjectMeta | None, kind: Kind, name_rule: str
) -> Iterable[FieldError]:
    """Every broken rule of an object's metadata; `name_rule` is a key of `NAME_RULES`.

    On update `meta` already carries what the server keeps by itself (creation time, generation). What is as it was is
    no worse than it was.
    """
    if meta == old_meta:
        return ()
    return under("metadata", _check_metadata(meta, old_meta, kind, NAME_RULES[name_rule]))


def _check_metadata(
    meta: ObjectMeta, old_meta: ObjectMeta | None, kind: Kind, name_rule: NameRule
) -> Iterator[FieldError]:
    if meta.generate_name:
        rule = name_rule(_masked_dash(meta.generate_name))
        yield from (invalid("generateName", meta.generate_name, message) for message in rule)
    if meta.name:
        yield from check_name("name", meta.name, name_rule)
    else:
        yield required("name", "name or generateName is required")
    yield from _check_namespace(meta.namespace, kind)
    yield from non_negative("generation", meta.generation)
    yield from check_labels("labels", meta.labels)
    yield from check_annotations("annotations", meta.annotations)
    yield from check_owners("ownerReferences", meta.owner_references)
    yield from _check_finalizers(meta.finalizers, kind)
    if old_meta is not None:
        yield from _check_metadata_update(meta, old_meta)


def _masked_dash(prefix: str) -> str:
    """A generateName may end in a hyphen, because a suffix follows."""
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _check_namespace(namespace: str, kind: Kind) -> Iterator[FieldError]:
    if kind.namespaced:
        yield from required_name("namespace", namespace, names.dns1123_label)
    elif namespace:
        yield forbidden("namespace", "not allowed on this type")


def check_owners(field: str, owners: tuple[OwnerReference, ...]) -> Iterator[FieldError]:
    """Complete references, of which at most one is the controller."""
    yield from each(field, owners, _check_owner)
    controllers = [owner.name for owner in owners if owner.controller]
    if len(controllers) > 1:
        found = f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        shown = [owner.to_wire() for owner in owners]
        yield invalid(field, shown, f"Only one reference can have Controller set to true. {found}")


def _check_owner(owner: OwnerReference) -> Iterator[FieldError]:
    if not owner.api_version.rpartition("/")[2]:
        yield invalid("apiVersion", owner.api_version, "version must not be empty")
    for field, value in (("kind", owner.kind), ("name", owner.name), ("uid", owner.uid)):
        if not value:
            yield invalid(field, value, "must not be empty")
    if (owner.api_version, owner.kind) == ("v1", "Event"):
        yield invalid("", owner.to_wire(), "/v1, Kind=Event is disallowed from being an owner")


def _check_finalizers(finalizers: tuple[str, ...], kind: Kind) -> Iterator[FieldError]:
    is_built_in = "." not in kind.group or kind.group.endswith(".k8s.io")
    for finalizer in finalizers:
        yield from check_finalizer("finalizers", finalizer, is_built_in)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        yield invalid("finalizers", finalizers, "finalizer orphan and foregroundDeletion cannot be both set")


def check_finalizer(field: str, finalizer: str, is_built_in: bool = True) -> Iterator[FieldError]:
    """A qualified name; on built-in kinds it has a prefix or is one of Kubernetes' own."""
    yield from check_name(field, finalizer, names.qualified_name)
    if is_built_in and "/" not in finalizer and finalizer not in _OWN_FINALIZERS:
        yield invalid(field, finalizer, "name is neither a standard finalizer name nor is it fully qualified")


def _check_metadata_update(meta: ObjectMeta, old: ObjectMeta) -> Iterator[FieldError]:
    added = sorted(set(meta.finalizers) - set(old.finalizers))
    if old.deleted_at and added:
        listed = "[]string{" + ", ".join(f'"{finalizer}"' for finalizer in added) + "}"
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
        yield forbidden("finalizers", why)
    if meta.generation < old.generation:
        yield invalid("generation", meta.generation, "must not be decremented")
    yield from unchanged("name", meta.name, old.name)
    yield from unchanged("namespace", meta.namespace, old.namespace)
    yield from unchanged("uid", meta.uid, old.uid)
    yield from unchanged("creationTimestamp", meta.created_at, old.created_at)
    yield from unchanged("deletionTimestamp", meta.deleted_at, old.deleted_at)
    yield from unchanged("deletionGracePeriodSeconds", meta.deletion_grace_seconds, old.deletion_grace_seconds)
