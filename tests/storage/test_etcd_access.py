"""Who may speak to etcd: certificates both ways, users and their tokens."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apiserver.storage import Change, EtcdOptions, StoreUnavailable, TooLarge, open_store
from tests.storage.certificates import Authority
from tests.storage.etcd_server import EtcdServer, start_etcd, wait_until_healthy
from tests.storage.store_client import create, take


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[EtcdOptions]:
    """An etcd that wants TLS with a client certificate, and what a client of it needs."""
    authority = Authority(tmp_path)
    server, client = authority.signs("server"), authority.signs("client")
    flags = ["--cert-file", server.cert_file, "--key-file", server.key_file]
    flags += ["--client-cert-auth", "--trusted-ca-file", authority.ca_file]
    with start_etcd(tmp_path, *map(str, flags), scheme="https") as etcd:
        yield EtcdOptions(
            endpoints=(etcd.url,),
            ca_file=authority.ca_file,
            cert_file=client.cert_file,
            key_file=client.key_file,
        )


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[EtcdServer]:
    """An etcd on which only `root`, password `secret`, may do anything."""
    with start_etcd(tmp_path) as etcd:
        for command in ["user add root:secret", "user grant-role root root", "auth enable"]:
            etcdctl(etcd, *command.split())
        yield etcd


def etcdctl(etcd: EtcdServer, *arguments: str) -> None:
    binary = shutil.which("etcdctl") or pytest.skip("no etcdctl on this machine: apt-get install etcd-client")
    environment = {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": etcd.url}
    subprocess.run([binary, *arguments], env=environment, check=True, capture_output=True)


async def test_certificates_open_the_door_both_ways(encrypted: EtcdOptions) -> None:
    store = await open_store(encrypted)

    (a,) = await create(store, "/registry/", "a")

    assert await take(1, store.watch("/registry/", since=0)) == [Change("/registry/a", b"a", a.revision, None)]
    await store.close()


async def test_host_names_are_checked_against_the_certificate(encrypted: EtcdOptions) -> None:
    by_name = replace(encrypted, endpoints=(encrypted.endpoints[0].replace("127.0.0.1", "localhost"),))

    store = await open_store(by_name)

    assert await store.revision() == 1
    await store.close()


async def test_nobody_gets_in_without_a_certificate(encrypted: EtcdOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apiserver.storage.etcd_connection.REQUEST_SECONDS", 1.0)

    with pytest.raises(StoreUnavailable, match=encrypted.endpoints[0]):
        await open_store(replace(encrypted, cert_file=None, key_file=None))


async def test_a_server_of_another_authority_is_not_trusted(
    encrypted: EtcdOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiserver.storage.etcd_connection.REQUEST_SECONDS", 1.0)
    (tmp_path / "other").mkdir()

    with pytest.raises(StoreUnavailable, match=r"(?i)certificate|handshake|connect"):
        await open_store(replace(encrypted, ca_file=Authority(tmp_path / "other").ca_file))


async def test_a_user_works_on_after_the_server_has_forgotten_all_tokens(guarded: EtcdServer) -> None:
    store = await open_store(EtcdOptions(endpoints=(guarded.url,), user="root", password="secret"))
    (a,) = await create(store, "/registry/", "a")
    watch = asyncio.create_task(take(64, store.watch("/registry/", since=a.revision)))

    guarded.kill()
    guarded.start()
    await asyncio.to_thread(wait_until_healthy, [guarded])
    entries = await asyncio.gather(*(store.put(f"/registry/{n}", b"", expected=0) for n in range(64)))

    assert {change.revision for change in await watch} == {entry.revision for entry in entries}
    await store.close()


async def test_a_watch_alone_gets_itself_a_new_token(guarded: EtcdServer) -> None:
    store = await open_store(EtcdOptions(endpoints=(guarded.url,), user="root", password="secret"))
    (a,) = await create(store, "/registry/", "a")
    watch = asyncio.create_task(take(1, store.watch("/registry/", since=a.revision)))
    await asyncio.sleep(0)

    guarded.kill()
    guarded.start()
    await asyncio.to_thread(wait_until_healthy, [guarded])
    await asyncio.to_thread(etcdctl, guarded, "--user=root:secret", "put", "/registry/b", "from elsewhere")

    assert [(change.key, change.value) for change in await watch] == [("/registry/b", b"from elsewhere")]
    await store.close()


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [("root", "wrong", "invalid user ID or password"), ("", "", "user name is empty")],
)
async def test_a_wrong_password_is_said_to_be_wrong(guarded: EtcdServer, user: str, password: str, reason: str) -> None:
    with pytest.raises(StoreUnavailable, match=reason):
        await open_store(EtcdOptions(endpoints=(guarded.url,), user=user, password=password))


async def test_a_value_over_the_servers_own_limit_is_too_large(tmp_path: Path) -> None:
    with start_etcd(tmp_path, "--max-request-bytes", "1000000") as etcd:
        store = await open_store(f"etcd:{etcd.url}")

        for size in (1_000_000, 3_000_000):
            with pytest.raises(TooLarge):
                await store.put("/registry/a", b"x" * size, expected=0)

        assert await store.get("/registry/a") is None
        await store.close()
