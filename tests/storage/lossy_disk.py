"""A disk that may forget whatever was not synced, and the recording of a real program's calls that is played to it.

What POSIX promises and no more: a file's bytes and length are safe once the file is synced, its name once the folder
is. Until then every sector of every write, every truncation and every name may or may not have reached the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

SECTOR_BYTES = 512
# The files whose loss counts. SQLite rebuilds the shared-memory index, and a lock is held by a process.
VOLATILE = ("-shm", ".lock")

STRACE = ["-f", "-qq", "-xx", "-y", "-s", "1000000", "-e", "signal=none"]
STRACE += ["-e", "trace=pwrite64,write,fdatasync,fsync,ftruncate,unlink,openat"]

_PATH = r"<([^>]*)>"
_CALLS = {
    "write": re.compile(rf'pwrite64\(\d+{_PATH}, "([^"]*)", \d+, (\d+)\) += \d+'),
    "said": re.compile(r'write\(1<[^>]*>, "([^"]*)", \d+\) += \d+'),
    "sync": re.compile(rf"(?:fsync|fdatasync)\(\d+{_PATH}\) += 0"),
    "truncate": re.compile(rf"ftruncate\(\d+{_PATH}, (\d+)\) += 0"),
    "unlink": re.compile(r'unlink\("([^"]*)"\) += 0'),
    "create": re.compile(r'openat\([^,]*, "([^"]*)", \S*O_CREAT\S*, \d+\) += \d+'),
}


class Call(NamedTuple):
    """One thing a program did to a file, or (`said`) told the world on its standard output."""

    verb: str
    path: str = ""
    data: bytes = b""
    offset: int = 0


def calls_of(trace: Path) -> Iterator[Call]:
    """What `strace` with the options above wrote down, in the order in which the calls ended."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        process, _, text = line.partition(" ")
        text = text.lstrip()
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if text.startswith("<... "):
            text = begun.pop(process) + text.partition(" resumed>")[2]
        for verb, pattern in _CALLS.items():
            if found := pattern.match(text):
                yield _call(verb, found.groups())


def _call(verb: str, groups: tuple[str, ...]) -> Call:
    if verb == "said":
        return Call(verb, data=_bytes(groups[0]))
    path = _bytes(groups[0]).decode()
    if verb == "write":
        return Call(verb, path, _bytes(groups[1]), int(groups[2]))
    return Call(verb, path, offset=int(groups[1]) if verb == "truncate" else 0)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


class File:
    """Bytes on the disk, and the calls since the last sync."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.pending: list[Call] = []

    def sync(self) -> None:
        for call in self.pending:
            _apply(self.safe, call)
        self.pending.clear()

    def after_power_loss(self, chance: Random) -> bytes:
        """What is found when the power is back."""
        content = bytearray(self.safe)
        # All, none or some is left of what was not synced, in any order: disks have caches and queues.
        rate = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for call in self.pending:
            if call.verb == "truncate":
                if chance.random() < rate:
                    _apply(content, call)
                continue
            for start in range(0, len(call.data), SECTOR_BYTES):
                if chance.random() < rate:
                    piece = call.data[start : start + SECTOR_BYTES]
                    _apply(content, Call("write", data=piece, offset=call.offset + start))
        return bytes(content)


class LossyDisk:
    """One folder. Play calls to it, then take the power away."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[str, File] = {}  # as running programs see them
        self._names: dict[str, list[File | None]] = {}  # what a name may stand for after a loss: the first is safe

    def play(self, call: Call) -> None:
        if call.path == self._folder and call.verb == "sync":
            self._names = {name: [files[-1]] for name, files in self._names.items()}
        parent, _, name = call.path.rpartition("/")
        if parent != self._folder or name.endswith(VOLATILE):
            return
        if call.verb == "create" and name not in self._files:
            self._files[name] = File()
            self._names.setdefault(name, [None]).append(self._files[name])
        elif call.verb == "unlink":
            del self._files[name]
            self._names[name].append(None)
        elif call.verb == "sync":
            self._files[name].sync()
        elif call.verb in ("write", "truncate"):
            self._files[name].pending.append(call)

    def after_power_loss(self, chance: Random) -> dict[str, bytes]:
        """The files that are found when the power is back."""
        found = {name: chance.choice(files) for name, files in self._names.items()}
        return {name: file.after_power_loss(chance) for name, file in found.items() if file is not None}

    def intact(self) -> dict[str, bytes]:
        """The files as running programs see them."""
        for file in self._files.values():
            file.sync()
        return {name: bytes(file.safe) for name, file in self._files.items()}


def _apply(content: bytearray, call: Call) -> None:
    if call.verb == "truncate":
        del content[call.offset :]
    content.extend(bytes(max(call.offset + len(call.data) - len(content), 0)))
    content[call.offset : call.offset + len(call.data)] = call.data
