"""A webhook server as people run them: HTTPS with a certificate of its own, and any answers a test wants.

async with webhook_server(served) as hooks:
    hooks.answers["/deny"] = lambda request: {"allowed": False}
    await have_webhook(served.api, "validating", "deny", hooks.at("/deny"), rules=[rule("pods")])
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from aiohttp import web

from tests.apiserver.local_api import Api
from tests.apiserver.served_api import Served, backend, have_ready_pod, have_service, own_address

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
Json = dict[str, Any]


class Hooks:
    """What was asked, and how to answer by path."""

    def __init__(self, port: int, ca_bundle: str) -> None:
        self.port, self.ca_bundle = port, ca_bundle
        self.asked: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Callable[[Json], Json]] = {}
        self.hanging = asyncio.Event()

    def at(self, path: str, **service: Any) -> Json:
        """A clientConfig that leads here by way of the service `hook`."""
        reference = {"name": "hook", "namespace": "default", "path": path, **service}
        return {"service": reference, "caBundle": self.ca_bundle}

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.path == "/hang":
            await self.hanging.wait()
        if request.path not in self.answers:
            return web.Response(status=500, text="no idea")
        response = {"uid": review["request"]["uid"], **self.answers[request.path](review["request"])}
        return web.json_response({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})

    def take(self) -> list[Json]:
        """The requests so far; the next time only later ones."""
        taken = [review["request"] for review in self.asked]
        self.asked.clear()
        return taken


@contextlib.asynccontextmanager
async def webhook_server(served: Served) -> AsyncIterator[Hooks]:
    """The server behind the service `hook`, port 443."""
    keys = served.keys
    keys.sign("hook", hosts=("hook.default.svc",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(keys.folder / "hook.crt", keys.folder / "hook.key")
    app = web.Application()
    hooks = Hooks(0, b64encode((keys.folder / "ca.crt").read_bytes()).decode())
    app.router.add_post("/{path:.*}", hooks.answer)
    address = own_address()
    async with backend(app, host=address, tls=tls) as port:
        hooks.port = port
        await have_ready_pod(served.api, "hook", address, {"containerPort": port})
        await have_service(served.api, "hook", "hook", address, https=port)
        try:
            yield hooks
        finally:
            hooks.hanging.set()
            await served.api.server.callouts.close()


def rule(*resources: str, operations: tuple[str, ...] = ("*",), group: str = "", version: str = "v1") -> Json:
    return {
        "operations": list(operations),
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": list(resources),
    }


async def have_webhook(api: Api, type: str, name: str, client: Json, rules: list[Json], **more: Any) -> None:
    """One configuration with one webhook, in force."""
    hook = {"name": f"{name}.example.com", "clientConfig": client, "rules": rules, "sideEffects": "None", **more}
    hook.setdefault("admissionReviewVersions", ["v1"])
    await api.made(f"{ADMISSION}/{type}webhookconfigurations", {"metadata": {"name": name}, "webhooks": [hook]})


def patch(*operations: Json) -> Json:
    """An answer that changes the object."""
    return {"allowed": True, "patchType": "JSONPatch", "patch": b64encode(orjson.dumps(operations)).decode()}
