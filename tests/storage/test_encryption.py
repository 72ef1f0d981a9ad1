"""Secrets at rest: what stands in the store, who can read it, and how keys change."""

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from apiserver.storage.encryption.config import EncryptionError, load_encryption
from apiserver.storage.encryption.store import AGAIN_SECONDS, EncryptedStore
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Entry, StoreError, StoreUnavailable
from tests.apiserver.local_api import CORE, running_api
from wherry.api import kinds
from wherry.sim.virtual_time import in_virtual_time

SECRET, MAP = "/registry/secrets/default/s", "/registry/configmaps/default/m"
FIRST, SECOND = b64encode(bytes(32)).decode(), b64encode(bytes(range(32))).decode()


def a_file(folder: Path, *providers: str, resources: str = "[secrets]") -> Path:
    file = folder / "encryption.yaml"
    listed = "".join(f"\n  - {provider}" for provider in providers)
    head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
    file.write_text(f"{head}- resources: {resources}\n  providers:{listed}\n")
    file.chmod(0o600)
    return file


def keys(provider: str, **named: str) -> str:
    listed = ", ".join(f"{{name: {name}, secret: {secret}}}" for name, secret in named.items())
    return f"{provider}: {{keys: [{listed}]}}"


def encrypted(inner: MemoryStore, folder: Path, *providers: str, **more: str) -> EncryptedStore:
    kinds.load()
    return EncryptedStore(inner, load_encryption(a_file(folder, *providers, **more)).by_folder())


class Shared(MemoryStore):
    """A store that outlives the servers that use it."""

    async def close(self) -> None:
        """Not yet."""


@pytest.mark.parametrize("provider", ["aesgcm", "aescbc", "secretbox"])
async def test_what_stands_in_the_store_is_unreadable_and_only_for_what_was_asked(tmp_path: Path, provider: str):
    inner = MemoryStore()
    store = encrypted(inner, tmp_path, keys(provider, k1=FIRST), "identity: {}")

    for key in (SECRET, MAP):
        await store.put(key, b'{"password": "x"}', expected=0)

    raw = [entry.value for key in (SECRET, MAP) if (entry := await inner.get(key))]
    assert raw[0].startswith(f"k8s:enc:{provider}:v1:k1:".encode())
    assert (b"password" in raw[0], raw[1]) == (False, b'{"password": "x"}')
    assert [entry.value for entry in (await store.list("/registry/secrets/")).entries] == [b'{"password": "x"}']


async def test_a_value_moved_to_another_object_is_not_believed(tmp_path: Path):
    inner = MemoryStore()
    store = encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST))
    await store.put(SECRET, b"{}", expected=0)
    moved = await inner.get(SECRET)
    assert moved is not None
    await inner.put(SECRET + "-2", moved.value, expected=0)

    with pytest.raises(StoreError, match="secrets/default/s-2: encrypted with the key 'aesgcm k1', but it was not"):
        await store.get(SECRET + "-2")


async def test_a_key_that_is_missing_is_named(tmp_path: Path):
    inner = MemoryStore()
    await encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST)).put(SECRET, b"{}", expected=0)

    with pytest.raises(StoreError, match="encrypted with the key 'aesgcm k1', which the configuration does not have"):
        await encrypted(inner, tmp_path, keys("aesgcm", k2=SECOND)).list("/registry/")


@pytest.mark.parametrize("resources", ["[secrets]", "[customresourcedefinitions.apiextensions.k8s.io]", '["*.*"]'])
async def test_a_server_without_any_keys_does_not_serve_a_store_that_has_secrets(tmp_path: Path, resources: str):
    inner = Shared()
    for key in (SECRET, "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com"):
        await encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST), resources=resources).put(key, b"{}", expected=0)

    with pytest.raises(StoreError, match=r"'aesgcm k1', and no keys are configured: bring back .*encryption.yaml"):
        async with running_api(inner):
            pass


@pytest.mark.parametrize(
    ("providers", "mark"),
    [
        ((keys("aesgcm", k2=SECOND, k1=FIRST),), b"k8s:enc:aesgcm:v1:k2:"),
        ((keys("aescbc", c=SECOND), keys("aesgcm", k1=FIRST)), b"k8s:enc:aescbc:v1:c:"),
        (("identity: {}", keys("aesgcm", k1=FIRST)), b'{"kind":"Secret"'),
    ],
)
async def test_a_server_with_a_new_key_in_front_writes_everything_anew(
    tmp_path: Path, providers: tuple[str, ...], mark: bytes
):
    inner = Shared()
    secret: dict[str, Any] = {"metadata": {"name": "s"}, "data": {"k": "eA=="}}
    async with running_api(encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST))) as api:
        await api.made(f"{CORE}/secrets", secret)

    store = encrypted(inner, tmp_path, *providers)
    async with running_api(store) as api:
        await store.rewrite()
        await api.server.cache.fresh()
        seen = (await api.get(f"{CORE}/secrets/s")).json

    raw = await inner.get(SECRET)
    assert raw is not None
    assert (raw.value.startswith(mark), seen["data"], store.stale) == (True, {"k": "eA=="}, set())


async def test_what_was_written_in_the_clear_is_encrypted_when_that_begins(tmp_path: Path):
    inner = Shared()
    async with running_api(inner) as api:
        await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}})

    store = encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST), "identity: {}", resources='["*.*"]')
    async with running_api(store):
        await store.rewrite()

    raw = [entry.value for entry in (await inner.list("/registry/")).entries]
    assert all(value.startswith(b"k8s:enc:aesgcm:v1:k1:") for value in raw)


class Failing(MemoryStore):
    """A store that takes nothing under some keys for a while."""

    refused: tuple[str, ...] = ()

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        """See the class."""
        if key in self.refused:
            raise StoreUnavailable(f"{key}: the disk is full")
        return await super().put(key, value, expected=expected)


@in_virtual_time
async def test_what_could_not_be_encrypted_keeps_nothing_waiting_and_is_tried_again(tmp_path: Path):
    inner = Failing()
    others = [SECRET + suffix for suffix in ("-1", "-2")]
    for key in (SECRET, *others):
        await inner.put(key, b"{}", expected=0)
    inner.refused = (SECRET,)
    store = encrypted(inner, tmp_path, keys("aesgcm", k1=FIRST), "identity: {}")
    await store.list("/registry/")

    running = asyncio.ensure_future(store.run())
    await asyncio.sleep(AGAIN_SECONDS / 2)
    in_the_clear = [entry.key for entry in (await inner.list("/registry/")).entries if entry.value == b"{}"]
    assert (in_the_clear, store.stale) == ([SECRET], {SECRET})

    inner.refused = ()
    await running
    raw = await inner.get(SECRET)
    assert raw is not None
    assert (raw.value.startswith(b"k8s:enc:aesgcm:v1:k1:"), store.stale) == (True, set())


@pytest.mark.parametrize(
    ("providers", "resources", "why"),
    [
        ([keys("aesgcm", k="c2hvcnQ=")], "[secrets]", "must have 16, 24 or 32 bytes, has 5"),
        ([keys("aesgcm", k="a-b")], "[secrets]", "must be base64"),
        (
            [keys("rot13", k=FIRST)],
            "[secrets]",
            "rot13: there is no such field; expected one of aesgcm, aescbc, secretbox, kms, identity",
        ),
        (["{}"], "[secrets]", "exactly one of aesgcm, aescbc, secretbox, kms and identity"),
        ([keys("aesgcm", k=FIRST)], "[secrest]", "there is no 'secrest'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_no_key_is_told(
    tmp_path: Path, providers: list[str], resources: str, why: str
):
    kinds.load()
    with pytest.raises(EncryptionError, match=why) as refused:
        load_encryption(a_file(tmp_path, *providers, resources=resources)).by_folder()

    assert FIRST not in str(refused.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    file = a_file(tmp_path, keys("aesgcm", k=FIRST))
    file.chmod(0o644)

    with pytest.raises(EncryptionError, match=f"mode 0644: others may read the keys in it; run `chmod 600 {file}`"):
        load_encryption(file)
