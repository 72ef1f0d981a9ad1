"""Secrets at rest under keys that a plugin holds: what it is asked, when its key changes, and when it is silent."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from apiserver.storage.encryption import kms
from apiserver.storage.encryption import kms_messages as messages
from apiserver.storage.encryption.config import EncryptionError, load_encryption
from apiserver.storage.encryption.store import EncryptedStore
from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import StoreError, StoreUnavailable
from tests.apiserver.local_api import CORE, running_api
from tests.storage.key_plugin import KeyPlugin
from tests.storage.test_encryption import SECRET, Shared, a_file
from wherry.api import kinds

MARK = b"k8s:enc:kms:v2:vault:"


@pytest_asyncio.fixture
async def plugin(tmp_path: Path) -> AsyncIterator[KeyPlugin]:
    async with KeyPlugin(tmp_path / "kms.sock") as plugin:
        yield plugin


def provider(plugin: KeyPlugin, name: str = "vault", timeout: str = "2s") -> str:
    return f"kms: {{apiVersion: v2, name: {name}, endpoint: '{plugin.endpoint}', timeout: {timeout}}}"


async def opened(inner: MemoryStore, folder: Path, *providers: str) -> EncryptedStore:
    kinds.load()
    store = EncryptedStore(inner, load_encryption(a_file(folder, *providers)).by_folder())
    await store.begin()
    return store


async def raw(inner: MemoryStore) -> bytes:
    entry = await inner.get(SECRET)
    assert entry is not None
    return entry.value


async def test_the_plugin_is_asked_once_for_many_writes_and_never_for_what_is_known(plugin, tmp_path):
    store = await opened(MemoryStore(), tmp_path, provider(plugin))

    for number in range(5):
        await store.put(f"{SECRET}-{number}", b"{}", expected=0)
    page = await store.list("/registry/secrets/")

    assert [entry.value for entry in page.entries] == [b"{}"] * 5
    assert plugin.calls == ["Status", "Encrypt"]
    await store.close()


async def test_what_stands_in_the_store_is_kubernetes_form(plugin, tmp_path):
    inner = MemoryStore()
    store = await opened(inner, tmp_path, provider(plugin))
    await store.put(SECRET, b"text", expected=0)

    stored = messages.EncryptedObject.FromString((await raw(inner)).removeprefix(MARK))

    seed = plugin._keys["1"].decrypt(stored.annotations[0].value, stored.encrypted_source, None)
    info, nonce, secret = stored.encrypted_data[:32], stored.encrypted_data[32:44], stored.encrypted_data[44:]
    key = HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(seed)
    assert AESGCM(key).decrypt(nonce, secret, SECRET.encode()) == b"text"
    assert (stored.key_id, stored.source_type) == ("1", messages.SOURCE_IS_SEED)
    await store.close()


async def test_another_server_reads_it_by_asking_the_plugin_once(plugin, tmp_path):
    inner = MemoryStore()
    first = await opened(inner, tmp_path, provider(plugin))
    for key in (SECRET, SECRET + "-2"):
        await first.put(key, b"{}", expected=0)
    plugin.calls.clear()

    second = await opened(inner, tmp_path, provider(plugin))
    seen = [entry.value for entry in (await second.list("/registry/secrets/")).entries]

    assert (seen, plugin.calls, second.stale) == ([b"{}"] * 2, ["Status", "Encrypt", "Decrypt"], set())
    await first.close()
    await second.close()


async def test_when_the_plugin_has_a_new_key_everything_is_written_anew(plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(kms, "LOOK_SECONDS", 0.02)
    inner = Shared()
    store = await opened(inner, tmp_path, provider(plugin), "identity: {}")
    async with running_api(store) as api:
        await api.made(f"{CORE}/secrets", {"metadata": {"name": "s"}, "data": {"k": "eA=="}})

        following = asyncio.ensure_future(store.run())
        plugin.key_id = "2"
        async for change in inner.watch(SECRET, since=0):
            if messages.EncryptedObject.FromString((change.value or b"").removeprefix(MARK)).key_id == "2":
                break

        assert (await api.get(f"{CORE}/secrets/s")).json["data"] == {"k": "eA=="}
        assert (await api.get("/readyz/kms-providers")).status == 200
        following.cancel()
    await store.close()


async def test_encrypting_anew_keeps_no_look_waiting_and_is_tried_again(plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(kms, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(kms, "LOOK_AGAIN_SECONDS", 0.01)
    store = await opened(MemoryStore(), tmp_path, provider(plugin))
    tries, is_long = [], asyncio.Event()

    async def encrypt_anew():
        tries.append(plugin.key_id)
        if len(tries) == 1:
            raise StoreUnavailable("no leader")
        is_long.set()
        await asyncio.Event().wait()

    following = asyncio.ensure_future(store.plugins[0].follow(encrypt_anew))
    plugin.key_id = "second"
    await is_long.wait()
    looks = plugin.calls.count("Status")
    for _ in range(1000):
        if (later := plugin.calls.count("Status")) >= looks + 2:
            break
        await asyncio.sleep(0.01)
    following.cancel()

    assert tries == ["second"] * 2
    assert later >= looks + 2
    await store.close()


async def test_while_the_plugin_is_silent_what_is_known_is_read_and_written_for_a_while(plugin, tmp_path, monkeypatch):
    store = await opened(MemoryStore(), tmp_path, provider(plugin, timeout="100ms"))
    written = await store.put(SECRET, b"{}", expected=0)
    await plugin.stop()

    with pytest.raises(StoreUnavailable, match=r"kms 'vault' at unix:.*Status: failed to connect"):
        await store.plugins[0].look()
    written = await store.put(SECRET, b"[]", expected=written.revision)
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + kms.WRITE_SECONDS + 1)

    with pytest.raises(StoreUnavailable, match="no answer for 180 s"):
        await store.put(SECRET, b"{}", expected=written.revision)
    assert (await store.list("/registry/")).entries[0].value == b"[]"
    await store.close()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"healthz": "no"}, "Status: healthz 'no', expected 'ok'"),
        ({"version": "v1"}, "Status: version 'v1', expected one of v2, v2beta1"),
        ({"key_id": ""}, "expected the same one, of 1 to 1024 bytes"),
    ],
)
async def test_a_plugin_that_is_not_well_is_named_at_the_start(plugin, tmp_path, monkeypatch, fault, why):
    monkeypatch.setattr(kms, "START_SECONDS", 0.0)
    vars(plugin).update(fault)

    with pytest.raises(StoreUnavailable, match=why):
        await opened(MemoryStore(), tmp_path, provider(plugin))


async def test_a_changed_value_is_told_from_a_lost_one(plugin, tmp_path):
    inner = MemoryStore()
    store = await opened(inner, tmp_path, provider(plugin))
    await store.put(SECRET, b"{}", expected=0)
    await inner.put(SECRET + "-2", await raw(inner), expected=0)

    with pytest.raises(StoreError, match="s-2: encrypted with the key 'kms vault', but it was not encrypted with"):
        await store.get(SECRET + "-2")
    await store.close()


def test_a_plugin_that_nobody_can_reach_is_refused(tmp_path):
    where = "kms: {apiVersion: %s, name: v, endpoint: '%s', timeout: %s}"
    for given, why in (
        (where % ("v1", "unix:///a", "3s"), "apiVersion: .*v2"),
        (where % ("v2", "tcp://a", "3s"), "endpoint"),
        (where % ("v2", "unix:///a", "0s"), "expected more than 0s"),
    ):
        with pytest.raises(EncryptionError, match=why):
            load_encryption(a_file(tmp_path, given))
    twice = where % ("v2", "unix:///a", "3s")
    with pytest.raises(EncryptionError, match="'v' stands twice"):
        load_encryption(a_file(tmp_path, twice, twice))
    with pytest.raises(EncryptionError, match="every secret must have 32 bytes"):
        load_encryption(
            a_file(tmp_path, f"secretbox: {{keys: [{{name: k, secret: {b64encode(bytes(16)).decode()}}}]}}")
        )
