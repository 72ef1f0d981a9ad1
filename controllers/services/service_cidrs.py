"""Say of each service network that it can be used, and keep one that goes until no service has an address of it.

Kubernetes: the servicecidrs controller. Differs: addresses are given from the network of `--service-cidr` only; others
can be declared, and are only looked after.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from wherry.api.meta import Condition, with_condition
from wherry.api.networking.ip_address import IPAddress
from wherry.api.networking.service_cidr import PROTECTED, ServiceCIDR
from wherry.client.controller import controller
from wherry.client.plan import Plan, SetStatus, Update
from wherry.client.world import World


def going(_: IPAddress, world: World) -> Iterator[str]:
    """The networks that wait for addresses to become free."""
    return (each.key for each in world.list(ServiceCIDR) if each.metadata.deleted_at is not None)


@controller(ServiceCIDR, wakes={IPAddress: going}, notices={IPAddress: lambda address: address.metadata.name})
def plan(cidr: ServiceCIDR, world: World) -> Plan:
    """Keep the condition `Ready` and the finalizer."""
    finalizers = list(cidr.metadata.finalizers)
    if cidr.metadata.deleted_at is None:
        ready = Condition(type="Ready", status="True", message="Kubernetes Service CIDR is ready")
        yield SetStatus(cidr.with_status(conditions=with_condition(cidr.status.conditions, ready, world.now)))
        if PROTECTED not in finalizers:
            yield Update(cidr, {"metadata": {"finalizers": [*finalizers, PROTECTED]}})
        return
    if PROTECTED not in finalizers:
        return
    if _is_needed(cidr, world):
        why = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
        busy = Condition(type="Ready", status="False", reason="Terminating", message=why)
        yield SetStatus(cidr.with_status(conditions=with_condition(cidr.status.conditions, busy, world.now)))
        return
    yield Update(cidr, {"metadata": {"finalizers": [each for each in finalizers if each != PROTECTED] or None}})


def _is_needed(cidr: ServiceCIDR, world: World) -> bool:
    """Whether an address of it is taken that lies in no other network."""
    others = [each for each in world.list(ServiceCIDR) if each.key != cidr.key and each.metadata.deleted_at is None]
    return any(
        _holds(cidr, address.metadata.name) and not any(_holds(other, address.metadata.name) for other in others)
        for address in world.list(IPAddress)
    )


def _holds(cidr: ServiceCIDR, address: str) -> bool:
    ip = ipaddress.ip_address(address)
    networks = (ipaddress.ip_network(text) for text in cidr.spec.cidrs)
    return any(ip in network for network in networks if network.version == ip.version)
