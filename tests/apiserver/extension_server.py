"""An aggregated API server, small and whole: flunders in memory, discovery, OpenAPI, and callers told by headers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from tests.apiserver.served_api import Served, backend, have_ready_pod, have_service, own_address

GROUP, VERSION = "wardle.example.com", "v1alpha1"
ROOT = f"/apis/{GROUP}/{VERSION}"
VERBS = ["create", "delete", "get", "list", "watch"]
RESOURCE = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": VERBS}


class Extension:
    """Who asked, and the flunders there are."""

    def __init__(self) -> None:
        self.callers: list[dict[str, Any]] = []
        self.flunders: dict[str, dict[str, Any]] = {}
        self.is_well = True
        self.resources: list[Any] = [RESOURCE]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        self.callers.append(
            {
                "user": headers.get("X-Remote-User"),
                "groups": headers.getall("X-Remote-Group", []),
                "extra": {name: value for name, value in headers.items() if name.startswith("X-Remote-Extra-")},
                "authorization": headers.get("Authorization"),
                "certificate": dict(item[0] for item in request.transport.get_extra_info("peercert")["subject"]),
            }
        )
        if not self.is_well:
            return web.Response(status=500)
        if request.path == ROOT:
            return web.json_response(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": f"{GROUP}/{VERSION}",
                    "resources": self.resources,
                }
            )
        if request.path == "/openapi/v3":
            return web.json_response({"paths": {ROOT[1:]: {"serverRelativeURL": f"/openapi/v3{ROOT}?hash=1"}}})
        if request.path == f"/openapi/v3{ROOT}":
            return web.json_response({"openapi": "3.0.0", "info": {"title": "wardle", "version": "1"}, "paths": {}})
        return await self._flunders(request)

    async def _flunders(self, request: web.Request) -> web.StreamResponse:
        name = request.path.partition("/flunders")[2].strip("/")
        if request.method == "POST":
            made = await request.json()
            made["metadata"] |= {"uid": "1", "resourceVersion": "1", "namespace": "default"}
            self.flunders[made["metadata"]["name"]] = made
            return web.json_response(made, status=201)
        if request.query.get("watch"):
            answer = web.StreamResponse(headers={"Content-Type": "application/json"})
            await answer.prepare(request)
            for each in self.flunders.values():
                await answer.write(orjson.dumps({"type": "ADDED", "object": each}) + b"\n")
            await asyncio.sleep(0)
            return answer
        if name and name not in self.flunders:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            return web.json_response({**status, "message": f'flunders "{name}" not found'}, status=404)
        if name:
            return web.json_response(self.flunders[name])
        kind = {"kind": "FlunderList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"resourceVersion": "1"}}
        return web.json_response({**kind, "items": list(self.flunders.values())})


@contextlib.asynccontextmanager
async def extension_server(served: Served) -> AsyncIterator[Extension]:
    """The server behind the service `wardle`, which lets in nobody but a front proxy."""
    keys = served.keys
    keys.sign("wardle", hosts=("wardle.default.svc",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys.folder / "ca.crt"))
    tls.load_cert_chain(keys.folder / "wardle.crt", keys.folder / "wardle.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    extension, app, address = Extension(), web.Application(), own_address()
    app.router.add_route("*", "/{path:.*}", extension.answer)
    async with backend(app, host=address, tls=tls) as port:
        await have_ready_pod(served.api, "wardle", address, {"containerPort": port})
        await have_service(served.api, "wardle", "wardle", address, https=port)
        yield extension


def an_api_service(served: Served, **spec: Any) -> dict[str, Any]:
    bundle = b64encode((served.keys.folder / "ca.crt").read_bytes()).decode()
    service = {"name": "wardle", "namespace": "default"}
    wanted = {"group": GROUP, "version": VERSION, "service": service, "caBundle": bundle}
    wanted |= {"groupPriorityMinimum": 2000, "versionPriority": 200, **spec}
    return {"metadata": {"name": f"{VERSION}.{GROUP}"}, "spec": wanted}
