"""Links between components: who does not show who they are, or speaks in the clear, is not served."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from kubelet.runtime.fake import FakeRuntime
from kubelet.server import Server
from tests.apiserver.local_api import running_api
from tests.faults.api_process import serving
from tests.faults.cluster_keys import ClusterKeys
from tests.kubelet.local_transport import LocalTransport
from tests.make import NOW
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.serving.access import Access
from wherry.client.serving.tls import Tls

Change = Callable[[ssl.SSLContext], None]
TRICKS = (
    "/api/v1/namespaces/default/pods/web/log/../../../../secrets",
    "/api/v1/namespaces/default/pods/..%2f..%2fsecrets/log",
    "/api/v1/namespaces/default/pods/%2e%2e/exec?command=sh",
    "/api/v1/nodes/n1%2f..%2f..%2fexec/proxy/pods",
    "/api/v1/namespaces/default/pods/a%00b/log",
)
KUBELET_TRICKS = (
    "/containerLogs/default/web/../../../etc/passwd",
    "/containerLogs/..%2f..%2fetc/passwd/x",
    "/exec/a/b",
)


class NoPods:
    """A node without pods."""

    node_name = "n1"

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime

    def charges(self) -> list[object]:
        return []

    def charge(self, namespace: str, name: str) -> None:
        return None


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[int, ClusterKeys]]:
    keys = ClusterKeys(tmp_path)
    keys.sign("system:node:n2", "system:nodes")
    no_pods: Any = NoPods(FakeRuntime(lambda: NOW))  # all of a kubelet that its port asks
    tls = Tls(cert=tmp_path / "apiserver.crt", key=tmp_path / "apiserver.key", client_ca=tmp_path / "ca.crt")
    async with running_api() as api:
        way = LocalTransport(api, "system:node:n1", ("system:nodes",))
        server = Server(no_pods, Access(Client(Connection("https://api"), user_agent="test", transport=way)))
        await server.start("127.0.0.1", 0, tls)
        yield server.port, keys
        await server.stop()


async def status(url: str, context: ssl.SSLContext | None = None) -> int | str:
    """The status of an answer, or `refused` if there was none."""
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientError, ssl.SSLError, ConnectionError):
            async with session.get(url, ssl=context or False) as answer:
                return answer.status
    return "refused"


def speaking(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = context.maximum_version = version
    return context


async def test_a_kubelet_serves_those_whom_it_knows_what_they_may(node: tuple[int, ClusterKeys], tmp_path: Path):
    port, keys = node
    (tmp_path / "other").mkdir()
    stranger = keys.client_context("")
    other = ClusterKeys(tmp_path / "other")
    stranger.load_cert_chain(other.folder / "admin.crt", other.folder / "admin.key")
    url = f"https://127.0.0.1:{port}/pods"

    assert await status(url, keys.client_context("admin")) == 200
    assert await status(url, keys.client_context("system:node:n2")) == 403
    assert await status(url, keys.client_context("")) == 401
    assert await status(url, stranger) == "refused"
    assert await status(url, speaking(keys.client_context(), ssl.TLSVersion.TLSv1_1)) == "refused"
    assert await status(f"http://127.0.0.1:{port}/pods") == "refused"
    for path in KUBELET_TRICKS:
        assert await status(f"https://127.0.0.1:{port}{path}", keys.client_context()) in (400, 404)


async def test_the_api_server_refuses_the_clear_old_tls_strangers_and_tricks_with_paths(tmp_path: Path):
    async with serving(tmp_path, "memory") as (server, _):
        keys = server.keys
        clear = server.url.replace("https", "http")
        unknown = ssl.create_default_context()

        assert await status(server.url + "/version", keys.client_context("")) == 200
        assert await status(server.url + "/version", unknown) == "refused"
        assert await status(clear + "/version") == "refused"
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            assert await status(server.url + "/version", speaking(keys.client_context(), version)) == "refused"
        for path in TRICKS:
            assert await asked(server.port, keys.client_context(), path) in (400, 404)


async def asked(port: int, context: ssl.SSLContext, path: str) -> int:
    """The status of an answer to a path that is sent as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    first = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(first[9:12])
