"""The operational endpoints, on FastAPI: version, health, metrics. The Kubernetes resources do not pass here."""

from __future__ import annotations

import platform

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from apiserver.server import Server
from wherry import __version__

# The Kubernetes version whose behaviour is followed; clients compare it with their own.
KUBERNETES = (1, 37, 0)


def version() -> dict[str, str]:
    """The body of /version."""
    major, minor, patch = KUBERNETES
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": str(major),
        "minor": str(minor),
        "emulationMajor": str(major),
        "emulationMinor": str(minor),
        "minCompatibilityMajor": str(major),
        "minCompatibilityMinor": str(minor - 1),
        "gitVersion": f"v{major}.{minor}.{patch}+wherry-{__version__}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{machine}",
    }


def operations(server: Server) -> FastAPI:
    """The FastAPI app for one server."""
    app = FastAPI(title="Wherry API server", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/version")
    @app.get("/version/", include_in_schema=False)
    async def get_version() -> JSONResponse:
        return JSONResponse(version())

    @app.get("/healthz")
    @app.get("/livez")
    @app.get("/readyz")
    async def health(request: Request) -> Response:
        return _health(server, request.url.path.strip("/"), request)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

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
        known = ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
        return JSONResponse({"paths": known})

    @app.exception_handler(404)
    async def no_such_path(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("404 page not found\n", status_code=404)

    return app


def _health(server: Server, name: str, request: Request) -> Response:
    """`ok`, or what is wrong; being alive does not wait for being ready."""
    checks: dict[str, bool] = {"ping": True}
    if name != "livez":
        checks |= {step: step not in server.health.pending for step in ("watch-cache", "bootstrap")}
        checks["shutdown"] = not server.health.is_draining
    for excluded in request.query_params.getlist("exclude"):
        checks.pop(excluded, None)
    healthy = all(checks.values())
    if healthy and "verbose" not in request.query_params:
        return PlainTextResponse("ok")
    lines = [f"[+]{check} ok" if good else f"[-]{check} failed: not done" for check, good in checks.items()]
    lines.append(f"{name} check {'passed' if healthy else 'failed'}")
    return PlainTextResponse("\n".join(lines) + "\n", status_code=200 if healthy else 500)
