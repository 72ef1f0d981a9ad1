"""From what an operator wrote to an open store: `memory`, `sqlite:PATH`, `etcd:https://a:2379,https://b:2379`."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from apiserver.storage.store import Store, StoreError


@dataclass(frozen=True, kw_only=True)
class EtcdOptions:
    """How to reach an etcd cluster; `endpoints` are URLs, all https or all http. Raises StoreError when they are not.

    `ca_file` None trusts the machine's authorities; `cert_file` and `key_file` identify us by certificate,
    `user` and `password` by token.
    """

    endpoints: tuple[str, ...]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        schemes = {_checked_scheme(endpoint) for endpoint in self.endpoints}
        if len(schemes) != 1:
            listed = ", ".join(self.endpoints) or "none"
            raise StoreError(f"etcd endpoints: {listed}: expected one or more, all https:// or all http://")
        if (self.cert_file is None) != (self.key_file is None):
            raise StoreError("etcd: a client certificate needs both a certificate file and a key file")
        if bool(self.user) != bool(self.password):
            raise StoreError("etcd: a user needs a password, and a password a user")

    @property
    def is_encrypted(self) -> bool:
        return self.endpoints[0].startswith("https:")


async def open_store(where: str | EtcdOptions) -> Store:
    """Open the store that `where` names. The caller closes it. Raises StoreError, StoreUnavailable."""
    if isinstance(where, EtcdOptions):
        return await _open_etcd(where)
    scheme, _, rest = where.partition(":")
    if scheme == "memory" and not rest:
        from apiserver.storage.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and rest:
        from apiserver.storage.sqlite import SqliteStore

        return await SqliteStore.open(Path(rest))
    if scheme == "etcd" and rest:
        return await _open_etcd(EtcdOptions(endpoints=tuple(rest.split(","))))
    raise StoreError(f"store {where!r}: expected memory, sqlite:PATH or etcd:URL,URL,…")


async def _open_etcd(options: EtcdOptions) -> Store:
    from apiserver.storage.etcd import EtcdStore

    return await EtcdStore.open(options)


def _checked_scheme(endpoint: str) -> str:
    try:
        url = urlsplit(endpoint)
        usable = url.scheme in ("http", "https") and url.hostname and url.port and url.path in ("", "/")
        if url.username is not None or url.password is not None:
            # A password here would be seen in errors and in the list of processes.
            raise StoreError(f"etcd endpoint at {url.hostname}: a user and password do not belong into the URL")
    except ValueError:
        usable = False
    if not usable:
        raise StoreError(f"etcd endpoint {endpoint!r}: expected https://HOST:PORT or http://HOST:PORT")
    return url.scheme
