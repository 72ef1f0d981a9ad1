"""Rules for file paths inside of volumes and containers."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.machinery.field_errors import FieldError, invalid

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def check_no_backsteps(field: str, path: str) -> Iterator[FieldError]:
    """No element of the path is `..`."""
    if ".." in path.split("/"):
        yield invalid(field, path, "must not contain '..'")


def check_descending(field: str, path: str) -> Iterator[FieldError]:
    """A relative path that never leaves its folder."""
    if path.startswith("/"):
        yield invalid(field, path, "must be a relative path")
    yield from check_no_backsteps(field, path)


def check_file_name(field: str, path: str) -> Iterator[FieldError]:
    """A descending path that is not one of the hidden names volumes use themselves."""
    yield from check_descending(field, path)
    if path.startswith("..") and not path.startswith("../"):
        yield invalid(field, path, "must not start with '..'")


def check_mode(field: str, mode: int | None) -> Iterator[FieldError]:
    """Permission bits of a file."""
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(field, mode, FILE_MODE)
