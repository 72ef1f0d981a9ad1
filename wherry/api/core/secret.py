"""Secret: settings that not everybody may read."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import orjson

from wherry.api.core.config_map import FROZEN, MAX_BYTES, check_keys, decoded_length
from wherry.api.filling import fill_empty
from wherry.machinery.field_errors import FieldError, forbidden, invalid, required, too_long
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import unchanged

ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
# What a secret of a well-known type cannot do without.
REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_BASIC_AUTH = "kubernetes.io/basic-auth"
_REDACTED = "<secret contents redacted>"

SECRET = "io.k8s.api.core.v1.Secret"

fill_empty(SECRET, type="Opaque")


@defaults(SECRET)
def _encode_string_data(secret: dict[str, Any]) -> None:
    """`stringData` is for writing only: it goes into `data` and is never shown."""
    texts = secret.pop("stringData", None)
    if texts:
        encoded = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
        secret["data"] = {**secret.get("data", {}), **encoded}


class Secret(Resource, version="v1"):
    """Settings that not everybody may read; values are base64."""

    data: dict[str, str] = {}
    type: str = "Opaque"
    immutable: bool = False

    selectable = {"type": lambda secret: secret.type}
    columns = (
        Column("Type", lambda secret: secret.type),
        Column("Data", lambda secret: len(secret.data), type="integer"),
        AGE,
    )

    def __repr__(self) -> str:
        return f"Secret({self.key}, data withheld)"

    def validate(self, old: Secret | None) -> Iterator[FieldError]:
        """Every broken rule; the type is for life, and so is an immutable secret."""
        if old is not None:
            yield from self._check_update(old)
        yield from check_keys("data", self.data)
        if sum(map(decoded_length, self.data.values())) > MAX_BYTES:
            yield too_long("data", MAX_BYTES)
        yield from self._check_type()

    def _check_update(self, old: Secret) -> Iterator[FieldError]:
        yield from unchanged("type", self.type, old.type)
        if old.immutable and not self.immutable:
            yield forbidden("immutable", FROZEN)
        if old.immutable and self.data != old.data:
            yield forbidden("data", FROZEN)

    def _check_type(self) -> Iterator[FieldError]:
        if self.type == ACCOUNT_TOKEN and not self.metadata.annotations.get(ACCOUNT_NAME):
            yield required(f"metadata.annotations[{ACCOUNT_NAME}]")
        if self.type == _BASIC_AUTH and not self.data.keys() & {"username", "password"}:
            yield required("data[username]")
            yield required("data[password]")
        for key in REQUIRED_KEYS.get(self.type, ()):
            if key not in self.data or (key == "ssh-privatekey" and not self.data[key]):
                yield required(f"data[{key}]")
            elif key.startswith(".docker") and (problem := _json_problem(self.data[key])):
                yield invalid(f"data[{key}]", _REDACTED, problem)


def _json_problem(encoded: str) -> str:
    text = b64decode(encoded)
    if not text.strip():
        return "unexpected end of JSON input"
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return "invalid JSON"
    return "" if is_object else "json: cannot unmarshal into Go value of type map[string]interface {}"
