"""The network a backend works in: this process's own, or one that `ip netns` made.

Everything that must happen inside (commands, sockets, files under /proc/sys) goes through here, so a backend does not
know whether its machine is the whole host or one namespace of it. The contract runs in namespaces and never touches the
host.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kubeproxy.backends.base import BackendError
from kubeproxy.backends.netlink import NETFILTER, Flow, forget_flows, generation

_CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 30

Result = TypeVar("Result")


class Network:
    """One network namespace; an empty `name` is the process's own."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    async def command(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        """What a command printed. Raises BackendError if it is missing, hangs or (with `check`) fails."""
        code, out, err = await self._run(argv, stdin.encode())
        if check and code != 0:
            raise BackendError(f"{' '.join(argv)}: {err.decode(errors='replace').strip()[:2000]}")
        return out.decode(errors="replace")

    async def _run(self, argv: tuple[str, ...], stdin: bytes) -> tuple[int, bytes, bytes]:
        """Exit code, output and errors of a command."""
        inside = ("ip", "netns", "exec", self.name, *argv) if self.name else argv
        try:
            process = await asyncio.create_subprocess_exec(
                *inside, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise BackendError(f"{argv[0]}: {error}") from error
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, err = await process.communicate(stdin)
        except TimeoutError as error:
            raise BackendError(f"{argv[0]}: no answer within {COMMAND_SECONDS} s") from error
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode or 0, out, err

    def socket(self, family: int, type: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in this network, whoever uses it later."""
        return self.call(lambda: socket.socket(family, type, protocol))

    def call(self, function: Callable[[], Result]) -> Result:
        """What `function` returns (or raises) when it runs inside. It must not block."""
        if not self.name:
            return function()
        outcome: list[Result] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                _enter(self.name)
                outcome.append(function())
            except BaseException as error:
                failure.append(error)

        # A namespace belongs to a thread; this one is thrown away, so no other work ever runs in the wrong one.
        thread = threading.Thread(target=inside, name=f"netns-{self.name}")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def read(self, path: str) -> str:
        """A file under /proc/sys or /proc/net, without surrounding space; empty if there is none."""
        try:
            return self.call(lambda: Path(path).read_text().strip())
        except OSError:
            return ""

    def write(self, path: str, value: str) -> bool:
        """Set a kernel parameter; says whether that was possible."""
        try:
            self.call(lambda: Path(path).write_text(value))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of what this process holds."""

    def generation(self) -> int:
        """A number that changes with every change of anybody's rules; 0 if it is not to be had."""
        try:
            with self.socket(*NETFILTER) as netlink:
                return generation(netlink)
        except OSError:
            return 0

    async def forget_flows(self, is_stale: Callable[[Flow], bool]) -> None:
        """Delete the UDP flows that are stale. Raises BackendError."""

        def forget() -> None:
            with self.socket(*NETFILTER) as netlink:
                forget_flows(netlink, is_stale)

        try:
            await asyncio.to_thread(forget)
        except OSError as error:
            raise BackendError(f"netlink: {error}") from error


def _enter(name: str) -> None:
    """Move the calling thread into a namespace. Python has `os.setns` only since 3.12."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter the network namespace {name}: {os.strerror(number)}")
    finally:
        os.close(descriptor)
