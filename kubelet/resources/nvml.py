"""NVML: the NVIDIA cards of this machine, as their driver tells of them.

Each question is asked for itself: a card that cannot answer one has less to tell, and one that does not answer at all
is in trouble, and so out until it answers again. Without a driver, or without the `gpu` extra, there are no cards.

Kubernetes: NVIDIA's device plugin and DRA driver. Differs: health is asked for every few seconds, so that a card comes
back by itself; XID events are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wherry.api.resource.gpu import Gpu

T = TypeVar("T")

_ARCHITECTURES = {2: "Kepler", 3: "Maxwell", 4: "Pascal", 5: "Volta", 6: "Turing", 7: "Ampere", 8: "Ada Lovelace"}
_ARCHITECTURES |= {9: "Hopper", 10: "Blackwell"}
_NVLINKS = 18
_DEVICES = Path("/sys/bus/pci/devices")


def find_gpus() -> tuple[Gpu, ...]:
    """This machine's cards."""
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(read_gpus(pynvml))
    finally:
        pynvml.nvmlShutdown()


class _Card(NamedTuple):
    number: int
    uuid: str
    handle: Any
    bus: str
    peers: frozenset[str]


def read_gpus(nvml: Any) -> Iterator[Gpu]:
    """The cards behind a started NVML, and the slices of those that are divided."""
    ask = partial(_ask, nvml)
    driver = _text(ask("", nvml.nvmlSystemGetDriverVersion))
    cards = [card for index in range(nvml.nvmlDeviceGetCount()) if (card := _card(nvml, index)) is not None]
    groups = _linked(cards)
    for card in cards:
        whole = _whole(nvml, card, driver, groups[card.bus])
        slices = list(_slices(nvml, card, whole))
        # A divided card has nothing to give but its slices.
        yield from slices or (whole,)


def _card(nvml: Any, index: int) -> _Card | None:
    handle = _ask(nvml, None, nvml.nvmlDeviceGetHandleByIndex, index)
    uuid = _text(_ask(nvml, "", nvml.nvmlDeviceGetUUID, handle)) if handle is not None else ""
    if not uuid:
        return None  # it has fallen off the bus
    pci = _ask(nvml, None, nvml.nvmlDeviceGetPciInfo, handle)
    peers = (_peer(nvml, handle, link) for link in range(_NVLINKS))
    return _Card(index, uuid, handle, _bus(pci) if pci else str(index), frozenset(filter(None, peers)))


def _peer(nvml: Any, handle: Any, link: int) -> str:
    if not _ask(nvml, 0, nvml.nvmlDeviceGetNvLinkState, handle, link):
        return ""
    pci = _ask(nvml, None, nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link)
    return _bus(pci) if pci else ""


def _linked(cards: list[_Card]) -> dict[str, str]:
    """For each card, what names the group of cards that are linked with it; through a switch all are."""
    groups = {card.bus: {card.bus} for card in cards}
    by_peer: dict[str, str] = {card.bus: card.bus for card in cards}
    for card in cards:
        for peer in card.peers:
            joined = groups[card.bus] | groups[by_peer.setdefault(peer, card.bus)]
            groups |= dict.fromkeys(joined, joined)
    return {bus: (min(group) if len(group) > 1 else "") for bus, group in groups.items()}


def _whole(nvml: Any, card: _Card, driver: str, group: str) -> Gpu:
    ask, handle = partial(_ask, nvml), card.handle
    major, minor = ask((0, 0), nvml.nvmlDeviceGetCudaComputeCapability, handle)
    memory = ask(None, nvml.nvmlDeviceGetMemoryInfo, handle)
    folder = _DEVICES / card.bus
    return Gpu(
        uuid=card.uuid,
        name=f"gpu-{ask(card.number, nvml.nvmlDeviceGetMinorNumber, handle)}",
        product=_text(ask("", nvml.nvmlDeviceGetName, handle)),
        architecture=_ARCHITECTURES.get(ask(0, nvml.nvmlDeviceGetArchitecture, handle), ""),
        brand="Nvidia",
        compute_capability=f"{major}.{minor}.0" if major else "",
        driver_version=driver,
        memory_bytes=int(memory.total) if memory else 0,
        pci_bus=card.bus,
        pcie_root=_root(folder),
        numa_node=_numa(folder),
        nvlink_group=group,
        trouble=_trouble(nvml, handle, is_silent=memory is None),
    )


def _trouble(nvml: Any, handle: Any, *, is_silent: bool) -> str:
    if is_silent:
        return "the driver does not reach it"
    rows = _ask(nvml, (0, 0, 0, 0), nvml.nvmlDeviceGetRemappedRows, handle)
    return "its memory is broken beyond repair" if rows[3] else ""


def _slices(nvml: Any, card: _Card, whole: Gpu) -> Iterator[Gpu]:
    current, _ = _ask(nvml, (0, 0), nvml.nvmlDeviceGetMigMode, card.handle)
    if not current:
        return
    for index in range(_ask(nvml, 0, nvml.nvmlDeviceGetMaxMigDeviceCount, card.handle)):
        handle = _ask(nvml, None, nvml.nvmlDeviceGetMigDeviceHandleByIndex, card.handle, index)
        if handle is None:
            continue
        memory = _ask(nvml, None, nvml.nvmlDeviceGetMemoryInfo, handle)
        product = _text(_ask(nvml, "", nvml.nvmlDeviceGetName, handle))
        yield Gpu(
            uuid=_text(_ask(nvml, f"{whole.uuid}-{index}", nvml.nvmlDeviceGetUUID, handle)),
            name=f"{whole.name}-mig-{index}",
            product=whole.product,
            architecture=whole.architecture,
            brand=whole.brand,
            compute_capability=whole.compute_capability,
            driver_version=whole.driver_version,
            memory_bytes=int(memory.total) if memory else 0,
            pci_bus=whole.pci_bus,
            pcie_root=whole.pcie_root,
            numa_node=whole.numa_node,
            profile=product.rpartition(" MIG ")[2] or "mig",
            parent=whole.uuid,
            trouble=whole.trouble,
        )


def _ask(nvml: Any, otherwise: T, question: Callable[..., Any], *arguments: Any) -> Any | T:
    """The answer, or what counts if the driver has none."""
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return otherwise


def _bus(pci: Any) -> str:
    """As the kernel writes it: four digits of the domain, where NVML writes eight."""
    domain, _, rest = _text(pci.busId).lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def _root(folder: Path) -> str:
    parts = (part for part in folder.resolve().parts if part.startswith("pci0"))
    return next(parts, "")


def _numa(folder: Path) -> int | None:
    try:
        node = int((folder / "numa_node").read_text())
    except (OSError, ValueError):
        return None
    return node if node >= 0 else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
