"""ServiceCIDR: a network from which services get their addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError, immutable, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_cidr, under
from wherry.machinery.view import View

NAME_OF_DEFAULT = "kubernetes"
PROTECTED = "networking.k8s.io/service-cidr-finalizer"
_ONE_OF_EACH = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"


class ServiceCIDRSpec(View):
    """One network of each address family."""

    cidrs: tuple[str, ...] = ()


class ServiceCIDRStatus(View):
    """Whether addresses are given out from it."""

    conditions: Conditions = ()


class ServiceCIDR(Resource, group="networking.k8s.io", version="v1", scope="Cluster", subresources=("status",)):
    """A network from which services get their addresses."""

    spec: ServiceCIDRSpec = ServiceCIDRSpec()
    status: ServiceCIDRStatus = ServiceCIDRStatus()

    columns = (Column("CIDRs", lambda cidr: ",".join(cidr.spec.cidrs)), AGE)

    def validate(self, old: ServiceCIDR | None) -> Iterator[FieldError]:
        """Every broken rule; networks stay, but a second family may be added."""
        now, before = self.spec.cidrs, old.spec.cidrs if old else ()
        if old is None or (len(before), len(now)) == (1, 2):
            yield from under("spec.cidrs", _check_networks(now))
        elif len(before) != len(now):
            yield immutable("spec.cidrs", now)
            return
        for index, (was, network) in enumerate(zip(before, now, strict=False)):
            if was != network:
                yield immutable(f"spec.cidrs[{index}]", network)


def _check_networks(networks: tuple[str, ...]) -> Iterator[FieldError]:
    if not networks:
        yield required("", "at least one CIDR required")
        return
    if len(networks) > 2:
        yield invalid("", {"cidrs": networks}, "may only hold up to 2 values")
        return
    problems = [problem for index, text in enumerate(networks) for problem in check_strict_cidr(f"[{index}]", text)]
    yield from problems
    if not problems and len({ipaddress.ip_network(text).version for text in networks}) < len(networks):
        yield invalid("", networks, _ONE_OF_EACH)


def check_strict_cidr(field: str, value: str) -> Iterator[FieldError]:
    """A network in its one canonical form: no bits beyond the prefix, no other spelling."""
    problems = list(check_cidr(field, value))
    yield from problems
    if problems:
        return
    network = ipaddress.ip_network(value, strict=False)
    if ipaddress.ip_interface(value).ip != network.network_address:
        yield invalid(field, value, "must not have bits set beyond the prefix length")
    elif str(network) != value:
        yield invalid(field, value, f'must be in canonical form ("{network}")')
