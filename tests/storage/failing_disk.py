"""A disk that refuses writes, for SQLite in this process only: SQLite's own hook for that, `xSetSystemCall`."""

import _sqlite3
import contextlib
import ctypes
import errno
from collections.abc import Iterator

import pytest

# Layout of struct sqlite3_vfs (sqlite3.h): three ints, three pointers, then methods; this one is the 14th of them.
_POINTERS_BEFORE = 2 + 3 + 13
_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_SET_SYSTEM_CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


def _set_pwrite(function: object) -> None:
    # The module links the library, so the library's symbols are found through it.
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = ctypes.c_void_p
    vfs = library.sqlite3_vfs_find(None)
    method = ctypes.cast(vfs, ctypes.POINTER(ctypes.c_void_p))[_POINTERS_BEFORE]
    if _SET_SYSTEM_CALL(method)(vfs, b"pwrite64", ctypes.cast(function, ctypes.c_void_p) if function else None):
        pytest.skip("this SQLite does not write with pwrite64")


@contextlib.contextmanager
def disk_refuses(error: int) -> Iterator[None]:
    """Every write of SQLite fails with `error`, such as errno.ENOSPC."""

    def refuse(file: int, data: int, size: int, offset: int) -> int:
        ctypes.set_errno(error)
        return -1

    callback = _WRITE(refuse)
    _set_pwrite(callback)
    try:
        yield
    finally:
        _set_pwrite(None)


FULL, BROKEN = errno.ENOSPC, errno.EIO
