"""The backends that the contract of `apiserver.storage.Store` is held against, each opened anew for every test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from apiserver.storage import EtcdOptions, Store, open_store
from apiserver.storage.encryption.providers import key_of
from apiserver.storage.encryption.store import EncryptedStore
from tests.storage.etcd_server import EtcdServer, start_etcd


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with start_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "etcd", "encrypted"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | EtcdOptions:
    if request.param == "etcd":
        return EtcdOptions(endpoints=(request.getfixturevalue("etcd_server").url,))
    return {"memory": "memory", "encrypted": "memory", "sqlite": f"sqlite:{tmp_path / 'store.db'}"}[request.param]


@pytest.fixture
async def store(where: str | EtcdOptions, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store = await open_store(where)
    if request.node.callspec.params["where"] == "encrypted":
        store = EncryptedStore(store, {"/registry/": [key_of("aesgcm", "key1", bytes(32))]})
    yield store
    await store.close()


@pytest.fixture
def prefix() -> str:
    """Keys of its own for every test: the etcd server is shared by them."""
    return f"/registry/{uuid4().hex}/"
