"""Somebody else's etcd, where a cluster keeps its objects: whether it answers, and what stays in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import EtcdSettings

if TYPE_CHECKING:
    from apiserver.storage import EtcdOptions

# Kubernetes' own; all that an API server writes is below it.
PREFIX = "/registry/"


def check_endpoints(etcd: EtcdSettings, say: Callable[[str], None]) -> None:
    """Raise ClusterProblem if no etcd serves us there; one that is just being started has some seconds."""
    # Imported here: most clusters have no such etcd.
    import asyncio

    from apiserver.storage import EtcdOptions
    from apiserver.storage.store import StoreError

    files = (Path(file) if file else None for file in (etcd.ca_file, etcd.cert_file, etcd.key_file))
    ca_file, cert_file, key_file = files
    try:
        options = EtcdOptions(endpoints=etcd.endpoints, ca_file=ca_file, cert_file=cert_file, key_file=key_file)
        asyncio.run(_ask(options, say))
    except StoreError as error:
        raise ClusterProblem(
            f"--etcd-endpoints: {error}: start that etcd, or leave the option out, and one is started for the cluster"
        ) from None


def removal_of_objects(etcd: EtcdSettings) -> str:
    """The command that removes all objects from that etcd."""
    files = (("--cacert", etcd.ca_file), ("--cert", etcd.cert_file), ("--key", etcd.key_file))
    access = "".join(f" {option} {file}" for option, file in files if file)
    return f"etcdctl --endpoints {','.join(etcd.endpoints)}{access} del --prefix {PREFIX}"


async def _ask(options: EtcdOptions, say: Callable[[str], None]) -> None:
    from apiserver.storage.etcd_connection import RANGE, EtcdConnection, Unanswered
    from apiserver.storage.etcd_messages import RangeRequest

    connection = EtcdConnection(options)
    question = RangeRequest(key=PREFIX.encode())
    try:
        await connection.attempt(RANGE, question)
    except Unanswered as error:
        say(f"no etcd answers yet: {error}; trying on for some seconds")
        await connection.ask(RANGE, question)
    finally:
        await connection.close()
