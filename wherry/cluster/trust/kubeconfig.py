"""Kubeconfigs: one per component, and our context in the file of the person who typed `wherry up`.

In that file our entries carry an extension that says whose they are. An entry of the same name without it belongs to
somebody else and is never touched. The file is changed under kubectl's own lock (`config.lock` beside it), in one
step, and closed to others. The comments in it are lost, as kubectl loses them.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from wherry.cluster.files import write_private
from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem

Config = dict[str, Any]

SECTIONS = ("clusters", "users", "contexts")
_BODY = {"clusters": "cluster", "users": "user", "contexts": "context"}
_EXTENSION = "wherry"
_LOCK_SECONDS = 5.0


def component_kubeconfig(layout: Layout, component: str, server: str) -> None:
    """Write the kubeconfig of a component, credentials included."""
    write_private(layout.kubeconfig(component), _dump(_config(layout, component, server)))


def users_kubeconfig() -> Path:
    """The file kubectl would change: the first of KUBECONFIG, or ~/.kube/config."""
    named = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def merge_context(layout: Layout, path: Path, server: str) -> str:
    """Add our context to a person's file and make it the current one; gives the one that was current before.

    Raises ClusterProblem when entries of our name belong to somebody else.
    """
    ours = _config(layout, "admin", server, owner=layout.title)
    before = ""

    def merge(config: Config) -> None:
        nonlocal before
        for section in SECTIONS:
            _refuse_foreign(config, section, layout.title, path)
        _remove(config, layout.title)
        for section in SECTIONS:
            config[section] = [*(config.get(section) or []), *ours[section]]
        before = config.get("current-context") or ""
        config["current-context"] = layout.title

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _change(path, merge)
    return "" if before == layout.title else before


def remove_context(layout: Layout, path: Path, context_before: str) -> None:
    """Take our entries out again; a file that holds nothing more is removed."""

    def remove(config: Config) -> None:
        _remove(config, layout.title)
        names = {entry.get("name") for entry in config.get("contexts") or []}
        if config.get("current-context") == layout.title and layout.title not in names:
            config["current-context"] = context_before if context_before in names else ""

    if path.exists():
        _change(path, remove)


def _config(layout: Layout, component: str, server: str, *, owner: str = "") -> Config:
    title = layout.title
    cluster: Config = {"server": server, "certificate-authority-data": _base64(layout.ca_file)}
    context: Config = {"cluster": title, "user": title}
    if owner:
        for body in (cluster, context):  # each its own: YAML would write one as a reference to the other
            mark = {"cluster": layout.name, "dataDir": str(layout.data_dir)}
            body["extensions"] = [{"name": _EXTENSION, "extension": mark}]
    user = {
        "client-certificate-data": _base64(layout.certificate(component)),
        "client-key-data": _base64(layout.key(component)),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": title, "cluster": cluster}],
        "users": [{"name": title, "user": user}],
        "contexts": [{"name": title, "context": context}],
        "current-context": title,
    }


def _refuse_foreign(config: Config, section: str, name: str, path: Path) -> None:
    for entry in config.get(section) or []:
        # Users have no extensions: whose one is, its context says.
        body = entry.get(_BODY[section]) or {}
        is_ours = _has_our_context(config, name) if section == "users" else _is_ours(body)
        if entry.get("name") == name and not is_ours:
            raise ClusterProblem(
                f"{path}: the {_BODY[section]} {name!r} was not made by wherry and is left alone; "
                f"rename it, or choose another --name or --kubeconfig"
            )


def _is_ours(body: Config) -> bool:
    return any(extension.get("name") == _EXTENSION for extension in body.get("extensions") or [])


def _has_our_context(config: Config, name: str) -> bool:
    return any(
        entry.get("name") == name and _is_ours(entry.get("context") or {}) for entry in config.get("contexts") or []
    )


def _remove(config: Config, name: str) -> None:
    """Remove our cluster and context, and the user that came with them unless another context names it."""
    user_is_ours = _has_our_context(config, name)
    for section in ("clusters", "contexts"):
        if section in config:
            config[section] = [
                entry
                for entry in config[section] or []
                if entry.get("name") != name or not _is_ours(entry.get(_BODY[section]) or {})
            ]
    used = {(entry.get("context") or {}).get("user") for entry in config.get("contexts") or []}
    if user_is_ours and name not in used and "users" in config:
        config["users"] = [entry for entry in config["users"] or [] if entry.get("name") != name]


def _change(path: Path, change: Callable[[Config], None]) -> None:
    with _locked(path):
        config = _load(path)
        change(config)
        if any(config.get(section) for section in SECTIONS):
            write_private(path, _dump(config))
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):  # only an empty folder goes
        path.parent.rmdir()


def _load(path: Path) -> Config:
    import yaml  # not before `up` has started the supervisor, which gets ready meanwhile

    try:
        config = yaml.load(path.read_text(), yaml.CSafeLoader) if path.exists() else None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClusterProblem(f"{path}: cannot be read as a kubeconfig: {error}") from error
    config = config or {"apiVersion": "v1", "kind": "Config"}
    if not isinstance(config, dict) or not all(_is_list_of_objects(config.get(section)) for section in SECTIONS):
        raise ClusterProblem(f"{path}: not a kubeconfig: expected an object with lists of {', '.join(SECTIONS)}")
    return config


def _is_list_of_objects(entries: object) -> bool:
    return entries is None or (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise ClusterProblem(f"{lock} is held by another program; if none is running, remove it") from None
            time.sleep(0.05)
        except OSError as error:
            raise ClusterProblem(f"{lock}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _dump(config: Config) -> bytes:
    import yaml

    return str(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False)).encode()
