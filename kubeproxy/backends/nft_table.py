"""Rules as an nftables table, and the shortest transaction that turns one such table into another. Pure text work.

How a packet goes through the table (`jump` in the two nat hooks, then a lookup, never a walk along a list):

    prerouting, output -> services -> map services    10.96.0.7 . tcp . 80 -> chain everywhere/shop/web/tcp/http
                                   -> map node-ports              tcp . 30080 -> the same
                          everywhere/…  one dnat rule, the target drawn at random
    postrouting        masquerade what would otherwise be answered past us
    input, forward, output: map refused    a service without endpoints -> reject (or drop)

A route with affinity has a chain and a set of client addresses per target instead of the one dnat rule.
Kubernetes: kube-proxy's nftables mode, with one rule per route where that has a chain per endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from kubeproxy.rules import Frontend, Route, Rules, Target

# Sets whose elements are clients, added by the kernel itself.
AFFINITY_PREFIX = "clients/"

_NAME = re.compile(r"[a-z0-9][-a-z0-9./]*", re.ASCII)

# Just before Docker's own nat chains, which would send a node port nowhere.
_SKELETON = """\
add chain ip {table} services
add chain ip {table} refuse
add chain ip {table} prerouting {{ type nat hook prerouting priority dstnat - 10; policy accept; }}
add chain ip {table} output {{ type nat hook output priority -110; policy accept; }}
add chain ip {table} postrouting {{ type nat hook postrouting priority srcnat - 10; policy accept; }}
add chain ip {table} guard {{ type filter hook prerouting priority raw; policy accept; }}
add chain ip {table} refused-in {{ type filter hook input priority filter - 10; policy accept; }}
add chain ip {table} refused-through {{ type filter hook forward priority filter - 10; policy accept; }}
add chain ip {table} refused-out {{ type filter hook output priority filter - 10; policy accept; }}
add map ip {table} services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
add map ip {table} node-ports {{ type inet_proto . inet_service : verdict; }}
add map ip {table} refused {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
add map ip {table} refused-ports {{ type inet_proto . inet_service : verdict; }}
add set ip {table} hairpin {{ type ipv4_addr . ipv4_addr; }}
add set ip {table} elsewhere {{ type ipv4_addr . inet_proto . inet_service; }}
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules depend on besides the services.

    `pods` are the cluster's pods, `bridge` those of them that share this machine's bridge.
    """

    pods: IPv4Network
    bridge: IPv4Network
    services: IPv4Network
    # br_netfilter: the kernel shows us bridged frames, and so translates back what never leaves the bridge.
    sees_bridged: bool = False
    # route_localnet: 127.0.0.1:nodePort can be led to a pod.
    routes_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a value: rules by chain, elements by map or set, timeouts in seconds by affinity set."""

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    affinity: Mapping[str, int] = field(default_factory=dict)


def table_of(rules: Rules, around: Surroundings) -> Table:
    """The table that makes `rules` hold."""
    chains = _fixed_chains(around)
    elements: dict[str, dict[str, str]] = {name: {} for name in _MAPS}
    affinity: dict[str, int] = {}
    for route in rules.routes:
        part = _part_of(route, around)
        chains.update(part.chains)
        affinity |= part.affinity
        elements["hairpin"] |= part.hairpin
        elements["elsewhere"] |= part.elsewhere
    for frontend, route in rules.by_frontend().items():
        name, verdict = _verdict(frontend, route)
        elements[name][_element(frontend)] = verdict
    return Table(chains, elements, affinity)


class _Part(NamedTuple):
    """What one route puts in the table, besides its frontends; read, never changed."""

    chains: dict[str, tuple[str, ...]]
    affinity: dict[str, int]
    hairpin: dict[str, str]
    elsewhere: dict[str, str]


# Of thousands of routes few change at a time.
@lru_cache(maxsize=16384)
def _part_of(route: Route, around: Surroundings) -> _Part:
    if not _NAME.fullmatch(route.key):
        raise ValueError(f"service {route.service!r} port {route.port_name!r}: not a name that Kubernetes allows")
    away = (t for t in route.everywhere if IPv4Address(t.address) not in around.bridge)
    return _Part(
        chains=dict(_route_chains(route, around)),
        affinity={_affinity_set(route, target): route.affinity_seconds for target in _sticky(route)},
        hairpin={f"{t.address} . {t.address}": "" for t in (*route.everywhere, *route.here)},
        elsewhere={f"{t.address} . {route.protocol.lower()} . {t.port}": "" for t in away},
    )


_MAPS = ("services", "node-ports", "refused", "refused-ports", "hairpin", "elsewhere")


def _fixed_chains(around: Surroundings) -> dict[str, tuple[str, ...]]:
    port = "meta l4proto . th dport"
    local = "fib daddr type local " + ("" if around.routes_loopback else "ip daddr != 127.0.0.0/8 ")
    refused = (
        f"ct state new ip daddr . {port} vmap @refused",
        f"ct state new {local}{port} vmap @refused-ports",
        f"ct state new ip daddr {around.services} goto refuse",
    )
    return {
        "services": (f"ip daddr . {port} vmap @services", f"{local}{port} vmap @node-ports"),
        "prerouting": ("jump services",),
        "output": ("jump services",),
        "postrouting": tuple(_masquerade(around)),
        # With route_localnet on, nothing from outside may reach what listens on 127.0.0.1 (CVE-2020-8558).
        "guard": ('iifname != "lo" ip daddr 127.0.0.0/8 drop',),
        "refuse": ("meta l4proto tcp reject with tcp reset", "reject"),
        "refused-in": refused,
        "refused-through": refused,
        "refused-out": refused,
    }


def _masquerade(around: Surroundings) -> Iterator[str]:
    """Hide the client's address only where the answer would not come back through us."""
    yield "ct status dnat ip saddr . ip daddr @hairpin masquerade"
    if not around.sees_bridged:
        yield f"ct status dnat ip saddr {around.bridge} ip daddr {around.bridge} masquerade"
    yield f"ct status dnat ip saddr != {around.pods} ip daddr . meta l4proto . th dport @elsewhere masquerade"
    if around.routes_loopback:
        yield f"ct status dnat ip saddr 127.0.0.0/8 ip daddr {around.bridge} masquerade"


def _verdict(frontend: Frontend, route: Route) -> tuple[str, str]:
    """The map in which a frontend stands, and where it leads."""
    is_internal = frontend.address in route.cluster_ips
    if not route.everywhere:
        return ("refused" if frontend.address else "refused-ports"), "goto refuse"
    name = "services" if frontend.address else "node-ports"
    if is_internal:
        return name, f"goto {'here' if route.internal_is_local else 'everywhere'}/{route.key}"
    return name, f"goto {'outside' if route.external_is_local else 'everywhere'}/{route.key}"


def _element(frontend: Frontend) -> str:
    port = f"{frontend.protocol.lower()} . {frontend.port}"
    return f"{frontend.address} . {port}" if frontend.address else port


def _route_chains(route: Route, around: Surroundings) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not route.everywhere:
        return
    yield f"everywhere/{route.key}", tuple(_balance(route, route.everywhere))
    if route.internal_is_local or route.external_is_local:
        yield f"here/{route.key}", tuple(_balance(route, route.here)) or ("drop",)
    if route.external_is_local:
        # The policy is about clients outside: those inside keep all targets, as through the cluster IP.
        inside = f"goto everywhere/{route.key}"
        yield (
            f"outside/{route.key}",
            (f"ip saddr {around.pods} {inside}", f"fib saddr type local {inside}", f"goto here/{route.key}"),
        )
    for target in _sticky(route):
        remember = f"update @{_affinity_set(route, target)} {{ ip saddr }}"
        yield _target_chain(route, target), (remember, _dnat(route, str(target)))


def _balance(route: Route, targets: tuple[Target, ...]) -> Iterator[str]:
    count = len(targets)
    if route.affinity_seconds:
        for target in targets:
            yield f"ip saddr @{_affinity_set(route, target)} goto {_target_chain(route, target)}"
        choices = ", ".join(f"{i} : goto {_target_chain(route, target)}" for i, target in enumerate(targets))
        if targets:
            yield f"numgen random mod {count} vmap {{ {choices} }}"
    elif count == 1:
        yield _dnat(route, str(targets[0]))
    elif targets:
        choices = ", ".join(f"{i} : {target.address} . {target.port}" for i, target in enumerate(targets))
        yield _dnat(route, f"numgen random mod {count} map {{ {choices} }}")


def _dnat(route: Route, to: str) -> str:
    return f"meta l4proto {route.protocol.lower()} dnat ip to {to}"


def _sticky(route: Route) -> tuple[Target, ...]:
    return tuple(dict.fromkeys((*route.everywhere, *route.here))) if route.affinity_seconds else ()


def _affinity_set(route: Route, target: Target) -> str:
    return f"{AFFINITY_PREFIX}{route.key}/{target.address}/{target.port}"


def _target_chain(route: Route, target: Target) -> str:
    return f"target/{route.key}/{target.address}/{target.port}"


def transaction(name: str, before: Table | None, after: Table) -> str:
    """nft input that turns `before` into `after`; empty if they are equal. None is whatever stands there now."""
    if before is None:
        # `add` first, so that `delete` finds a table whether there was one or not.
        fresh = f"add table ip {name}\ndelete table ip {name}\nadd table ip {name}\n" + _SKELETON.format(table=name)
        return fresh + "".join(_changes(name, Table(), after))
    return "".join(_changes(name, before, after))


def _changes(name: str, before: Table, after: Table) -> Iterator[str]:
    """In this order: nothing is referred to before it exists, nor deleted while it is referred to."""
    renewed = {s for s in before.affinity if before.affinity[s] != after.affinity.get(s)}
    changed = {chain for chain, body in after.chains.items() if before.chains.get(chain) != body}
    # A rule names its set: where the set is made anew, so is every chain with such a rule.
    changed |= {c for c, body in after.chains.items() if renewed and any(_names(rule, renewed) for rule in body)}
    gone = [chain for chain in before.chains if chain not in after.chains]

    yield from (f"add chain ip {name} {chain}\n" for chain in sorted(changed) if chain not in before.chains)
    yield from (f"flush chain ip {name} {chain}\n" for chain in sorted({*changed, *gone} & {*before.chains}))
    for set_name, elements in after.elements.items():
        yield from _element_changes(name, set_name, before.elements.get(set_name, {}), elements)
    yield from (f"delete chain ip {name} {chain}\n" for chain in sorted(gone))
    yield from (f"delete set ip {name} {s}\n" for s in sorted(renewed))
    for set_name, seconds in sorted(after.affinity.items()):
        if before.affinity.get(set_name) != seconds:
            options = f"type ipv4_addr; flags dynamic,timeout; timeout {seconds}s;"
            yield f"add set ip {name} {set_name} {{ {options} }}\n"
    for chain in sorted(changed):
        yield from (f"add rule ip {name} {chain} {rule}\n" for rule in after.chains[chain])


def _names(rule: str, sets: set[str]) -> bool:
    return any(word.removeprefix("@") in sets for word in rule.split() if word.startswith("@"))


def _element_changes(name: str, set_name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    gone = sorted(key for key, value in before.items() if after.get(key) != value)
    new = sorted(key for key, value in after.items() if before.get(key) != value)
    if gone:
        yield f"delete element ip {name} {set_name} {{ {', '.join(gone)} }}\n"
    if new:
        pairs = (f"{key} : {after[key]}" if after[key] else key for key in new)
        yield f"add element ip {name} {set_name} {{ {', '.join(pairs)} }}\n"
