"""NetworkPolicy: with whom pods may talk."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_cidr, check_port, check_selector, each, under
from wherry.machinery.view import View

NETWORKING = "io.k8s.api.networking.v1."
DIRECTIONS = ("Egress", "Ingress")
PROTOCOLS = ("SCTP", "TCP", "UDP")

defaults.literal(NETWORKING + "NetworkPolicyPort", protocol="TCP")


@defaults(NETWORKING + "NetworkPolicySpec")
def _directions(spec: dict[str, Any]) -> None:
    """A policy is about what comes in; about what goes out only if it says anything about that."""
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") is not None else ["Ingress"]


class NetworkPolicyPort(View):
    """A port, by name or number, or a range up to `end_port`; without one every port."""

    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class IPBlock(View):
    """Addresses, less some of them."""

    cidr: str = ""
    except_: tuple[str, ...] = ()


class NetworkPolicyPeer(View):
    """Pods by labels of theirs and of their namespaces, or addresses."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyIngressRule(View):
    """What may come in, and from whom; an empty list means all."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    from_: tuple[NetworkPolicyPeer, ...] = ()


class NetworkPolicyEgressRule(View):
    """What may go out, and to whom; an empty list means all."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    to: tuple[NetworkPolicyPeer, ...] = ()


class NetworkPolicySpec(View):
    """Which pods, in which directions, and what is allowed."""

    pod_selector: Selector = Selector()
    ingress: tuple[NetworkPolicyIngressRule, ...] = ()
    egress: tuple[NetworkPolicyEgressRule, ...] = ()
    policy_types: tuple[str, ...] = ()


class NetworkPolicy(Resource, group="networking.k8s.io", version="v1", plural="networkpolicies", short=("netpol",)):
    """With whom pods may talk."""

    spec: NetworkPolicySpec = NetworkPolicySpec()

    counts_generations = True
    columns = (Column("Pod-Selector", lambda policy: str(policy.spec.pod_selector) or "<none>"), AGE)

    def validate(self, old: NetworkPolicy | None) -> Iterator[FieldError]:
        """Every broken rule of a policy."""
        return under("spec", _check_spec(self.spec))


def _check_spec(spec: NetworkPolicySpec) -> Iterator[FieldError]:
    yield from check_selector("podSelector", spec.pod_selector.raw)
    for index, incoming in enumerate(spec.ingress):
        yield from each(f"ingress[{index}].ports", incoming.ports, _check_port)
        yield from each(f"ingress[{index}].from", incoming.from_, _check_peer)
    for index, outgoing in enumerate(spec.egress):
        yield from each(f"egress[{index}].ports", outgoing.ports, _check_port)
        yield from each(f"egress[{index}].to", outgoing.to, _check_peer)
    if len(spec.policy_types) > len(DIRECTIONS):
        yield invalid("policyTypes", spec.policy_types, "may not specify more than two policyTypes")
        return
    for index, direction in enumerate(spec.policy_types):
        if direction not in DIRECTIONS:
            yield not_supported(f"policyTypes[{index}]", direction, DIRECTIONS)


def _check_port(port: NetworkPolicyPort) -> Iterator[FieldError]:
    if port.protocol is not None and port.protocol not in PROTOCOLS:
        yield not_supported("protocol", port.protocol, PROTOCOLS)
    if port.port is not None:
        yield from check_port("port", port.port)
    if port.end_port is None:
        return
    if not isinstance(port.port, int):
        kind = "not specified" if port.port is None else "non-numeric"
        yield invalid("endPort", port.end_port, f"may not be specified when `port` is {kind}")
        return
    if port.end_port < port.port:
        yield invalid("endPort", port.end_port, "must be greater than or equal to `port`")
    yield from (invalid("endPort", port.end_port, problem) for problem in names.port_number(port.end_port))


def _check_peer(peer: NetworkPolicyPeer) -> Iterator[FieldError]:
    selectors = {"podSelector": peer.pod_selector, "namespaceSelector": peer.namespace_selector}
    given = {field: selector for field, selector in selectors.items() if selector is not None}
    for field, selector in given.items():
        yield from check_selector(field, selector.raw)
    if peer.ip_block is not None:
        yield from under("ipBlock", _check_block(peer.ip_block))
        if given:
            yield forbidden("", "may not specify both ipBlock and another peer")
    elif not given:
        yield required("", "must specify a peer")


def _check_block(block: IPBlock) -> Iterator[FieldError]:
    if not block.cidr:
        yield required("cidr")
        return
    problems = list(check_cidr("cidr", block.cidr))
    yield from problems
    for index, exception in enumerate(() if problems else block.except_):
        field = f"except[{index}]"
        mistakes = list(check_cidr(field, exception))
        yield from mistakes
        if not mistakes and not _is_strictly_within(exception, block.cidr):
            yield invalid(field, exception, "must be a strict subset of `cidr`")


def _is_strictly_within(part: str, whole: str) -> bool:
    inner, outer = ipaddress.ip_network(part, strict=False), ipaddress.ip_network(whole, strict=False)
    return inner.prefixlen > outer.prefixlen and inner.network_address in outer
