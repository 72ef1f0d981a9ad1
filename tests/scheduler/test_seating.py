"""How much is tried until it is known that the devices of a node are not enough for several pods together."""

import pytest
from test_devices import a_claim, a_class, a_request, an_inventory

from scheduler.devices import seating
from scheduler.devices.allocator import ask_of
from scheduler.devices.ledger import Ledger
from scheduler.devices.seating import MOST_TOGETHER, Want, seated
from wherry.api.resource.gpu import fake_gpus, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice


def eight_cards():
    inventory = an_inventory(ResourceSlice.read(slice_manifest("n", "n", fake_gpus("n", 8), 1)))
    return inventory, inventory.local("n")


@pytest.fixture
def tried(monkeypatch):
    """Each time that cards were sought for a part."""
    found, cards_for = [], seating._Layout._cards_for
    monkeypatch.setattr(seating._Layout, "_cards_for", lambda *args: found.append(args) or cards_for(*args))
    return found


def test_parts_that_do_not_fit_are_not_laid_out_anew_for_ever_whatever_claims_choose(tried):
    inventory, cards = eight_cards()
    claims = [Want((ask_of(a_claim(a_request(), name=name), {"gpu": a_class()}.get),)) for name in ("one", "two")]
    # Two of the large ones fill a card, and there is one too many for six cards.
    parts = [Want(part=cards[0].memory_bytes * size // 1000) for size in (10, *range(350, 363))]

    assert seated([*claims, *parts], cards, Ledger(), inventory) is None
    assert len(tried) <= 3 * MOST_TOGETHER
    assert seated([*claims, *parts[:-1]], cards, Ledger(), inventory)


def test_one_part_too_many_is_known_without_a_search(tried):
    inventory, cards = eight_cards()
    for thousandths, fitting in ((100, 80), (140, 56)):
        parts = [Want(part=cards[0].memory_bytes * thousandths // 1000)] * (fitting + 1)
        assert seated(parts, cards, Ledger(), inventory) is None
        assert not tried
        assert seated(parts[:-1], cards, Ledger(), inventory)
        tried.clear()
