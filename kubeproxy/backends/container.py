"""The network of this machine, changed by a container: for a proxy that is not root but may speak to Docker.

Whoever may speak to Docker may have it start a container in the machine's own network with CAP_NET_ADMIN. `wherry up`
does (wherry/cluster/machine/rules_container.py), and here commands run inside it and kernel parameters are written
there. What any user may do, such as reading routes or opening sockets, happens in this process.

Differs from root: without netlink there is no cheap question whether rules were changed, so they are listed each time;
old UDP flows are forgotten with `conntrack`, where that was on the machine when the container was made.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kubeproxy.backends.base import BackendError
from kubeproxy.backends.netlink import Flow
from kubeproxy.backends.network import COMMAND_SECONDS, Network
from kubeproxy.rules import Target

# Where the container sees /proc/sys/net/ipv4/conf.
_SYSCTLS, _SYSCTLS_INSIDE = "/proc/sys/net/ipv4/conf/", "/sysctl/"
_IS_NOT_RUNNING = 409
_ERRORS = 2
# How Docker reports that a command cannot be started.
_NO_PROGRAM = (126, 127)
# An exec's output may end a moment before its exit code is known.
_POLL_SECONDS = 0.01
_PAIR = re.compile(r"(src|dst|sport|dport)=(\S+)")


class Engine(NamedTuple):
    """A container, and the Docker Engine that runs it."""

    container: str
    url: str


class ContainerNetwork(Network):
    """See the module. `name` is only for a container whose network is not this process's."""

    def __init__(self, engine: Engine, name: str = "") -> None:
        super().__init__(name)
        self._container, self._url = engine
        self._client: Any = None
        self._has_conntrack = True

    async def _run(self, argv: tuple[str, ...], stdin: bytes) -> tuple[int, bytes, bytes]:
        return await asyncio.to_thread(self._execute, argv, stdin)

    def write(self, path: str, value: str) -> bool:
        """Only what is below net.ipv4.conf can be written."""
        if not path.startswith(_SYSCTLS):
            return False
        place = _SYSCTLS_INSIDE + path.removeprefix(_SYSCTLS)
        try:
            return self._execute(("tee", place), value.encode())[0] == 0
        except BackendError:
            return False

    def generation(self) -> int:
        return 0

    async def forget_flows(self, is_stale: Callable[[Flow], bool]) -> None:
        if not self._has_conntrack:
            return
        code, listing, errors = await self._run(("conntrack", "-L", "-f", "ipv4", "-p", "udp"), b"")
        self._has_conntrack = code not in _NO_PROGRAM
        if code != 0:
            raise BackendError(f"conntrack -L: {errors.decode(errors='replace').strip()}")
        commands = [flow.key.decode() for flow in flows_listed(listing.decode()) if is_stale(flow)]
        if commands:
            # One that ended meanwhile is no failure.
            await self.command("sh", stdin="\n".join(commands) + "\n", check=False)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _execute(self, argv: tuple[str, ...], stdin: bytes) -> tuple[int, bytes, bytes]:
        import docker  # type: ignore[import-untyped]
        import requests

        try:
            if self._client is None:
                self._client = docker.APIClient(self._url, version="auto", timeout=COMMAND_SECONDS)
            try:
                return self._exchange(argv, stdin)
            except docker.errors.APIError as error:
                if error.status_code != _IS_NOT_RUNNING:
                    raise
                # Somebody stopped it, or Docker is about to start it again.
                self._client.start(self._container)
                return self._exchange(argv, stdin)
        except TimeoutError as error:
            raise BackendError(f"{argv[0]}: no answer within {COMMAND_SECONDS} s") from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            said = getattr(error, "explanation", None) or error
            raise BackendError(f"{argv[0]} in container {self._container}: {said}") from error

    def _exchange(self, argv: tuple[str, ...], stdin: bytes) -> tuple[int, bytes, bytes]:
        """Run a command in the container: its whole input, then its whole output."""
        from docker.utils.socket import frames_iter  # type: ignore[import-untyped]

        id = self._client.exec_create(self._container, list(argv), stdin=True)["Id"]
        stream = self._client.exec_start(id, socket=True)
        outputs = {1: bytearray(), _ERRORS: bytearray()}
        wire = getattr(stream, "_sock", stream)
        try:
            wire.settimeout(COMMAND_SECONDS)
            wire.sendall(stdin)
            wire.shutdown(socket.SHUT_WR)
            for kind, piece in frames_iter(stream, tty=False):
                outputs[kind] += piece
        finally:
            stream.close()
            wire.close()
        # Docker itself complains on standard output of a program that is not there.
        code = self._exit_code(id)
        return code, bytes(outputs[1]), bytes(outputs[_ERRORS] or outputs[1])

    def _exit_code(self, id: str) -> int:
        gives_up_at = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < gives_up_at:
            found = self._client.exec_inspect(id)
            if not found["Running"] and found["ExitCode"] is not None:
                return int(found["ExitCode"])
            time.sleep(_POLL_SECONDS)
        raise TimeoutError


def flows_listed(listing: str) -> Iterator[Flow]:
    """The flows that `conntrack -L` printed; the key of each is the command that deletes it."""
    for line in listing.splitlines():
        pairs = _PAIR.findall(line)
        if [name for name, _ in pairs] != ["src", "dst", "sport", "dport"] * 2:
            continue
        source, address, source_port, port, answers, _, answering_port, _ = (value for _, value in pairs)
        delete = f"conntrack -D -p udp -s {source} --sport {source_port} -d {address} --dport {port}"
        yield Flow(Target(address, int(port)), Target(answers, int(answering_port)), delete.encode())
