"""Allocator: which of the devices a node reaches go to which request, if there are enough.

All claims of a pod are looked at together: a device that one takes is lost for the others. Requests are met in their
order, alternatives in theirs, and a choice that leads nowhere is taken back. Kubernetes: the structured allocator.

Limit: after 20,000 choices the search is given up, and the claims count as not to be met there. A device has one claim
at a time, also where it would allow several: a capacity that is asked for is one that it must have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.devices.counters import Counters
from scheduler.devices.inventory import Device, DeviceId, Inventory
from scheduler.devices.selectors import SelectorProblem, fits, tolerates
from wherry.api.resource.device_claim import DeviceConstraint, ExactDeviceRequest
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.resource_claim import ResourceClaim

MOST_CHOICES = 20_000

Classes = Callable[[str], DeviceClass | None]


class Wanted(NamedTuple):
    """One way to meet a request; its name is `request`, or `request/alternative`."""

    name: str
    exact: ExactDeviceRequest
    of_class: DeviceClass


@dataclass(frozen=True)
class Ask:
    """What one claim wants: for each request the ways to meet it, in the order of preference."""

    claim: ResourceClaim
    requests: tuple[tuple[Wanted, ...], ...]

    @property
    def key(self) -> str:
        """The claim, as messages name it."""
        return self.claim.metadata.key

    @property
    def least(self) -> int:
        """How many devices it takes at least."""
        return sum(min((_least(way.exact) for way in ways), default=0) for ways in self.requests)

    @property
    def constraints(self) -> tuple[DeviceConstraint, ...]:
        """What the devices have in common, or differ in."""
        return self.claim.spec.devices.constraints


class Given(NamedTuple):
    """A device for a request."""

    request: str
    device: Device
    exact: ExactDeviceRequest

    @property
    def is_admin(self) -> bool:
        """Whether it is only looked at, whoever has it."""
        return self.exact.admin_access

    @property
    def is_card(self) -> bool:
        """Whether there is one card less for others."""
        return self.device.is_gpu and not self.is_admin


def ask_of(claim: ResourceClaim, classes: Classes) -> Ask:
    """What a claim wants; raises SelectorProblem if it cannot be understood."""
    requests = []
    for request in claim.spec.devices.requests:
        ways = (
            [(request.name, request.exactly)]
            if request.exactly is not None
            else [(f"{request.name}/{sub.name}", sub) for sub in request.first_available]
        )
        requests.append(tuple(_wanted(name, exact, classes) for name, exact in ways))
    return Ask(claim, tuple(requests))


def suits(device: Device, wanted: Wanted, claim: str) -> bool:
    """Whether a device is what this way of meeting a request asks for; raises SelectorProblem."""
    return (
        fits(device, wanted.of_class.spec.selectors, f"class {wanted.of_class.metadata.name}")
        and fits(device, wanted.exact.selectors, f"claim {claim}, request {wanted.name}")
        and tolerates(wanted.exact.tolerations, device.taints)
        and all(device.amount(name) >= least for name, least in wanted.exact.capacity.requests.items())
    )


def _least(exact: ExactDeviceRequest) -> int:
    if exact.admin_access:
        return 0
    return 1 if exact.allocation_mode == "All" else exact.count


def _wanted(name: str, exact: ExactDeviceRequest, classes: Classes) -> Wanted:
    found = classes(exact.device_class_name)
    if found is None:
        raise SelectorProblem(f"request {name}: device class {exact.device_class_name} does not exist")
    return Wanted(name, exact, found)


def anything(_: Collection[DeviceId]) -> bool:
    """Whatever is taken will do."""
    return True


def allocate(
    asks: Sequence[Ask],
    devices: Sequence[Device],
    is_free: Callable[[Device], bool],
    inventory: Inventory,
    will_do: Callable[[Collection[DeviceId]], bool] = anything,
    most_choices: int = MOST_CHOICES,
) -> list[list[Given]] | None:
    """The devices for each claim, in the claims' order; None if they cannot all be met. Raises SelectorProblem.

    `will_do` says whether these devices may be taken all together.
    """
    search = _Search(asks, devices, is_free, Counters(inventory, is_free), will_do, most_choices)
    return search.given if search.meets(0, 0) else None


@dataclass
class _Search:
    asks: Sequence[Ask]
    devices: Sequence[Device]
    is_free: Callable[[Device], bool]
    counters: Counters
    will_do: Callable[[Collection[DeviceId]], bool]
    most_choices: int
    given: list[list[Given]] = field(default_factory=list)
    taken: set[DeviceId] = field(default_factory=set)
    choices: int = 0

    def __post_init__(self) -> None:
        self.given = [[] for _ in self.asks]
        sizes: dict[str, int] = {}
        for device in self.devices:
            sizes[device.link_group] = sizes.get(device.link_group, 0) + self.is_free(device)
        # The rest of a group that is broken already comes first, so that linked cards stay together for others.
        self.devices = sorted(self.devices, key=lambda device: (sizes[device.link_group], device.id))

    def meets(self, claim: int, request: int) -> bool:
        """Whether everything from this request on can be met, given what was chosen so far."""
        if claim == len(self.asks):
            return self.will_do(self.taken)
        ask = self.asks[claim]
        if request == len(ask.requests):
            return self.meets(claim + 1, 0)
        return any(self._meets_by(claim, request, wanted) for wanted in ask.requests[request])

    def _meets_by(self, claim: int, request: int, wanted: Wanted) -> bool:
        fitting = [device for device in self.devices if suits(device, wanted, self.asks[claim].key)]
        if wanted.exact.allocation_mode != "All":
            return self._takes(
                claim, request, wanted, [each for each in fitting if self._is_to_be_had(each, wanted)], 0
            )
        if not fitting:
            return False
        before = len(self.given[claim])
        for device in fitting:
            if not self._is_to_be_had(device, wanted) or not self._take(claim, wanted, device):
                self._give_back(claim, before)
                return False
        if self.meets(claim, request + 1):
            return True
        self._give_back(claim, before)
        return False

    def _takes(self, claim: int, request: int, wanted: Wanted, free: Sequence[Device], had: int) -> bool:
        """Choose the devices that are missing, each after the last one: no set is tried twice."""
        if had == wanted.exact.count:
            return self.meets(claim, request + 1)
        before = len(self.given[claim])
        for index, device in enumerate(free):
            if len(free) - index < wanted.exact.count - had or self.choices > self.most_choices:
                return False
            if not self._take(claim, wanted, device):
                continue
            if self._takes(claim, request, wanted, free[index + 1 :], had + 1):
                return True
            self._give_back(claim, before)
        return False

    def _is_to_be_had(self, device: Device, wanted: Wanted) -> bool:
        return wanted.exact.admin_access or self.is_free(device)

    def _take(self, claim: int, wanted: Wanted, device: Device) -> bool:
        self.choices += 1
        given, own = Given(wanted.name, device, wanted.exact), self.given[claim]
        if (device.id in self.taken and not given.is_admin) or any(each.device is device for each in own):
            return False
        if not all(_holds(constraint, [*own, given]) for constraint in self.asks[claim].constraints):
            return False
        if not given.is_admin:
            if not self.counters.take(device):
                return False
            self.taken.add(device.id)
        own.append(given)
        return True

    def _give_back(self, claim: int, until: int) -> None:
        for given in self.given[claim][until:]:
            if not given.is_admin:
                self.taken.discard(given.device.id)
                self.counters.give_back(given.device)
        del self.given[claim][until:]


def _holds(constraint: DeviceConstraint, given: Sequence[Given]) -> bool:
    attribute = constraint.match_attribute or constraint.distinct_attribute or ""
    values = [each.device.attribute(attribute) for each in given if _is_about(constraint, each.request)]
    if None in values:
        return False
    return len(set(values)) <= 1 if constraint.match_attribute else len(set(values)) == len(values)


def _is_about(constraint: DeviceConstraint, request: str) -> bool:
    names = constraint.requests
    return not names or request in names or request.partition("/")[0] in names


def configurations(ask: Ask, given: Sequence[Given]) -> Iterator[Mapping[str, object]]:
    """The settings that go with these devices: first the classes', then the claim's."""
    used = {each.request for each in given}
    for wanted in (way for ways in ask.requests for way in ways if way.name in used):
        for config in wanted.of_class.spec.config:
            yield {"source": "FromClass", "requests": [wanted.name], **config.to_wire()}
    for own in ask.claim.spec.devices.config:
        yield {"source": "FromClaim", **own.to_wire()}
