"""The supervisor: one process per cluster that starts all others, restarts what dies and stops them in good order.

    python -m wherry.cluster.supervision.supervisor --name NAME --data-dir DIR

It begins with a line on standard input, which tells that the settings are written; until then it gets ready, and where
no line comes it ends. Processes start stage by stage, a stage when the one before is ready, and are stopped the other
way round. When the supervisor dies they are told to end; pods go on running, and the next `up` starts anew around them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from wherry.cluster.files import write_private
from wherry.cluster.layout import Layout
from wherry.cluster.probe import Probe
from wherry.cluster.settings import Settings, load_settings
from wherry.cluster.supervision.child import Child
from wherry.cluster.supervision.forking import Forkery
from wherry.cluster.supervision.logs import keep_small
from wherry.cluster.supervision.process_id import identify, rename
from wherry.cluster.supervision.processes import Process, processes_of

STOP_SECONDS = 8.0
_POLL_SECONDS = 0.02
_LOG_CHECK_SECONDS = 60.0


class Supervisor:
    """See the module."""

    def __init__(self, layout: Layout, settings: Settings, forkery: Forkery) -> None:
        self._layout = layout
        self._forkery = forkery
        self._children = [
            Child(process, layout.log(process.name), forkery, self._report)
            for process in processes_of(layout, settings)
        ]
        self._told_to_stop = asyncio.Event()

    def stop(self) -> None:
        """End `run`, in good order."""
        self._told_to_stop.set()

    async def run(self) -> None:
        """Keep the cluster running until told to stop."""
        keeping: dict[str, asyncio.Task[None]] = {}
        starting = asyncio.create_task(self._start(keeping))
        logs = asyncio.create_task(self._keep_logs_small())
        await self._told_to_stop.wait()
        _say("told to stop")
        for task in (starting, logs, *keeping.values()):
            task.cancel()
        await asyncio.gather(starting, logs, *keeping.values(), return_exceptions=True)
        for stage in sorted({child.process.stage for child in self._children}, reverse=True):
            await asyncio.gather(*(child.stop(STOP_SECONDS) for child in self._of(stage)))
        _say("every process has stopped")

    async def _start(self, keeping: dict[str, asyncio.Task[None]]) -> None:
        for stage in sorted({child.process.stage for child in self._children}):
            for child in self._of(stage):
                keeping[child.process.name] = asyncio.create_task(child.keep_running())
            await asyncio.gather(*(self._until_ready(child) for child in self._of(stage)))
        _say("every process is started, and those that are asked are ready")

    def _of(self, stage: int) -> list[Child]:
        return [child for child in self._children if child.process.stage == stage]

    async def _until_ready(self, child: Child) -> None:
        if child.process.ready_url:
            probe = _probe(self._layout, child.process)
            while not child.is_running or await asyncio.to_thread(probe.status, "") != 200:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
        child.mark_ready()

    async def _keep_logs_small(self) -> None:
        while True:
            await asyncio.to_thread(keep_small, self._layout.logs)
            await asyncio.sleep(_LOG_CHECK_SECONDS)

    def _report(self) -> None:
        write_private(self._layout.processes_file, msgspec.json.encode([child.report for child in self._children]))


def _probe(layout: Layout, process: Process) -> Probe:
    name, authority = ("etcd-client", "etcd-ca") if process.name == "etcd" else ("admin", "ca")
    files = layout.certificate(authority), layout.certificate(name), layout.key(name)
    return Probe(process.ready_url, *files)


@click.command()
@click.option("--name", required=True)
@click.option("--data-dir", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(name: str, data_dir: Path) -> None:
    """Run the processes of a cluster that `wherry up` prepares."""
    rename("supervisor")
    asyncio.run(_supervise(Layout(name, data_dir)))


async def _supervise(layout: Layout) -> None:
    forkery = Forkery(layout.log("supervisor"), layout.title)
    await forkery.prepare()  # it imports while `up` still decides
    try:
        if await asyncio.to_thread(sys.stdin.readline):
            await _run(layout, forkery)
    finally:
        await forkery.close()


async def _run(layout: Layout, forkery: Forkery) -> None:
    settings = load_settings(layout)
    if settings is None:
        raise click.ClickException(f"{layout.settings_file}: there is no such cluster; `wherry up` makes it")
    supervisor = Supervisor(layout, settings, forkery)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
    _say(f"cluster {layout.name} starts, pid {os.getpid()}")
    write_private(layout.supervisor_file, msgspec.json.encode(identify(os.getpid())))
    await supervisor.run()


def _say(what: str) -> None:
    """Into its own log; what happens to a process is in that process's."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {what}", flush=True)


if __name__ == "__main__":
    main()
