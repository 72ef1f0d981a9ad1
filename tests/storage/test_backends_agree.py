"""Whatever is done to them, in whatever order, the memory and the SQLite store give the same answers."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.storage import Store, StoreError, open_store
from tests.storage.store_client import take

KEYS = st.sampled_from(["/a", "/a/x", "/a/y", "/a0", "/b/x"])
PREFIXES = st.sampled_from(["", "/a", "/a/", "/c"])
# Relative to the newest revision, so that most hit something: -3 … +1.
REVISIONS = st.integers(-3, 1)
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=3), st.booleans()),
    st.tuples(st.just("delete"), KEYS, st.booleans()),
    st.tuples(st.just("compact"), REVISIONS),
    st.tuples(
        st.just("list"), st.sampled_from(["", "/a", "/a/", "/c"]), KEYS | st.just(""), st.integers(0, 3), REVISIONS
    ),
    st.tuples(st.just("history"), REVISIONS),
)


async def answer(store: Store, step: tuple[object, ...]) -> object:
    """What the store says to one step; errors are answers too."""
    newest = await store.revision()
    try:
        match step:
            case ("put", str(key), bytes(value), bool(is_stale)):
                found = await store.get(key)
                return await store.put(key, value, expected=(found.revision if found else 0) + is_stale)
            case ("delete", str(key), bool(is_stale)):
                found = await store.get(key)
                return await store.delete(key, expected=(found.revision if found else 0) + is_stale)
            case ("compact", int(back)):
                return await store.compact(max(newest + back, 0))
            case ("list", str(prefix), str(after), int(limit), int(back)):
                return await store.list(prefix, after=after, limit=limit, at=max(newest + back, 0))
            case ("history", int(back)):
                since = min(max(newest + back, 0), newest)
                return await take(newest - since, store.watch("", since=since))
    except StoreError as error:
        return type(error), str(error)
    raise ValueError(f"unknown step {step}")


async def answers(where: str, steps: list[tuple[object, ...]], reopen_every: int) -> list[object]:
    store = await open_store(where)
    given_answers = []
    for number, step in enumerate(steps):
        given_answers.append(await answer(store, step))
        if where != "memory" and number % reopen_every == reopen_every - 1:
            await store.close()
            store = await open_store(where)
    await store.close()
    return given_answers


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sampled_from([7, 1000]))
def test_memory_and_sqlite_answer_alike(steps: list[tuple[object, ...]], reopen_every: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite = asyncio.run(answers(f"sqlite:{Path(folder) / 'store.db'}", steps, reopen_every))

    assert sqlite == asyncio.run(answers("memory", steps, reopen_every))
