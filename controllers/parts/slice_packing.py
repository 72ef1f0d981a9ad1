"""How endpoints are spread over slices: few slices, and as few of them as possible changed.

An endpoint stays in the slice that has it. New ones go first into slices that change anyway, then together into the
fullest slice with room for all of them, and only then into new slices.

Kubernetes: endpointslice reconcileByPortMapping. Differs: slices that became empty are deleted, not used again for
other ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from wherry.api.discovery.endpoint_slice import Endpoint, EndpointSlice

MOST_ENDPOINTS = 100
Endpoints = tuple[Endpoint, ...]


@dataclass
class Packed:
    """What the slices should hold: those kept with their content, and the contents of new ones."""

    kept: list[tuple[EndpointSlice, Endpoints]] = field(default_factory=list)
    new: list[Endpoints] = field(default_factory=list)


def identity(endpoint: Endpoint) -> tuple[str, ...]:
    """What makes it the same endpoint before and after."""
    return (endpoint.target_ref.uid if endpoint.target_ref else "", *endpoint.addresses)


def pack(wanted: Iterable[Endpoint], slices: Iterable[EndpointSlice], most: int = MOST_ENDPOINTS) -> Packed:
    """Spread the wanted endpoints over these slices, and new ones where they do not suffice."""
    missing = {identity(endpoint): endpoint for endpoint in wanted}
    contents: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for one in slices:
        stay = [missing.pop(identity(endpoint)) for endpoint in one.endpoints if identity(endpoint) in missing]
        contents.append((one, stay))
    rest = list(missing.values())

    changing = [stay for one, stay in contents if tuple(stay) != one.endpoints]
    for stay in changing:
        rest = _filled(stay, rest, most)
    if rest:
        roomy = [stay for _, stay in contents if len(stay) + len(rest) <= most]
        if roomy:
            rest = _filled(max(roomy, key=len), rest, most)
    new = [tuple(rest[start : start + most]) for start in range(0, len(rest), most)]
    return Packed([(one, tuple(stay)) for one, stay in contents], new)


def _filled(stay: list[Endpoint], rest: list[Endpoint], most: int) -> list[Endpoint]:
    """Move what fits; gives what is left. A slice that holds too much gives nothing back here."""
    room = max(0, most - len(stay))
    stay += rest[:room]
    return rest[room:]
