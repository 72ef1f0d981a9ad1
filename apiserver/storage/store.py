"""The promise every backend keeps: compare-and-swap on keys, revisions that only rise, a watch without gaps.

Kubernetes: `storage.Interface` over etcd. The specification is `tests/contract/test_store.py`.

    StoreError
    ├── Conflict           the key is not at the revision that the writer expected
    ├── Compacted          the history asked for has been thrown away; list again
    ├── FutureRevision     the revision asked for has not been written yet
    ├── TooLarge           the value is over the limit
    └── StoreUnavailable   no answer; a write may or may not have happened
"""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

# Kubernetes refuses request bodies over 3 MiB (apiserver MaxRequestBodyBytes), so no object is larger.
MAX_VALUE_BYTES = 3 * 1024 * 1024
# The name of a key, a nonce and a tag (`apiserver/storage/encryption`).
ENCRYPTED_MORE_BYTES = 1024


class Entry(NamedTuple):
    """One key as it stands: `revision` is that of the write that made it so."""

    key: str
    value: bytes
    revision: int


class Page(NamedTuple):
    """Entries in key order, as they stood at `revision`; `more` says that further keys follow the last one."""

    entries: list[Entry]
    revision: int
    more: bool


class Change(NamedTuple):
    """One write as a watcher sees it. `value` is None for a deletion, `previous` None for a creation."""

    key: str
    value: bytes | None
    revision: int
    previous: bytes | None


class StoreError(Exception):
    """Why a store did not do what it was asked."""


class Conflict(StoreError):
    """The key is at `found` (None: it does not exist), not at the `expected` revision (0: must not exist)."""

    def __init__(self, key: str, expected: int, found: Entry | None) -> None:
        seen = f"is at revision {found.revision}" if found else "does not exist"
        wanted = f"at revision {expected}" if expected else "absent"
        super().__init__(f"{key}: {seen}, expected it {wanted}")
        self.key = key
        self.expected = expected
        self.found = found


class Compacted(StoreError):
    """History before revision `oldest` is gone: it is the first that can be listed, or watched from."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the requested revision has been compacted; the oldest kept is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    """Revision `requested` was asked for, but `newest` is the last one written."""

    def __init__(self, requested: int, newest: int) -> None:
        super().__init__(f"revision {requested} is in the future; the newest is {newest}")
        self.requested = requested
        self.newest = newest


class TooLarge(StoreError):
    """The value under `key` has `size` bytes, but at most `limit` are stored."""

    def __init__(self, key: str, size: int, limit: int = MAX_VALUE_BYTES) -> None:
        super().__init__(f"{key}: the value has {size} bytes, at most {limit} are allowed")
        self.key = key
        self.size = size
        self.limit = limit


class StoreUnavailable(StoreError):
    """The store gave no answer, and the message says why. A write that ends so may have happened or not."""


class Store(Protocol):
    """A map of keys to bytes in which every successful write gets the next revision: 1, 2, 3, …

    Revisions rise strictly over all keys, survive restarts and are never used twice. Keys sort by code point. A write
    is acknowledged only when it is durable, and a watcher in the same process is woken for it before the writer is.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to it as well."""

    async def get(self, key: str) -> Entry | None:
        """The newest acknowledged entry, or None."""

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, at: int = 0) -> Page:
        """Entries under `prefix` with keys greater than `after`, at most `limit` (0: all), as of revision `at`.

        `at=0` means the newest. Raises Compacted or FutureRevision.
        """

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        """Write if the key is at revision `expected`; 0 means that it must not exist. Raises Conflict, TooLarge."""

    async def delete(self, key: str, *, expected: int) -> Entry:
        """Remove if the key is at revision `expected`. Returns the last value under the deletion's revision.

        Raises Conflict, also when the key does not exist.
        """

    def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        """Changes under `prefix` with revisions greater than `since`, in order, without gap or repeat, for ever.

        A `since` in the future waits until it is passed. Raises Compacted when changes after `since` may be gone,
        StoreUnavailable when the store is closed.
        """

    async def compact(self, revision: int) -> None:
        """Forget what was superseded at or before `revision`; a revision already compacted is left alone.

        Listing at `revision` and watching since it still work; before it they raise Compacted. Raises FutureRevision.
        """

    async def revision(self) -> int:
        """The newest acknowledged revision: no later read of any kind reflects an older one."""

    async def size(self) -> int:
        """How many bytes everything takes where it is kept, history included; raises StoreUnavailable."""

    async def close(self) -> None:
        """Finish what was accepted, end the watches, let go of files and connections."""


def check_size(key: str, value: bytes) -> None:
    """Raise TooLarge for a value that no backend takes; one that is encrypted may be longer by what that adds."""
    limit = MAX_VALUE_BYTES + (ENCRYPTED_MORE_BYTES if value.startswith(b"k8s:enc:") else 0)
    if len(value) > limit:
        raise TooLarge(key, len(value))


def start_of(prefix: str, after: str) -> str:
    """The first key that a list of `prefix` beginning after the key `after` may contain."""
    return max(prefix, after + "\0") if after else prefix


def end_of(prefix: str) -> str | None:
    """The first key after all those that start with `prefix`; None if nothing can follow.

    >>> end_of("/registry/pods/")
    '/registry/pods0'
    >>> end_of("") is None
    True
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    # Surrogates are no characters of their own: U+D7FF is followed by U+E000.
    following = 0xE000 if stem[-1] == "\ud7ff" else ord(stem[-1]) + 1
    return stem[:-1] + chr(following)
