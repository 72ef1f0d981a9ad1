"""An API server behind real TLS on a free port, in the test's own loop, and backends for it to reach.

async with served_api(tmp_path) as served:
    async with served.session.get(served.url + "/version") as answer: ...
    told = await served.kubectl("get", "pods")
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml
from aiohttp import web
from cluster.live_cluster import kubectl as kubectl_path

from apiserver.__main__ import web_server
from tests.apiserver.local_api import CORE, Api, running_api
from tests.faults.cluster_keys import ClusterKeys


class Told(NamedTuple):
    """What a command printed."""

    status: int
    out: str
    err: str


class Served:
    """The running server: `api` asks it without a socket, `session` and kubectl over TLS as an administrator."""

    def __init__(self, api: Api, url: str, keys: ClusterKeys, session: aiohttp.ClientSession) -> None:
        self.api, self.url, self.keys, self.session = api, url, keys, session
        self.kubeconfig = keys.folder / "kubeconfig"
        files = {"client-certificate": str(keys.folder / "admin.crt"), "client-key": str(keys.folder / "admin.key")}
        cluster = {"server": url, "certificate-authority": str(keys.folder / "ca.crt")}
        content: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
        content["clusters"] = [{"name": "c", "cluster": cluster}]
        content["users"] = [{"name": "c", "user": files}]
        content["contexts"] = [{"name": "c", "context": {"cluster": "c", "user": "c"}}]
        self.kubeconfig.write_text(yaml.safe_dump(content))

    async def kubectl(self, *arguments: str, given: str = "") -> Told:
        """Real kubectl, as an administrator."""
        cache = ("--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.keys.folder / "cache"))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            kubectl_path(), *cache, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
        return Told(process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def served_api(folder: Path, *, front_proxy: bool = False, **options: Any) -> AsyncIterator[Served]:
    """A server that is ready and listens; as a `front_proxy` it has a certificate for aggregated API servers."""
    keys = ClusterKeys(folder)
    if front_proxy:
        keys.sign("front-proxy-client")
        options |= {"proxy_client_cert": folder / "front-proxy-client.crt", "requestheader_ca": folder / "ca.crt"}
        options |= {"proxy_client_key": folder / "front-proxy-client.key", "client_ca": folder / "ca.crt"}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "apiserver.crt", folder / "apiserver.key")
    tls.load_verify_locations(folder / "ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    async with running_api(**options) as api:
        listening = socket.create_server(("127.0.0.1", 0))
        front = web_server(api.app, tls)
        serving = asyncio.ensure_future(front.serve(sockets=[listening]))
        connector = aiohttp.TCPConnector(ssl=keys.client_context(), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Served(api, f"https://127.0.0.1:{listening.getsockname()[1]}", keys, session)
        front.should_exit = True
        await serving
        await api.server.forwarding.close()


def own_address() -> str:
    """An address of this machine that is not the loopback, which nobody may reach through a proxy."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))
        address: str = asking.getsockname()[0]
        return address


@contextlib.asynccontextmanager
async def backend(
    app: web.Application, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server for the API server to reach; gives its port."""
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    listening = socket.create_server((host, 0))
    await web.SockSite(runner, listening, ssl_context=tls).start()
    try:
        yield listening.getsockname()[1]
    finally:
        await runner.cleanup()


async def have_ready_pod(api: Api, name: str, address: str, *ports: dict[str, Any]) -> None:
    """A pod that runs and answers at that address."""
    container = {"name": "app", "image": "app:1", "ports": list(ports)}
    labels = {"app": name}
    spec = {"nodeName": "n1", "containers": [container]}
    await api.made(f"{CORE}/pods", {"metadata": {"name": name, "labels": labels}, "spec": spec})
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    status["conditions"] = [{"type": "Ready", "status": "True"}]
    assert (await api.patch(f"{CORE}/pods/{name}/status", {"status": status})).status == 200


async def have_service(api: Api, name: str, pod: str, address: str, **ports: int) -> None:
    """A service on port 80 (and 81 ...) with that pod behind it, at the given ports by name."""
    listed = [
        {"name": port, "port": 443 if port == "https" else 80 + index, "targetPort": number}
        for index, (port, number) in enumerate(ports.items())
    ]
    await api.made(
        f"{CORE}/services", {"metadata": {"name": name}, "spec": {"selector": {"app": pod}, "ports": listed}}
    )
    ref = {"kind": "Pod", "name": pod, "namespace": "default"}
    endpoint = {"addresses": [address], "conditions": {"ready": True}, "targetRef": ref}
    metadata = {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
    slice_ = {"metadata": metadata, "addressType": "IPv4", "endpoints": [endpoint]}
    slice_["ports"] = [{"name": port, "port": number} for port, number in ports.items()]
    await api.made("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
