"""The EncryptionConfiguration: which resources are encrypted, and with which keys.

    apiVersion: apiserver.config.k8s.io/v1
    kind: EncryptionConfiguration
    resources:
    - resources: [secrets]
      providers:
      - aesgcm: {keys: [{name: key2, secret: BASE64}, {name: key1, secret: BASE64}]}
      - identity: {}

The first key writes, all of them read. To change it, put a new one in front and start the server again: what stands
under another key is written anew, and then the old one can go.

Kubernetes: apiserver.config.k8s.io/v1. Differs: no `secretbox` and no `kms`, and what is stale is rewritten at start.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from apiserver import keys
from apiserver.file_errors import FileProblem, read_model
from apiserver.storage.encryption.providers import IDENTITY, Key, key_of
from wherry.machinery.resource import all_kinds

_OTHERS = 0o077


class EncryptionError(ValueError):
    """The file cannot be used; says which field, and what is allowed. Never says a key."""


class _Part(BaseModel):
    # What was given is not repeated in errors: it may be a key.
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class NamedKey(_Part):
    """A key of 16, 24 or 32 bytes, in base64."""

    name: str = Field(min_length=1, pattern=r"^[^:]+$")
    secret: bytes

    @field_validator("secret", mode="before")
    @classmethod
    def _decoded(cls, value: object) -> bytes:
        try:
            secret = b64decode(str(value), validate=True)
        except ValueError:
            raise ValueError("must be base64") from None
        if len(secret) not in (16, 24, 32):
            raise ValueError(f"must have 16, 24 or 32 bytes, has {len(secret)}")
        return secret


class Keys(_Part):
    """The keys of a provider, in order."""

    keys: tuple[NamedKey, ...] = Field(min_length=1)


class Identity(_Part):
    """Nothing is encrypted."""


class Provider(_Part):
    """One of the three."""

    aesgcm: Keys | None = None
    aescbc: Keys | None = None
    identity: Identity | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Provider:
        given = [name for name in ("aesgcm", "aescbc", "identity") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"seen {' and '.join(given) or 'none'}, expected exactly one of aesgcm, aescbc and identity"
            )
        return self

    def listed(self) -> list[Key]:
        """Its keys."""
        if self.identity is not None:
            return [IDENTITY]
        name, given = ("aesgcm", self.aesgcm) if self.aesgcm is not None else ("aescbc", self.aescbc)
        return [key_of(name, key.name, key.secret) for key in given.keys] if given else []


class ResourceConfiguration(_Part):
    """Resources such as `secrets` or `widgets.example.com`; `*.*` is everything."""

    resources: tuple[str, ...] = Field(min_length=1)
    providers: tuple[Provider, ...] = Field(min_length=1)


class EncryptionConfiguration(_Part):
    """The whole file."""

    api_version: Literal["apiserver.config.k8s.io/v1"]
    kind: Literal["EncryptionConfiguration"]
    resources: tuple[ResourceConfiguration, ...] = Field(min_length=1)

    def by_folder(self) -> dict[str, Sequence[Key]]:
        """The keys of each folder of the store, the most special folder first; raises EncryptionError."""
        found: dict[str, Sequence[Key]] = {}
        for configuration in self.resources:
            listed = [key for provider in configuration.providers for key in provider.listed()]
            for resource in configuration.resources:
                for folder in _folders(resource):
                    found.setdefault(folder, listed)
        return dict(sorted(found.items(), key=lambda each: -len(each[0])))


def _folders(resource: str) -> list[str]:
    if resource == "*.*":
        return [keys.ROOT]
    name, dot, group = resource.partition(".")
    known = [cls.kind for cls in all_kinds() if "watch" in cls.kind.verbs]
    if name == "*" and dot:
        return [keys.folder(kind) for kind in known if kind.group == group] + (
            [f"{keys.ROOT}{group}/"] if group else []
        )
    found = [keys.folder(kind) for kind in known if kind.resource == resource]
    if not found and "." not in group:
        raise EncryptionError(f"resources: there is no {resource!r}")
    return found or [f"{keys.ROOT}{group}/{name}/"]


def load_encryption(file: Path) -> EncryptionConfiguration:
    """Read the file, which only its owner may read; raises EncryptionError."""
    try:
        mode = file.stat().st_mode & 0o777
        if mode & _OTHERS:
            raise EncryptionError(f"{file}: mode {mode:04o}: others may read the keys in it; run `chmod 600 {file}`")
        return read_model(file, EncryptionConfiguration)
    except OSError as error:
        raise EncryptionError(f"{file}: {error.strerror}") from None
    except FileProblem as problem:
        raise EncryptionError(f"{file}: {problem}") from None
