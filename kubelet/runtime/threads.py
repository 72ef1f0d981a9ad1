"""Threads for calls that may take minutes, which nobody waits for when the process ends.

The standard library's pools are waited for at exit: a kubelet told to end would go on until its last image was pulled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class UnawaitedThreads(Executor):
    """A thread per call; at most so many calls run at a time, the others wait for their turn."""

    def __init__(self, most: int, name: str) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._name = name
        self._is_shut = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As executors do."""
        future: Future[Any] = Future()

        def run() -> None:
            with self._room:
                if self._is_shut.is_set():
                    future.cancel()
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        threading.Thread(target=run, name=self._name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Calls that have not begun never will; those under way are left to themselves."""
        self._is_shut.set()
