"""Objects are linearisable: whatever many clients do at once, they see one copy, changed one operation at a time.

WHERRY_OPERATIONS=100000 makes the histories as long as one likes (`make soak`); `-rP` shows what was in them.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.api_process import ApiProcess, serving, serving_on
from tests.faults.historians import Door, Historians
from tests.faults.linearisability import first_impossible
from tests.storage.etcd_server import start_etcd

OPERATIONS = int(os.environ.get("WHERRY_OPERATIONS", "1500"))
CLIENTS, OBJECTS = 12, 12
SECONDS = 60 + OPERATIONS / 50


def check(historians: Historians) -> None:
    """No answer is impossible, and much has happened."""
    impossible = {name: first_impossible(history) for name, history in historians.histories.items()}
    assert {name: found for name, found in impossible.items() if found is not None} == {}
    operations = [each for history in historians.histories.values() for each in history]
    print(f"{len(operations)} operations: {sorted(Counter(each[2:4] for each in operations).items())}")
    outcomes = Counter(each.outcome for each in operations if each.verb in ("create", "update", "delete"))
    assert min(outcomes[outcome] for outcome in ("done", "exists", "conflict", "absent")) > OPERATIONS / 100


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("store", ["sqlite", "etcd"])
async def test_histories_of_one_server_are_linearisable_though_it_is_killed(tmp_path: Path, store: str):
    async with serving_on(store, tmp_path) as (server, session):
        historians = Historians([Door.to(server, session)], OBJECTS, seed=7)
        working = asyncio.ensure_future(historians.work(CLIENTS, OPERATIONS))
        for part in (1, 2):
            await _until_done(historians, working, part * OPERATIONS // 3)
            await asyncio.to_thread(server.restart)
            await server.ready(session)
        await working

        check(historians)


@pytest.mark.timeout(SECONDS)
async def test_two_servers_on_one_etcd_show_the_same_copy(tmp_path: Path):
    with start_etcd(tmp_path) as etcd:
        async with serving(tmp_path, f"etcd:{etcd.url}") as (server, session):
            second = ApiProcess(server.keys, f"etcd:{etcd.url}")
            second.start()
            try:
                await second.ready(session)
                doors = [Door.to(each, session) for each in (server, second)]
                historians = Historians(doors, OBJECTS, seed=7)
                await historians.work(CLIENTS, OPERATIONS)
            finally:
                second.kill()

            check(historians)


async def _until_done(historians: Historians, working: asyncio.Future[None], operations: int) -> None:
    while historians.operations < operations and not working.done():  # noqa: ASYNC110  # the servers set the pace
        await asyncio.sleep(0.02)
