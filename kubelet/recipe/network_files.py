"""The texts of a pod's /etc/hosts, /etc/resolv.conf and /etc/hostname. Pure.

Kubernetes: kubelet_pods.go (hosts) and network/dns (resolv.conf).
"""

from __future__ import annotations

from wherry.api.core.pod import Pod

_HOSTS_HEAD = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_MAX_HOSTNAME = 63
_MAX_NAMESERVERS, _MAX_SEARCHES = 3, 32


def hostname(pod: Pod) -> str:
    """The pod's own name on its network."""
    return (pod.spec.hostname or pod.metadata.name)[:_MAX_HOSTNAME].rstrip("-.")


def hosts_text(pod: Pod, ip: str, domain: str, of_machine: str) -> str:
    """/etc/hosts; on the host's network the machine's own, with the pod's aliases."""
    if pod.spec.host_network:
        text = f"# Kubernetes-managed hosts file (host network).\n{of_machine}"
    else:
        name = hostname(pod)
        full = f"{name}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}" if pod.spec.subdomain else ""
        text = f"{_HOSTS_HEAD}{ip}\t{full}\t{name}\n" if full else f"{_HOSTS_HEAD}{ip}\t{name}\n"
    if not pod.spec.host_aliases:
        return text
    aliases = "".join(f"{alias.ip}\t{chr(9).join(alias.hostnames)}\n" for alias in pod.spec.host_aliases)
    return f"{text}\n# Entries added by HostAliases.\n{aliases}"


def resolv_text(pod: Pod, cluster_dns: str, domain: str, of_machine: str) -> str:
    """/etc/resolv.conf by the pod's dnsPolicy and dnsConfig."""
    nameservers, searches, options = _parsed(of_machine)
    policy = pod.spec.dns_policy
    uses_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)
    if policy == "None":
        nameservers, searches, options = [], [], []
    elif uses_cluster and cluster_dns:
        own = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain]
        nameservers, searches, options = [cluster_dns], [*own, *searches], ["ndots:5"]
    config = pod.spec.dns_config
    nameservers += config.nameservers
    searches += config.searches
    for option in config.options:
        options = [word for word in options if word.partition(":")[0] != option.name]
        options.append(f"{option.name}:{option.value}" if option.value else option.name)
    lines = [f"nameserver {server}" for server in _distinct(nameservers)[:_MAX_NAMESERVERS]]
    if searches:
        lines.insert(0, "search " + " ".join(_distinct(searches)[:_MAX_SEARCHES]))
    if options:
        lines.append("options " + " ".join(options))
    return "\n".join(lines) + "\n"


def _parsed(text: str) -> tuple[list[str], list[str], list[str]]:
    nameservers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest:
            nameservers.append(rest[0])
        elif word == "search":
            searches = [domain for domain in rest if domain != "."]
        elif word == "options":
            options += rest
    return nameservers, searches, options


def _distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))
