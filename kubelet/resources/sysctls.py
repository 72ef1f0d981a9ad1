"""Which kernel settings a pod may ask for: those that stay within it. Pure.

Kubernetes: the sysctl allowlist of the kubelet. Differs: no `--allowed-unsafe-sysctls`.
"""

from __future__ import annotations

from wherry.api.core.pod import Pod

SAFE = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SWAPPED = str.maketrans("./", "/.")


def dotted(name: str) -> str:
    """The name with dots between its parts, which may also be written with slashes.

    >>> dotted("net/ipv4/conf/eth0.1/forwarding")
    'net.ipv4.conf.eth0/1.forwarding'
    """
    first = next((letter for letter in name if letter in "./"), ".")
    return name.translate(_SWAPPED) if first == "/" else name


def refusal(pod: Pod) -> str:
    """Why the node does not run this pod; empty if it does."""
    for sysctl in pod.spec.security_context.sysctls:
        if dotted(sysctl.name) not in SAFE:
            return f'forbidden sysctl: "{sysctl.name}" not allowlisted'
    return ""
