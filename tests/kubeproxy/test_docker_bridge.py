"""Services between real containers on a real Docker bridge: rules of our own table, names from our own DNS server."""

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from uuid import uuid4

import pytest
from make import a_service

from kubeproxy.backends import NftablesBackend
from kubeproxy.backends.network import Network
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.server import DnsServer
from kubeproxy.dns.upstream import Upstream
from kubeproxy.dns.zone import Zone, ZoneSettings
from kubeproxy.plan import Here, plan
from kubeproxy.rules import Target
from tests.kubeproxy.slices import a_slice, an_endpoint

NUMBER = os.getpid() % 200
PODS, SERVICES = IPv4Network(f"10.231.{NUMBER}.0/24"), IPv4Network(f"10.98.{NUMBER}.0/24")
GATEWAY, WEB_IP, DNS_IP = f"10.231.{NUMBER}.1", f"10.98.{NUMBER}.7", f"10.98.{NUMBER}.10"
NODE_PORT = 31000 + NUMBER


def why_not() -> str:
    if os.geteuid() != 0 or not shutil.which("nft"):
        return "needs root and nft"
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no Docker runs here"
    return "" if Path("/bin/busybox").exists() else "no /bin/busybox to build an image from (Debian: busybox-static)"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


class Bridge:
    """A Docker network and its containers, by name."""

    def __init__(self) -> None:
        self.name = f"wkp-{uuid4().hex[:8]}"
        self.addresses: dict[str, str] = {}

    def start(self, pod: str) -> None:
        script = f"mkdir /www; echo {pod} > /www/index.html; exec httpd -f -p 8080 -h /www"
        dns = ["--dns", DNS_IP, "--dns-search", "default.svc.cluster.local"]
        docker("run", "-d", "--name", f"{self.name}-{pod}", "--network", self.name, *dns, self.name, "sh", "-c", script)
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        self.addresses[pod] = docker("inspect", "-f", template, f"{self.name}-{pod}").strip()

    async def fetch(self, pod: str, address: str, port: int) -> str:
        """The page that a container gets."""
        # The static busybox resolves names only in nslookup; its wget does not even start.
        ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} {port}"
        return (await self.run(pod, "sh", "-c", ask)).rpartition("\r\n\r\n")[2]

    async def run(self, pod: str, *argv: str) -> str:
        """What a command in a container prints, errors too."""
        return await asyncio.to_thread(docker, "exec", f"{self.name}-{pod}", *argv, check=False)


def docker(*argv: str, stdin: bytes | None = None, check: bool = True) -> str:
    done = subprocess.run(["docker", *argv], input=stdin, capture_output=True, check=check, timeout=60)
    return (done.stdout + done.stderr).decode()


def busybox_image() -> bytes:
    """A file system with nothing but busybox."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for applet in ("sh", "mkdir", "echo", "httpd", "printf", "nc", "nslookup"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    made = Bridge()
    try:
        docker("import", "-", made.name, stdin=busybox_image())
        docker("network", "create", "--subnet", str(PODS), "--gateway", GATEWAY, made.name)
        for pod in ("one", "two"):
            made.start(pod)
        yield made
    finally:
        for pod in made.addresses:
            docker("rm", "-f", f"{made.name}-{pod}", check=False)
        docker("network", "rm", made.name, check=False)
        docker("rmi", made.name, check=False)


@pytest.fixture
async def cluster(bridge: Bridge) -> AsyncIterator[Bridge]:
    service = a_service(
        "web", ports=({"name": "http", "port": 80, "nodePort": NODE_PORT},), cluster_ip=WEB_IP, type="NodePort"
    )
    slice = a_slice("web", *(an_endpoint(address) for address in bridge.addresses.values()))
    backend = NftablesBackend(bridge.name, PODS, SERVICES)
    await backend.apply(plan([service], [slice], Here("node-1", DNS_IP, Target(GATEWAY, 5353))))
    responder = Responder(Zone([service], [slice], ZoneSettings(dns_address=DNS_IP)))
    server = DnsServer(responder, Upstream(Path("/nowhere")), (Target(GATEWAY, 5353),))
    running = asyncio.create_task(server.run())
    await server.listening()
    yield bridge
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await backend.clear()


async def test_a_container_reaches_the_other_and_itself_through_the_cluster_ip(cluster: Bridge):
    answers = {await cluster.fetch("one", WEB_IP, 80) for _ in range(16)}

    assert answers == {"one\n", "two\n"}


async def test_a_container_may_use_a_node_port(cluster: Bridge):
    assert await cluster.fetch("two", GATEWAY, NODE_PORT) in ("one\n", "two\n")


DIALLED = {"cluster-ip": (WEB_IP, 80), "loopback": ("127.0.0.1", NODE_PORT), "gateway": (GATEWAY, NODE_PORT)}


@pytest.mark.parametrize("frontend", DIALLED)
async def test_the_host_reaches_the_service(cluster: Bridge, frontend: str):
    answers = {await fetch(*DIALLED[frontend]) for _ in range(16)}

    assert answers == {"one\n", "two\n"}


async def fetch(address: str, port: int) -> str:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
    return answer.decode().rpartition("\r\n\r\n")[2]


async def test_names_resolve_in_a_container(cluster: Bridge):
    whole = await cluster.run("one", "nslookup", "web.default.svc.cluster.local")
    short = await cluster.run("one", "nslookup", "web")
    unknown = await cluster.run("one", "nslookup", "nobody.default.svc.cluster.local")

    assert f"Address: {WEB_IP}" in whole
    assert f"Address: {WEB_IP}" in short
    assert "NXDOMAIN" in unknown


async def test_afterwards_the_host_is_as_before(cluster: Bridge):
    backend = NftablesBackend(cluster.name, PODS, SERVICES)
    assert cluster.name in await Network().command("iptables-save")

    await backend.clear()

    assert cluster.name not in await Network().command("iptables-save")
    assert cluster.name not in await Network().command("nft", "list", "tables")
