"""Calls that take minutes do not keep a process from ending."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from kubelet.runtime.threads import UnawaitedThreads

HANGS = """
import threading
from kubelet.runtime.threads import UnawaitedThreads
UnawaitedThreads(1, "pull").submit(threading.Event().wait)
"""


def test_a_process_ends_though_a_call_still_hangs():
    assert subprocess.run((sys.executable, "-c", HANGS), timeout=20, check=False).returncode == 0


async def test_results_and_failures_come_back():
    threads, loop = UnawaitedThreads(2, "call"), asyncio.get_running_loop()

    assert await loop.run_in_executor(threads, int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await loop.run_in_executor(threads, int, "seven")


def test_as_many_run_at_a_time_as_allowed_and_none_begins_after_the_end():
    threads, gate, begun = UnawaitedThreads(1, "call"), threading.Event(), threading.Event()

    first = threads.submit(lambda: (begun.set(), gate.wait()))
    assert begun.wait(10)
    second = threads.submit(int)
    threads.shutdown()
    gate.set()

    assert first.result(10)
    with pytest.raises(CancelledError):
        second.result(10)
