"""How much is tried until it is known that the devices of a node are not enough for several pods together."""

from test_devices import a_claim, a_class, a_request, an_inventory

from scheduler.devices import seating
from scheduler.devices.allocator import ask_of
from scheduler.devices.ledger import Ledger
from scheduler.devices.seating import MOST_TOGETHER, Want, seated
from wherry.api.resource.gpu import fake_gpus, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice


def test_parts_that_do_not_fit_are_not_laid_out_anew_for_ever_whatever_claims_choose(monkeypatch):
    tried, cards_for = [], seating._Layout._cards_for
    monkeypatch.setattr(seating._Layout, "_cards_for", lambda *args: tried.append(args) or cards_for(*args))
    inventory = an_inventory(ResourceSlice.read(slice_manifest("n", "n", fake_gpus("n", 8), 1)))
    cards = inventory.local("n")
    claims = [Want((ask_of(a_claim(a_request(), name=name), {"gpu": a_class()}.get),)) for name in ("one", "two")]
    # Two of them fill a card, and there is one too many for six cards.
    parts = [Want(part=cards[0].memory_bytes * (350 + number) // 1000) for number in range(13)]

    assert seated([*claims, *parts], cards, Ledger(), inventory) is None
    assert len(tried) <= 3 * MOST_TOGETHER
    assert seated([*claims, *parts[:-1]], cards, Ledger(), inventory)
