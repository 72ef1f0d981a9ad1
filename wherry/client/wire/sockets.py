"""Sockets: which certificates are believed and shown, and how it is noticed that nobody is there any more."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
from typing import Any

from wherry.client.kubeconfig import Connection


def tls_context(connection: Connection) -> ssl.SSLContext | bool:
    """TLS as the connection asks for it."""
    if not connection.server.startswith("https:"):
        return True
    context = ssl.create_default_context(cadata=connection.ca_data.decode() if connection.ca_data else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if connection.cert_data and connection.key_data:
        _load_certificate(context, connection.cert_data + b"\n" + connection.key_data)
    return context


def _load_certificate(context: ssl.SSLContext, pem: bytes) -> None:
    # The ssl module reads certificates from files only; this one is ours alone and gone at once.
    with tempfile.NamedTemporaryFile() as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)


def a_socket(address: Any) -> socket.socket:
    """A socket for an address, as the resolver describes it."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    notice_loss(made)
    return made


def notice_loss(connected: socket.socket) -> None:
    """Have the kernel notice within half a minute when the other side is gone without a word."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
