"""What a new cluster begins with: namespaces, roles, priority levels and classes, a storage class, the APIs that are
served here. Runs at every start; objects that exist are left alone, but roles and bindings get what they lack. The
`kubernetes` service: `own_service.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.access.bootstrap_policy import policy_objects
from apiserver.access.reconciling import completed
from apiserver.local_services import local_services
from apiserver.ownership.entries import Author
from apiserver.request import SERVER_ITSELF
from apiserver.writing.decoding import accept
from apiserver.writing.rest import Write
from wherry.api.flowcontrol.mandatory import flow_control_objects
from wherry.api.networking.service_cidr import NAME_OF_DEFAULT, ServiceCIDR
from wherry.api.storage.provisioning import LOCAL_PATH
from wherry.api.storage.storage_class import IS_DEFAULT
from wherry.machinery.errors import ApiError
from wherry.machinery.resource import Resource, kind_named

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]

NAMESPACES = ("kube-system", "default", "kube-public", "kube-node-lease")
# Folders of the nodes, for every claim that names no class. Who wants another default takes the annotation off.
_LOCAL_PATH: Draft = {
    "kind": "StorageClass",
    "apiVersion": "storage.k8s.io/v1",
    "metadata": {"name": "local-path", "annotations": {IS_DEFAULT: "true"}},
    "provisioner": LOCAL_PATH,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}
# Kubernetes: the two classes for what the cluster itself cannot live without.
PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


_REQUEST_HEADERS = {
    "allowed-names": "front-proxy-client",
    "username-headers": "X-Remote-User",
    "uid-headers": "X-Remote-Uid",
    "group-headers": "X-Remote-Group",
    "extra-headers-prefix": "X-Remote-Extra-",
}


async def bootstrap(server: Server) -> None:
    """Create what is missing."""
    await reconcile(server)
    for name in NAMESPACES:
        await ensure(server, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})
    async with asyncio.TaskGroup() as tasks:
        # None of them depends on another: what is written together is committed together.
        for draft in (*policy_objects(), *flow_control_objects(), *local_services()):
            tasks.create_task(ensure(server, draft))
    if server.settings.client_ca is not None:
        await ensure(server, _extension_authentication(server), overwrite=True)
    for name, value in PRIORITIES.items():
        draft = {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": name}}
        await ensure(server, {**draft, "value": value, "description": "Used for system critical pods."})
    await ensure(server, _LOCAL_PATH)
    await ensure(server, _service_cidr(server))


async def reconcile(server: Server) -> None:
    """Give the roles and bindings that an earlier version began what this one gives them."""
    for draft in policy_objects():
        cls = served_kind(draft)
        stored = server.cache.of(cls).get(draft["metadata"].get("namespace", ""), draft["metadata"]["name"])
        if stored is not None and (more := completed(stored.draft(cls.kind), draft)) is not None:
            await ensure(server, more, overwrite=True)


def served_kind(draft: Draft) -> type[Resource]:
    """The kind of an object to begin with."""
    cls = kind_named(draft["apiVersion"], draft["kind"])
    if cls is None:
        raise RuntimeError(f"bootstrap: {draft['apiVersion']} {draft['kind']} is not a kind of ours")
    return cls


async def ensure(server: Server, draft: Draft, *, overwrite: bool = False) -> None:
    """Create the object if it is missing, or in any case say what it is."""
    cls = served_kind(draft)
    namespace, name = draft["metadata"].get("namespace", ""), draft["metadata"]["name"]
    exists = server.cache.of(cls).get(namespace, name) is not None
    if exists and not overwrite:
        return
    wanted = accept(draft, cls, validation="Strict", warnings=[])
    write = Write(cls, "UPDATE" if exists else "CREATE", namespace, name, SERVER_ITSELF)
    write.author = Author("kube-apiserver", cls.kind.api_version)
    rest = server.rest(cls)
    try:
        await (rest.update(lambda _: wanted, write) if exists else rest.create(wanted, write))
    except ApiError as error:
        # Another server of the same cluster was faster: it is there now, and has the address that it asks for.
        await server.cache.fresh()
        is_there = server.cache.of(cls).get(namespace, name) is not None
        if error.reason not in ("AlreadyExists", "Conflict") and (overwrite or not is_there):
            raise
        return
    await server.cache.fresh()


def _extension_authentication(server: Server) -> Draft:
    """By what aggregated API servers know this server's clients, and this server speaking for them."""
    settings = server.settings
    data = {"client-ca-file": settings.client_ca.read_text()} if settings.client_ca else {}
    if settings.requestheader_ca is not None:
        data["requestheader-client-ca-file"] = settings.requestheader_ca.read_text()
        for field, value in _REQUEST_HEADERS.items():
            data[f"requestheader-{field}"] = orjson.dumps([value]).decode()
    metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}


def _service_cidr(server: Server) -> Draft:
    kind = {"kind": ServiceCIDR.kind.name, "apiVersion": ServiceCIDR.kind.api_version}
    return {**kind, "metadata": {"name": NAME_OF_DEFAULT}, "spec": {"cidrs": [server.settings.service_cidr]}}
