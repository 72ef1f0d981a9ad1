"""What an operator may write to name a store, and what he is told when it is wrong."""

from pathlib import Path

import pytest

from apiserver.storage import EtcdOptions, StoreError, StoreUnavailable, open_store
from apiserver.storage.memory import MemoryStore
from apiserver.storage.sqlite import SqliteStore


async def test_the_name_chooses_the_backend(tmp_path: Path) -> None:
    memory, sqlite = await open_store("memory"), await open_store(f"sqlite:{tmp_path}/a:b.db")

    assert (type(memory), type(sqlite)) == (MemoryStore, SqliteStore)
    assert (tmp_path / "a:b.db").exists()
    await sqlite.close()


@pytest.mark.parametrize("where", ["", "memory:x", "sqlite", "sqlite:", "etcd", "etcd:", "postgres:x"])
async def test_any_other_name_is_refused(where: str) -> None:
    with pytest.raises(StoreError, match=f"store '{where}': expected memory, sqlite:PATH or etcd:URL"):
        await open_store(where)


@pytest.mark.parametrize("endpoint", ["a:2379", "ftp://a:1", "https://a", "https://:1", "https://a:b", "https://a:1/x"])
def test_an_endpoint_is_scheme_host_and_port(endpoint: str) -> None:
    with pytest.raises(StoreError, match="expected https://HOST:PORT or http://HOST:PORT"):
        EtcdOptions(endpoints=(endpoint,))


@pytest.mark.parametrize("endpoints", [(), ("https://a:1", "http://b:1")])
def test_endpoints_are_all_of_one_scheme(endpoints: tuple[str, ...]) -> None:
    with pytest.raises(StoreError, match="expected one or more, all https:// or all http://"):
        EtcdOptions(endpoints=endpoints)


def test_credentials_come_in_pairs() -> None:
    with pytest.raises(StoreError, match="both a certificate file and a key file"):
        EtcdOptions(endpoints=("https://a:1",), cert_file=Path("client.crt"))
    with pytest.raises(StoreError, match="a user needs a password"):
        EtcdOptions(endpoints=("https://a:1",), user="root")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(EtcdOptions(endpoints=("https://a:1",), user="root", password="secret"))


async def test_a_missing_certificate_file_is_named() -> None:
    with pytest.raises(StoreUnavailable, match=r"/none/ca\.crt: No such file"):
        await open_store(EtcdOptions(endpoints=("https://127.0.0.1:1",), ca_file=Path("/none/ca.crt")))


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "etcd.crt").write_text("no certificate")
    options = EtcdOptions(endpoints=("https://127.0.0.1:1",), cert_file=tmp_path / "etcd.crt", key_file=Path("/none"))

    with pytest.raises(StoreUnavailable, match=r"etcd\.crt, /none: "):
        await open_store(options)


def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(StoreError, match="do not belong into the URL") as refused:
        EtcdOptions(endpoints=("https://root:secret@a:2379",))

    assert "secret" not in str(refused.value)
