"""The operational endpoints, on FastAPI: metrics, the keys of tokens, the list of paths. Kubernetes resources do
not pass here.
"""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, disable_created_metrics, generate_latest

from apiserver.metrics.requests import Exposition
from apiserver.server import Server
from apiserver.storage.store import StoreError
from apiserver.webhooks.asking import REGISTRY as WEBHOOKS
from wherry import __version__

PATHS = ("/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz")
# A store that has no answer by then keeps nobody from the other metrics.
SIZE_SECONDS = 1.0


async def _size(server: Server) -> int | None:
    """Bytes of the store; None if it does not say so at once."""
    try:
        async with asyncio.timeout(SIZE_SECONDS):
            return await server.store.size()
    except (StoreError, TimeoutError):
        return None


def operations(server: Server) -> FastAPI:
    """The FastAPI app for one server."""
    app = FastAPI(title="Wherry API server", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)

    disable_created_metrics()  # type: ignore[no-untyped-call]  # Kubernetes does not say since when it counts
    own = CollectorRegistry(auto_describe=False)
    exposition = Exposition(server)
    own.register(exposition)

    @app.get("/metrics")
    async def metrics() -> Response:
        exposition.store_bytes = await _size(server)
        told = b"".join(generate_latest(each) for each in (REGISTRY, WEBHOOKS, own))
        return Response(told, media_type=CONTENT_TYPE_LATEST)

    @app.get("/.well-known/openid-configuration")
    async def openid_configuration() -> JSONResponse:
        issuer = server.tokens.issuer
        body = {"issuer": issuer, "jwks_uri": f"{issuer}/openid/v1/jwks", "response_types_supported": ["id_token"]}
        body |= {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"]}
        return JSONResponse(body)

    @app.get("/openid/v1/jwks")
    async def public_keys() -> JSONResponse:
        return JSONResponse(server.tokens.public_keys(), media_type="application/jwk-set+json")

    @app.get("/")
    async def paths() -> JSONResponse:
        return JSONResponse({"paths": [*PATHS, "/version"]})

    @app.exception_handler(404)
    async def no_such_path(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("404 page not found\n", status_code=404)

    return app
