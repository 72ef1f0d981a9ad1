"""The HTTPS port of a component that has nothing to serve but what it says of itself: health and metrics.

    async with serving(place, Access(client), families):
        await work()

`/healthz`, `/livez` and `/readyz` answer everyone; `/metrics` those who may `get` that path, as on the API server.
Kubernetes: the secure ports of kube-scheduler (10259) and kube-controller-manager (10257).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import structlog

if TYPE_CHECKING:
    from aiohttp.web import Application
    from prometheus_client.core import Metric

    from wherry.client.serving.access import Access

HEALTH = ("/healthz", "/livez", "/readyz")
ADMIN_GROUP = "system:masters"
# Who starts has more urgent things to do than to load what this needs.
START_SECONDS = 2.0
# Another program may have the port; it is asked for again so often.
RETRY_SECONDS = 10.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

log = structlog.get_logger()


class Place(NamedTuple):
    """Where to listen, and the files of `Tls`. Port 0 is none at all."""

    address: str
    port: int
    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None

    @property
    def files(self) -> tuple[Path, Path, Path] | None:
        """Certificate, key and CA, if all are known."""
        return (self.cert, self.key, self.client_ca) if self.cert and self.key and self.client_ca else None


NOWHERE = Place("", 0)


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of a command that is given them as one argument, `place`."""

    @click.option("--bind-address", default="127.0.0.1", show_default=True, help="Address of the port for metrics.")
    @click.option("--secure-port", type=click.IntRange(0, 65535), default=0, help="That HTTPS port; 0 for none.")
    @click.option("--tls-cert-file", type=_FILE, help="Its certificate.")
    @click.option("--tls-private-key-file", type=_FILE, help="Its key.")
    @click.option("--client-ca-file", type=_FILE, help="CA of clients that show a certificate instead of a token.")
    @wraps(command)
    def with_place(**values: Any) -> None:
        names = ("bind_address", "secure_port", "tls_cert_file", "tls_private_key_file", "client_ca_file")
        place = Place(*(values.pop(name) for name in names))
        if place.port and place.files is None:
            raise click.UsageError(
                "--secure-port needs --tls-cert-file, --tls-private-key-file and --client-ca-file beside it"
            )
        command(place=place, **values)

    return with_place


@asynccontextmanager
async def serving(
    place: Place,
    access: Access,
    families: Callable[[], Iterable[Metric]],
    *,
    after_seconds: float = START_SECONDS,
) -> AsyncIterator[asyncio.Event]:
    """Listen beside the block, until it ends; gives what is set when that has begun.

    Nothing happens where no files or no port are given. Whoever has the port already keeps nobody from his work.
    """
    listens = asyncio.Event()
    files = place.files
    if not place.port or files is None:
        yield listens
        return
    listening = asyncio.create_task(_listen(place, files, access, families, after_seconds, listens), name="serving")
    try:
        yield listens
    finally:
        listening.cancel()
        await asyncio.wait((listening,))


async def _listen(
    place: Place,
    files: tuple[Path, Path, Path],
    access: Access,
    families: Callable[[], Iterable[Metric]],
    after_seconds: float,
    listens: asyncio.Event,
) -> None:
    await asyncio.sleep(after_seconds)
    from aiohttp import web

    from wherry.client.serving.tls import Tls, context_of

    runner = web.AppRunner(_app(access, families), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        tls = context_of(Tls(*files))
        while not listens.is_set():
            try:
                await web.TCPSite(runner, place.address, place.port, ssl_context=tls).start()
                listens.set()
            except OSError as error:
                log.warning("no metrics yet", address=place.address, port=place.port, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()


def _app(access: Access, families: Callable[[], Iterable[Metric]]) -> Application:
    from aiohttp import web

    from wherry.client.serving.counting import exposition
    from wherry.client.serving.tls import certificate_of

    async def health(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(request: web.Request) -> web.Response:
        user = await access.user(certificate_of(request), request.headers.get("Authorization", ""))
        if user is None:
            return web.Response(status=401, text="Unauthorized")
        wanted = {"nonResourceAttributes": {"verb": "get", "path": request.path}}
        if ADMIN_GROUP not in user.groups and not await access.may(user, wanted):
            text = f'forbidden: User "{user.name}" cannot get path "{request.path}"'
            return web.Response(status=403, text=text)
        return web.Response(text=exposition(families(), of_process=True))

    app = web.Application()
    for path in HEALTH:
        app.router.add_get(path, health)
    app.router.add_get("/metrics", metrics)
    return app
