"""IPAddress: an address that is taken, and by whom. Its name is the address."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, required_name, unchanged, under
from wherry.machinery.view import View

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
ALLOCATOR = "ipallocator.k8s.io"


class ParentReference(View):
    """The object that has the address; the core group is empty."""

    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return "/".join(part for part in (resource, self.namespace, self.name) if part)


class IPAddressSpec(View):
    """Who has the address."""

    parent_ref: ParentReference | None = None


class IPAddress(
    Resource, group="networking.k8s.io", version="v1", plural="ipaddresses", scope="Cluster", short=("ip",)
):
    """An address that is taken."""

    spec: IPAddressSpec = IPAddressSpec()

    name_rule = "ip"
    selectable = {
        "spec.parentRef.resource": lambda address: _parent(address).resource,
        "spec.parentRef.namespace": lambda address: _parent(address).namespace,
        "spec.parentRef.name": lambda address: _parent(address).name,
    }
    columns = (Column("ParentRef", lambda address: str(address.spec.parent_ref or "<none>")), AGE)

    def validate(self, old: IPAddress | None) -> Iterator[FieldError]:
        """Every broken rule; whose it is is for life."""
        if self.spec.parent_ref is None:
            yield required("spec.parentRef")
        else:
            yield from under("spec.parentRef", _check_parent(self.spec.parent_ref))
        if old is not None:
            was = None if old.spec.parent_ref is None else old.spec.parent_ref.to_wire()
            now = None if self.spec.parent_ref is None else self.spec.parent_ref.to_wire()
            yield from unchanged("spec.parentRef", now, was)


def _parent(address: IPAddress) -> ParentReference:
    return address.spec.parent_ref or ParentReference()


def _check_parent(parent: ParentReference) -> Iterator[FieldError]:
    if parent.group:
        yield from check_name("group", parent.group, names.dns1123_subdomain)
    yield from required_name("resource", parent.resource, names.path_segment)
    yield from required_name("name", parent.name, names.path_segment)
    if parent.namespace:
        yield from check_name("namespace", parent.namespace, names.path_segment)
