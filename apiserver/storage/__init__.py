"""Where objects live: a map of keys to bytes with revisions, behind one protocol and three backends.

Here belong the `Store` protocol, its errors and its backends; nothing here knows what a pod is, what JSON is or
what HTTP is. A new backend is one module that passes `tests/contract/test_store.py` unchanged, and one line in
`opening.py`. Only the API server holds a store.
"""

from apiserver.storage.opening import EtcdOptions, open_store
from apiserver.storage.store import (
    Change,
    Compacted,
    Conflict,
    Entry,
    FutureRevision,
    Page,
    Store,
    StoreError,
    StoreUnavailable,
    TooLarge,
)

__all__ = [
    "Change",
    "Compacted",
    "Conflict",
    "Entry",
    "EtcdOptions",
    "FutureRevision",
    "Page",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "TooLarge",
    "open_store",
]
