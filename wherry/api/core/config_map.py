"""ConfigMap: settings for pods, read by wherry/volumes and as environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, too_long
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name

MAX_BYTES = 1024 * 1024
FROZEN = "field is immutable when `immutable` is set"


def decoded_length(base64: str) -> int:
    """How many bytes a base64 text without line breaks stands for.

    >>> decoded_length("YWI="), decoded_length("")
    (2, 0)
    """
    return len(base64) // 4 * 3 - base64.count("=", -2)


def check_keys(field: str, data: Mapping[str, str]) -> Iterator[FieldError]:
    """Keys that can be file names."""
    for key in data:
        yield from check_name(f"{field}[{key}]", key, names.config_key)


class ConfigMap(Resource, version="v1", short=("cm",)):
    """Settings for pods. `binary_data` is base64."""

    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False

    columns = (Column("Data", lambda config: len(config.data) + len(config.binary_data), type="integer"), AGE)

    def validate(self, old: ConfigMap | None) -> Iterator[FieldError]:
        """Every broken rule; an immutable one stays immutable."""
        if old is not None and old.immutable:
            yield from self._check_frozen(old)
        yield from check_keys("data", self.data)
        yield from check_keys("binaryData", self.binary_data)
        for key in self.data.keys() & self.binary_data.keys():
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size = sum(len(value.encode(errors="replace")) for value in self.data.values())
        if size + sum(map(decoded_length, self.binary_data.values())) > MAX_BYTES:
            yield too_long("[]", MAX_BYTES)

    def _check_frozen(self, old: ConfigMap) -> Iterator[FieldError]:
        if not self.immutable:
            yield forbidden("immutable", FROZEN)
        if self.data != old.data:
            yield forbidden("data", FROZEN)
        if self.binary_data != old.binary_data:
            yield forbidden("binaryData", FROZEN)
