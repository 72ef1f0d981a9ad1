"""Where the API server is and who we are: read from a kubeconfig file or from inside a pod.

    connection = load_connection("~/.kube/config", context="shop")
    connection = in_cluster()

Certificates, keys and tokens may stand in the file or in files it names, relative to its folder.

Kubernetes: client-go `clientcmd`. Differs: one file, no merging of several; exec and auth-provider plugins and basic
authentication are refused with an error, as is a proxy.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REFUSED = ("exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra")


class KubeconfigError(ValueError):
    """The file cannot be used; says which file and which field."""


@dataclass(frozen=True)
class Connection:
    """An API server and an identity. `token_file` is read again while we run, because such tokens are rotated."""

    server: str
    ca_data: bytes | None = None
    token: str = field(default="", repr=False)
    cert_data: bytes | None = field(default=None, repr=False)
    key_data: bytes | None = field(default=None, repr=False)
    namespace: str = "default"
    insecure: bool = False
    token_file: str = ""
    server_name: str = ""

    def current_token(self) -> str:
        """The bearer token, "" for none."""
        return Path(self.token_file).read_text().strip() if self.token_file else self.token


def load_connection(path: str | Path, context: str = "") -> Connection:
    """The connection of a context, by default the file's current one."""
    return _Kubeconfig(Path(path).expanduser()).connection(context)


def in_cluster(folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> Connection:
    """The connection of a pod's service account."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token_file = folder / "token"
    if not host or not port or not token_file.exists():
        raise KubeconfigError(
            f"not inside a pod: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and {token_file} are needed"
        )
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    namespace = folder / "namespace"
    return Connection(
        server,
        ca_data=(folder / "ca.crt").read_bytes(),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        token_file=str(token_file),
    )


class _Kubeconfig:
    """One file, opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            content = yaml.load(path.read_text(), yaml.CSafeLoader)
        except OSError as error:
            raise KubeconfigError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise KubeconfigError(f"{path}: not YAML: {error}") from error
        if not isinstance(content, dict):
            raise self._error("expected an object with clusters, users and contexts", content)
        self._content = content

    def connection(self, context_name: str) -> Connection:
        """The connection that a context names."""
        context = self._entry("contexts", context_name or self._current(), "context")
        cluster = self._entry("clusters", context.get("cluster", ""), "cluster")
        user = self._entry("users", context["user"], "user") if context.get("user") else {}
        for refused in (*_REFUSED, "proxy-url"):
            if user.get(refused) or cluster.get(refused):
                raise self._error(f"{refused} is not supported: use a token or a client certificate", refused)
        if not cluster.get("server"):
            raise self._error("the cluster has no server", context.get("cluster"))
        cert, key = self._data(user, "client-certificate"), self._data(user, "client-key")
        if (cert is None) != (key is None):
            raise self._error("client-certificate and client-key must be given together", context["user"])
        return Connection(
            server=str(cluster["server"]).rstrip("/"),
            ca_data=self._data(cluster, "certificate-authority"),
            token=user.get("token") or "",
            cert_data=cert,
            key_data=key,
            namespace=context.get("namespace") or "default",
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            token_file="" if user.get("token") else self._beside(user.get("tokenFile")),
            server_name=cluster.get("tls-server-name") or "",
        )

    def _current(self) -> str:
        name = self._content.get("current-context")
        if not name:
            raise self._error("there is no current-context: name one", sorted(self._names("contexts")))
        return str(name)

    def _names(self, section: str) -> list[str]:
        return [str(entry.get("name")) for entry in self._content.get(section) or [] if isinstance(entry, dict)]

    def _entry(self, section: str, name: str, key: str) -> dict[str, Any]:
        for entry in self._content.get(section) or []:
            if isinstance(entry, dict) and entry.get("name") == name:
                return entry.get(key) or {}
        raise self._error(f"no {key} of this name; there are {', '.join(self._names(section)) or 'none'}", name)

    def _data(self, source: dict[str, Any], key: str) -> bytes | None:
        """Inline base64 wins over a file."""
        inline = source.get(f"{key}-data")
        if inline:
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError) as error:
                raise self._error(f"{key}-data is not base64", "…") from error
        if not source.get(key):
            return None
        path = Path(self._beside(source[key]))
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._error(f"{key} cannot be read: {error.strerror}", str(path)) from error

    def _beside(self, path: str | None) -> str:
        return str(self._path.parent / path) if path else ""

    def _error(self, problem: str, seen: object) -> KubeconfigError:
        return KubeconfigError(f"{self._path}: {problem} (seen: {seen})")
