"""Seating: which of a node's devices each of several pods gets, all of them, or none of them any. Pure.

    seats = seated(wants, devices, ledger)

Claims choose first. What they leave must hold all parts, and as many whole cards as are counted or kept for others; if
it does not, they choose otherwise. So a pod is not left over because those before it took what only it could have used.

Limit: after 2,000 choices of devices, or of cards for parts, the search is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.devices.allocator import Ask, Given, allocate, suits
from scheduler.devices.inventory import Device, DeviceId, Inventory
from scheduler.devices.ledger import Ledger, pick

MOST_TOGETHER = 2000


class Want(NamedTuple):
    """What a pod asks for: claims that have nothing yet, so many bytes of one card, so many whole cards."""

    asks: tuple[Ask, ...] = ()
    part: int = 0
    cards: int = 0


class Seat(NamedTuple):
    """What a pod gets: the devices of its claims, the card it has a part of, its whole cards (none: unnamed ones)."""

    given: tuple[tuple[Ask, list[Given]], ...] = ()
    part: Device | None = None
    cards: tuple[Device, ...] = ()


def seated(wants: Sequence[Want], devices: Sequence[Device], ledger: Ledger, inventory: Inventory) -> list[Seat] | None:
    """The seats, in the order of the wants; None if they cannot all be met. Raises SelectorProblem."""
    asks = [ask for want in wants for ask in want.asks]
    free = [device for device in devices if ledger.is_free(device)]
    suiting = {ask.key: _suiting(ask, free) for ask in asks}
    if not _are_enough(asks, suiting):
        return None
    # Who has the least choice chooses first.
    asks.sort(key=lambda ask: len(suiting[ask.key]))
    rest = _Rest(wants, [device for device in devices if device.is_gpu and not device.taints], ledger)
    found = allocate(asks, devices, ledger.is_free, inventory, rest.holds, MOST_TOGETHER)
    return None if found is None else list(rest.seats(dict(zip((ask.key for ask in asks), found, strict=True))))


def _suiting(ask: Ask, devices: Sequence[Device]) -> frozenset[DeviceId]:
    """The devices of which it could have some."""
    ways = [way for some in ask.requests for way in some]
    return frozenset(device.id for device in devices if any(suits(device, way, ask.key) for way in ways))


def _are_enough(asks: Sequence[Ask], suiting: Mapping[str, frozenset[DeviceId]]) -> bool:
    """Whether those who can only choose among some devices want no more than these; to try it all would take long."""
    return all(
        sum(ask.least for ask in asks if suiting[ask.key] <= devices) <= len(devices)
        for devices in set(suiting.values())
    )


class _Rest:
    """What claims leave of the cards; the parts are laid out on it."""

    def __init__(self, wants: Sequence[Want], cards: Sequence[Device], ledger: Ledger) -> None:
        self._wants, self._cards, self._ledger = wants, cards, ledger
        self._free = {card.id for card in cards if ledger.is_free(card)}
        self._kept = sum(map(ledger.kept_on, {card.node for card in cards}))
        self._choices = 0
        self._whole: list[Device] = []
        self._parts: Mapping[int, Device] = {}

    def holds(self, taken: Collection[DeviceId]) -> bool:
        """Whether all parts and whole cards are to be had beside these."""
        parts, is_free = self._ledger.parts, self._ledger.is_free
        whole = [card for card in self._cards if is_free(card) and card.id not in taken]
        shared = {card: parts.left(card) for card in self._cards if card.uuid and parts.is_shared(card)}
        counted = sum(want.cards for want in self._wants)
        opens = len(whole) - counted - self._kept
        sizes = {number: want.part for number, want in enumerate(self._wants) if want.part}
        largest_first, closed = sorted(sizes.items(), key=lambda one: -one[1]), [each for each in whole if each.uuid]
        layout = _Layout(largest_first, shared, closed, choices=self._choices)
        is_short = counted > len(whole) or (opens < 0 and not self._free.isdisjoint(taken))
        does_fit = not is_short and layout.may_fit(max(opens, 0)) and layout.fits(0, max(opens, 0))
        self._choices = layout.choices
        if not does_fit:
            return False
        self._parts = layout.card_of
        opened = {card.id for card in self._parts.values()}
        self._whole = [card for card in whole if card.id not in opened]
        return True

    def seats(self, given: Mapping[str, list[Given]]) -> Iterator[Seat]:
        """What each gets, once it is known that the rest holds all."""
        for number, want in enumerate(self._wants):
            cards = tuple(pick(self._whole, want.cards) or ())
            self._whole = [card for card in self._whole if card not in cards]
            yield Seat(tuple((ask, given[ask.key]) for ask in want.asks), self._parts.get(number), cards)


@dataclass
class _Layout:
    """Lays parts, the largest first, onto cards in parts and onto whole ones that are opened for that."""

    sizes: Sequence[tuple[int, int]]
    left: dict[Device, int]
    whole: list[Device]
    card_of: dict[int, Device] = field(default_factory=dict)
    choices: int = 0

    def may_fit(self, opens: int) -> bool:
        """Whether there is as much left as all parts want, in pieces for each of them; to try it all takes long."""
        sizes = [size for _, size in self.sizes]
        largest = sorted((card.memory_bytes for card in self.whole), reverse=True)[:opens]
        left, least = [max(size, 0) for size in (*self.left.values(), *largest)], min(sizes, default=1)
        return sum(sizes) <= sum(left) and len(sizes) <= sum(size // least for size in left)

    def fits(self, index: int, opens: int) -> bool:
        """Whether all parts from this one on find a card, if so many more may be opened."""
        if index == len(self.sizes):
            return True
        number, size = self.sizes[index]
        for card in self._cards_for(size, opens):
            self.choices += 1
            if self.choices > MOST_TOGETHER:
                return False
            before = self.left.get(card)
            self.left[card] = (card.memory_bytes if before is None else before) - size
            self.card_of[number] = card
            if self.fits(index + 1, opens - (before is None)):
                return True
            del self.card_of[number]
            if before is None:
                del self.left[card]
            else:
                self.left[card] = before
        return False

    def _cards_for(self, size: int, opens: int) -> list[Device]:
        """The cards that could hold it, the fullest first; of those that have the same left one is enough."""
        shared = {left: card for card, left in self.left.items() if left >= size}
        closed = [card for card in self.whole if card not in self.left and card.memory_bytes >= size]
        opened = {card.memory_bytes: card for card in closed} if opens else {}
        return [some[left] for some in (shared, opened) for left in sorted(some)]
