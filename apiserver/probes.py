"""What must answer at once, from the first moment on: health and version. Kubernetes: healthz, livez, readyz, /version.

The other operational endpoints are FastAPI's (`operations.py`), which takes half a second to import and is loaded when
the first of them is asked for.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from apiserver.request import Request, Response, json_response
from apiserver.storage.encryption.store import EncryptedStore
from wherry import __version__

if TYPE_CHECKING:
    from apiserver.server import Server

# The Kubernetes version whose behaviour is followed; clients compare it with their own.
KUBERNETES = (1, 37, 0)
HEALTH = ("healthz", "livez", "readyz")
_TEXT = b"text/plain; charset=utf-8"


def serve(server: Server, request: Request) -> Response | None:
    """Answer a probe; None if the path is none."""
    name, _, check = request.path.strip("/").partition("/")
    if name == "version" and not check:
        return json_response(version())
    if name in HEALTH:
        return _health(server, name, check, request)
    return None


def is_health(request: Request) -> bool:
    """Whether somebody asks how the server is: answered to everyone, at any time. Kubernetes: always-allow paths."""
    return request.target is None and request.path.strip("/").partition("/")[0] in HEALTH


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


def _health(server: Server, name: str, only: str, request: Request) -> Response | None:
    """`ok`, or what is wrong; being alive does not wait for being ready."""
    checks: dict[str, bool] = {"ping": True}
    if name != "livez":
        checks |= {step: step not in server.health.pending for step in ("watch-cache", "bootstrap")}
        if isinstance(server.store, EncryptedStore) and server.store.plugins:
            checks["kms-providers"] = all(plugin.is_healthy for plugin in server.store.plugins)
        checks["shutdown"] = not server.health.is_draining
    if only:
        if only not in checks:
            return None
        checks = {only: checks[only]}
    for excluded in request.query.get("exclude", []):
        checks.pop(excluded, None)
    for check, good in checks.items():
        server.health.say(check, name, good=good)
    healthy = all(checks.values())
    if healthy and "verbose" not in request.query:
        return Response(200, b"ok", _TEXT)
    lines = [f"[+]{check} ok" if good else f"[-]{check} failed: not done" for check, good in checks.items()]
    lines.append(f"{name} check {'passed' if healthy else 'failed'}")
    return Response(200 if healthy else 500, ("\n".join(lines) + "\n").encode(), _TEXT)
