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

`kms` names a plugin that holds the keys instead: when that has a new one, everything is written anew as well.

Kubernetes: apiserver.config.k8s.io/v1. Differs: `kms` is version 2 alone, and what is stale is rewritten.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from apiserver import keys
from apiserver.file_errors import FileProblem, read_model
from apiserver.storage.encryption.kms import Kms
from apiserver.storage.encryption.kms_plugin import Plugin
from apiserver.storage.encryption.providers import IDENTITY, MARK, Key, key_of
from wherry.machinery.resource import all_kinds
from wherry.machinery.time import parse_go_duration

_OTHERS = 0o077
_BOX_KEY_BYTES = 32


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


class KmsPlugin(_Part):
    """A plugin that holds the keys, and how it is reached."""

    api_version: Literal["v2"]
    name: str = Field(min_length=1, pattern=r"^[^:]+$")
    endpoint: str = Field(pattern=r"^unix://(/|@).")
    timeout: str = "3s"

    @field_validator("timeout")
    @classmethod
    def _is_positive(cls, value: str) -> str:
        if parse_go_duration(value) <= 0:
            raise ValueError(f"seen {value}, expected more than 0s")
        return value

    def key(self) -> Key:
        """What it encrypts with."""
        plugin = Plugin(self.name, self.endpoint, parse_go_duration(self.timeout) / 1e9)
        kms = Kms(self.name, plugin)
        return Key(b"%skms:v2:%s:" % (MARK, self.name.encode()), kms, kms)


class Identity(_Part):
    """Nothing is encrypted."""


class Provider(_Part):
    """One of the five."""

    aesgcm: Keys | None = None
    aescbc: Keys | None = None
    secretbox: Keys | None = None
    kms: KmsPlugin | None = None
    identity: Identity | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Provider:
        names = list(type(self).model_fields)
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            allowed = f"{', '.join(names[:-1])} and {names[-1]}"
            raise ValueError(f"seen {' and '.join(given) or 'none'}, expected exactly one of {allowed}")
        if self.secretbox is not None and any(len(key.secret) != _BOX_KEY_BYTES for key in self.secretbox.keys):
            raise ValueError(f"secretbox: every secret must have {_BOX_KEY_BYTES} bytes")
        return self

    def listed(self) -> list[Key]:
        """Its keys."""
        if self.identity is not None:
            return [IDENTITY]
        if self.kms is not None:
            return [self.kms.key()]
        if self.secretbox is not None and find_spec("nacl") is None:
            raise EncryptionError("secretbox needs the package pynacl: pip install pynacl")
        given = {"aesgcm": self.aesgcm, "aescbc": self.aescbc, "secretbox": self.secretbox}
        return [key_of(name, key.name, key.secret) for name, listed in given.items() if listed for key in listed.keys]


class ResourceConfiguration(_Part):
    """Resources such as `secrets` or `widgets.example.com`; `*.*` is everything."""

    resources: tuple[str, ...] = Field(min_length=1)
    providers: tuple[Provider, ...] = Field(min_length=1)


class EncryptionConfiguration(_Part):
    """The whole file."""

    api_version: Literal["apiserver.config.k8s.io/v1"]
    kind: Literal["EncryptionConfiguration"]
    resources: tuple[ResourceConfiguration, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _plugins_have_names(self) -> EncryptionConfiguration:
        plugins = [each.kms.name for part in self.resources for each in part.providers if each.kms is not None]
        twice = sorted(name for name, count in Counter(plugins).items() if count > 1)
        if twice:
            raise ValueError(f"kms: the name {twice[0]!r} stands twice: what it writes is known by it")
        return self

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
