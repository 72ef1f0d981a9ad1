"""The fork server: imports once what all components need, and becomes each of them by forking.

    python -m wherry.cluster.supervision.fork_server     with a socket to the supervisor as standard input

It reads one request a line, `{"module", "options", "log", "name", "title"}`, answers `{"name", "started": pid}` or
`{"name", "failed": errno}`, and when a process has ended `{"ended": pid, "exit_code": n}` (negative: the signal that
ended it). It ends with the socket, and so does what it started. No component waits for what only later ones import.

What is started again after the code on disk has changed gets an interpreter of its own, which loads all of it anew.
"""

from __future__ import annotations

import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from wherry.cluster.supervision.loaded_code import has_changed_since
from wherry.cluster.supervision.process_id import end_with_parent, entitle, rename

# What each component imports, in the order in which they start; `module:function` is called, to import what it finds. A
# module that is missing here costs its component the time to import it, and nothing else. None of them may start a
# thread or ask for an event loop when it is imported: only one thread survives a fork.
_PRELOADED = {
    "apiserver": (
        *("wherry.api.kinds:prepare", "apiserver.app", "apiserver.server", "apiserver.bootstrap", "uvloop"),
        *("apiserver.admission.base:load", "apiserver.subresources.base:load"),
        *("apiserver.protocols.http", "apiserver.storage.sqlite", "apiserver.own_service"),
    ),
    "kubelet": ("wherry.client.runner", "kubelet.runner", "kubelet.runtime.docker", "kubelet.server"),
    "controllers": ("wherry.client.leader", "controllers.assembly", "controllers.catalogue:load"),
    "scheduler": ("scheduler.runner", "scheduler.config", "scheduler.framework:load_plugins"),
    "kubeproxy": ("kubeproxy.command",),
}


def main() -> None:
    """Serve until the supervisor is gone."""
    rename("fork-server")
    # numpy would start a thread per core, which no component has any use for.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # What was imported stays: a collection that looked at it, here or in a child, would copy every page.
    gc.disable()
    server = ForkServer(socket.socket(fileno=os.dup(0)), _PRELOADED)
    server.heed_signals()
    server.serve()


class ForkServer:
    """See the module."""

    def __init__(self, supervisor: socket.socket, preloaded: Mapping[str, tuple[str, ...]]) -> None:
        self._supervisor = supervisor
        self._preloaded = preloaded
        self._pid = os.getpid()
        self._began = time.time()
        self._known: set[str] = set()  # what was started once, when the imports were new
        self._running: set[int] = set()
        self._woken, self._wake = os.pipe()

    def heed_signals(self) -> None:
        """Be woken when a process ends; Ctrl-C is for others."""
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Fork on request, until the socket ends; import meanwhile what is not there yet."""
        missing = [(component, name) for component, names in self._preloaded.items() for name in names]
        waiting: list[dict[str, Any]] = []
        for requests in self._requests(is_busy=lambda: bool(missing or waiting)):
            waiting.extend(requests)
            unready = {component for component, _ in missing}
            for request in tuple(waiting):
                if not missing or request["module"] in self._preloaded.keys() - unready:
                    waiting.remove(request)
                    self._fork(request)
            if missing:
                _load(missing.pop(0)[1])
                gc.freeze()
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)

    def _requests(self, is_busy: Callable[[], bool]) -> Iterator[list[dict[str, Any]]]:
        """Requests as they come, none where the server is busy; what ended meanwhile is told."""
        unread = b""
        while True:
            readable, _, _ = select.select((self._supervisor.fileno(), self._woken), (), (), 0 if is_busy() else None)
            if self._woken in readable:
                os.read(self._woken, 512)
                self._tell_ends()
            lines: list[bytes] = []
            if self._supervisor.fileno() in readable:
                received = self._supervisor.recv(65536)
                if not received:
                    return
                *lines, unread = (unread + received).split(b"\n")
            yield [msgspec.json.decode(line) for line in lines]

    def _fork(self, request: dict[str, Any]) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or too little memory: only this one suffers
            self._say({"name": request["name"], "failed": error.errno or 0})
            return
        if not pid:
            self._become(request)
        self._known.add(request["name"])
        self._running.add(pid)
        self._say({"name": request["name"], "started": pid})

    def _tell_ends(self) -> None:
        for pid in tuple(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._running.discard(pid)
                self._say({"ended": pid, "exit_code": os.waitstatus_to_exitcode(status)})

    def _say(self, message: dict[str, int | str]) -> None:
        self._supervisor.sendall(msgspec.json.encode(message) + b"\n")

    def _become(self, request: dict[str, Any]) -> NoReturn:
        """In the new process: be the component, and never return."""
        code = 1
        try:
            self._let_go(Path(request["log"]))
            if request["name"] in self._known and has_changed_since(self._began):
                _execute(request)
            rename(request["name"])
            entitle(request["title"])
            gc.enable()
            sys.argv = [request["module"], *request["options"]]
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                sys.stderr.write(f"{end.code}\n")
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _let_go(self, log: Path) -> None:
        """Keep nothing of the fork server's own: its socket, its pipe, its signals, its standard files."""
        end_with_parent(self._pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._supervisor.close()
        os.close(self._woken)
        os.close(self._wake)
        output, nothing = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), os.open(os.devnull, os.O_RDONLY)
        for place, file in ((0, nothing), (1, output), (2, output)):
            os.dup2(file, place)
        os.close(output)
        os.close(nothing)


def _execute(request: dict[str, Any]) -> NoReturn:
    """Run the module as it is now. What the supervisor was started with stays, the options for the module included."""
    sys.stderr.write(f"{request['title']}: Wherry's code has changed, `wherry down` and `up` run all of it anew\n")
    sys.stderr.flush()
    os.execv(sys.executable, (sys.executable, "-P", "-m", request["module"], *request["options"]))


def _load(name: str) -> None:
    """A module, or with `module:function` whatever the function imports."""
    module, _, function = name.partition(":")
    loaded = importlib.import_module(module)
    if function:
        getattr(loaded, function)()


if __name__ == "__main__":
    main()
