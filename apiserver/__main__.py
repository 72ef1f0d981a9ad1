"""`python -m apiserver`: one API server, as a process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from apiserver.options import Options, audit_of, settings_of, spans_of
from wherry.client.logs import log_to_stdout
from wherry.machinery.garbage import look_seldom

if TYPE_CHECKING:
    import uvicorn

    from apiserver.app import App
    from apiserver.server import Server
    from apiserver.storage.store import Store

log = structlog.get_logger()

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# How long connections may take to finish after SIGTERM.
DRAIN_SECONDS = 5


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--store", required=True, help="memory, sqlite:PATH, or etcd:URL[,URL...]")
@click.option(
    "--bind-address", "bind_addresses", multiple=True, default=("127.0.0.1",), help="Repeat to listen on several."
)
@click.option("--port", default=6443)
@click.option("--tls-cert", type=FILE, required=True, help="This server's certificate.")
@click.option("--tls-key", type=FILE, required=True)
@click.option("--client-ca", type=FILE, required=True, help="Who signs the certificates of clients.")
@click.option("--service-account-key", type=FILE, required=True, help="EC private key (PEM) that signs pods' tokens.")
@click.option("--service-cidr", default="10.96.0.0/16", help="Where cluster addresses of services come from.")
@click.option(
    "--advertise-address", default="", help="How pods reach this server; the last --bind-address if not given."
)
@click.option("--kubelet-ca", type=FILE, help="Who signs the kubelets' serving certificates.")
@click.option("--kubelet-cert", type=FILE, help="Client certificate towards kubelets.")
@click.option("--kubelet-key", type=FILE)
@click.option("--proxy-client-cert", type=FILE, help="Client certificate towards aggregated API servers.")
@click.option("--proxy-client-key", type=FILE)
@click.option("--requestheader-client-ca", type=FILE, help="Who signed it: told to those servers.")
@click.option("--etcd-ca", type=FILE, help="Who signs etcd's certificates.")
@click.option("--etcd-cert", type=FILE)
@click.option("--etcd-key", type=FILE)
@click.option("--disable-admission-plugins", multiple=True, metavar="NAME", help="Leave an admission plugin out.")
@click.option("--enable-admission-plugins", multiple=True, metavar="NAME", help="Use one that is off by default.")
@click.option("--pod-security-config", type=FILE, help="Defaults and exemptions of Pod Security (YAML).")
@click.option("--authentication-config", type=FILE, help="Whose ID tokens are believed, and what they mean (YAML).")
@click.option("--oidc-issuer-url", default="", metavar="URL", help="Believe the ID tokens of this issuer.")
@click.option("--oidc-client-id", default="", metavar="ID", help="For whom they must be.")
@click.option("--oidc-ca-file", type=FILE, help="Who signed the issuer's certificate, if not everybody knows them.")
@click.option("--oidc-username-claim", default="sub", metavar="CLAIM")
@click.option("--oidc-username-prefix", default="", metavar="TEXT", help="- is none; else the issuer, but for e-mail.")
@click.option("--oidc-groups-claim", default="", metavar="CLAIM")
@click.option("--oidc-groups-prefix", default="", metavar="TEXT")
@click.option("--oidc-signing-algs", default="RS256", metavar="NAME[,NAME...]")
@click.option("--oidc-required-claim", multiple=True, metavar="CLAIM=VALUE", help="What a token must say.")
@click.option(
    "--max-requests-inflight",
    type=click.IntRange(min=1),
    default=100,
    help="How many requests run at once; priority levels share them.",
)
@click.option(
    "--request-timeout",
    type=click.FloatRange(min=1),
    default=60,
    help="Seconds after which a request that is not done fails.",
)
@click.option("--encryption-provider-config", type=FILE, help="Which resources are encrypted at rest, with which keys.")
@click.option("--audit-policy-file", type=FILE, help="Which requests are written into the audit log, and how much.")
@click.option("--tracing-config-file", type=FILE, help="Where OpenTelemetry listens, and what it is told (YAML).")
@click.option("--audit-log-path", default="-", help="The audit log; - is standard output.")
@click.option("--audit-log-maxsize", type=click.IntRange(min=0), default=100, help="In MiB; then a new file begins.")
@click.option("--audit-log-maxbackup", type=click.IntRange(min=0), default=10, help="Files that are kept; 0 is all.")
@click.option("--audit-log-maxage", type=click.IntRange(min=0), default=0, help="Days they are kept; 0 is for ever.")
@click.option(
    "--default-not-ready-toleration-seconds",
    type=click.IntRange(min=0),
    default=300,
    help="How long pods that say nothing else stay on a node that is not ready.",
)
@click.option(
    "--default-unreachable-toleration-seconds",
    type=click.IntRange(min=0),
    default=300,
    help="How long they stay on a node that is silent.",
)
def main(**values: object) -> None:
    """Serve the Kubernetes API from a store."""
    import uvloop

    options = Options(**values)  # type: ignore[arg-type]
    log_to_stdout()
    # Cyclic garbage is rare here and the cache is large: all of it is looked at seldom, and a little at a time, so that
    # no request waits long for it.
    look_seldom(10_000, 250)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.exit(runner.run(serve(options)))
    except KeyboardInterrupt:
        sys.exit(0)


def tls_context(options: Options) -> ssl.SSLContext:
    """TLS 1.2 and newer; a client certificate is asked for, not required, since tokens are as good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.tls_cert, options.tls_key)
    context.load_verify_locations(options.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    # Neither our clients nor kubectl resume a session, and the tickets for it are a third of a handshake.
    context.num_tickets = 0
    return context


def web_server(app: App, tls: ssl.SSLContext) -> uvicorn.Server:
    """uvicorn with our protocols and without its own signals, logs and headers."""
    import uvicorn

    from apiserver.protocols.http import HttpProtocol

    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=_websocket,  # type: ignore[arg-type]  # it is called as the class would be
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # who is in front of us would have to be trusted: the address of the connection is told
        timeout_keep_alive=90,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=None,
    )
    config.load()
    config.ssl = tls
    web = uvicorn.Server(config)
    web.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]  # ours end the watches first
    return web


def _websocket(**given: Any) -> asyncio.Protocol:
    """The protocol of a connection that becomes a WebSocket; imported with the first of them."""
    from apiserver.protocols.websocket import WebSocketProtocol

    return WebSocketProtocol(**given)


async def _open_store(options: Options) -> Store:
    """The store, in the clear to whoever holds it."""
    if options.encryption_provider_config is None:
        return await _open_plain_store(options)
    from apiserver.storage.encryption.config import EncryptionError, load_encryption
    from apiserver.storage.encryption.store import EncryptedStore
    from apiserver.storage.store import StoreUnavailable
    from wherry.api import kinds

    kinds.load()
    try:
        folders = load_encryption(options.encryption_provider_config).by_folder()
    except EncryptionError as error:
        raise click.ClickException(str(error)) from None
    store = EncryptedStore(await _open_plain_store(options), folders)
    try:
        await store.begin()
    except StoreUnavailable as error:
        await store.close()
        raise click.ClickException(str(error)) from None
    return store


async def _open_plain_store(options: Options) -> Store:
    from apiserver.storage import EtcdOptions, open_store
    from apiserver.storage.store import StoreError

    try:
        if not options.store.startswith("etcd:"):
            return await open_store(options.store)
        endpoints = tuple(options.store.removeprefix("etcd:").split(","))
        ca, cert, key = options.etcd_ca, options.etcd_cert, options.etcd_key
        return await open_store(EtcdOptions(endpoints=endpoints, ca_file=ca, cert_file=cert, key_file=key))
    except StoreError as error:
        raise click.ClickException(f"--store {options.store}: {error}") from None


async def serve(options: Options) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status."""
    from apiserver.app import App
    from apiserver.server import Server
    from apiserver.storage.store import StoreError

    audit, spans = audit_of(options), spans_of(options)
    store = await _open_store(options)
    server = Server(store, settings_of(options), audit=audit, spans=spans)
    web = web_server(App(server), tls_context(options))
    sockets = [_listen(address, options.port) for address in options.bind_addresses]

    running = asyncio.ensure_future(server.run())
    serving = asyncio.ensure_future(web.serve(sockets=sockets))
    keeping = asyncio.ensure_future(_keep_what_was_read(server))

    def stop() -> None:
        server.end_watches()
        web.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    await asyncio.wait((running, serving), return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if running.done() and not serving.done():
        error = running.exception()
        log.error("the watch cache stopped", error=str(error) if isinstance(error, StoreError) else repr(error))
        status = 1
        stop()
    await serving
    running.cancel()
    keeping.cancel()
    await asyncio.gather(running, keeping, return_exceptions=True)
    await server.kubelets.close()
    await server.forwarding.close()
    await server.callouts.close()
    if server.audit is not None:
        server.audit.close()
    await store.close()
    if server.spans is not None:
        await asyncio.to_thread(server.spans.close)
    return status


async def _keep_what_was_read(server: Server) -> None:
    await server.health.ready.wait()
    gc.freeze()


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {address}:{port}: {error.strerror}") from None
    listening.listen(2048)
    listening.setblocking(False)
    return listening


if __name__ == "__main__":
    main(prog_name="python -m apiserver")
