"""Who is who in a cluster: the certificates of its components, and the kubeconfig of each.

Every component has an identity of its own and may do what its role allows and no more; the one of `admin` is for
people. etcd has an authority of its own: no certificate of the cluster opens it but the API server's.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from wherry.cluster.layout import Layout
from wherry.cluster.settings import CLUSTER_DOMAIN, Settings
from wherry.cluster.trust.certificates import Authority, Subject, make_key
from wherry.cluster.trust.kubeconfig import component_kubeconfig

ADMIN = Subject("kubernetes-admin", ("system:masters",))
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
)


class _Client(NamedTuple):
    """A certificate that opens the API server, and the component that gets a kubeconfig with it."""

    name: str
    subject: Subject


def make_credentials(layout: Layout, settings: Settings) -> None:
    """See that every certificate, key and kubeconfig of the cluster is there and good."""
    authority = Authority(layout.pki, "ca", f"{layout.title}-ca")
    authority.issue("apiserver", Subject("kube-apiserver"), _hosts(settings))
    authority.issue("apiserver-kubelet-client", Subject("kube-apiserver-kubelet-client", ("system:masters",)))
    make_key(layout.key("service-accounts"))
    # Who shows a certificate of this authority may speak for anybody, so it signs nothing else.
    front = Authority(layout.pki, "front-proxy-ca", f"{layout.title}-front-proxy-ca")
    front.issue("front-proxy-client", Subject("front-proxy-client"))
    for name, subject in _clients(settings):
        authority.issue(name, subject)
        component_kubeconfig(layout, name, settings.url)
    for component in ("controllers", "scheduler"):
        authority.issue(f"{component}-server", Subject(component), ("localhost", "127.0.0.1"))
    for node in settings.nodes:
        hosts = tuple(filter(None, (node.name, settings.gateway, "127.0.0.1")))
        authority.issue(f"kubelet-{node.name}-server", _node(node.name), hosts)
    if settings.has_local_etcd:
        _make_etcd_credentials(layout)


def _hosts(settings: Settings) -> tuple[str, ...]:
    own = ("localhost", "127.0.0.1", socket.gethostname(), settings.service_address(1))
    return (*own, *SERVICE_NAMES, *filter(None, (settings.gateway,)))


def _clients(settings: Settings) -> list[_Client]:
    clients = [
        _Client("admin", ADMIN),
        _Client("scheduler", Subject("system:kube-scheduler")),
        _Client("controllers", Subject("system:kube-controller-manager")),
        _Client("kubeproxy", Subject("system:kube-proxy")),
    ]
    return clients + [_Client(f"kubelet-{node.name}", _node(node.name)) for node in settings.nodes]


def _node(name: str) -> Subject:
    return Subject(f"system:node:{name}", ("system:nodes",))


def _make_etcd_credentials(layout: Layout) -> None:
    authority = Authority(layout.pki, "etcd-ca", f"{layout.title}-etcd-ca")
    authority.issue("etcd-server", Subject("etcd"), ("localhost", "127.0.0.1"), is_peer=True)
    authority.issue("etcd-client", Subject("kube-apiserver-etcd-client"))
