"""Names and ports: DNS settings, lines of /etc/hosts, the host's network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wherry.api.core.pod.spec import DnsConfig, HostAlias, PodSpec
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.validation import check_ip, check_name

DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
# What the C library's resolver can hold.
MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048
_MAX_NAME = 253
_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_SEARCH_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SEARCH.pattern}')"
)


def check_dns(spec: PodSpec) -> Iterator[FieldError]:
    """`dnsConfig` beside `dnsPolicy`; paths begin at `dnsConfig`."""
    config = spec.dns_config
    if spec.dns_policy == "None" and not config.nameservers:
        if config == DnsConfig():
            yield required("", "must provide `dnsConfig` when `dnsPolicy` is None")
        else:
            yield required("nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
        return
    if len(config.nameservers) > MAX_NAMESERVERS:
        yield invalid("nameservers", config.nameservers, f"must not have more than {MAX_NAMESERVERS} nameservers")
    for index, server in enumerate(config.nameservers):
        yield from check_ip(f"nameservers[{index}]", server)
    yield from _check_searches(config.searches)
    for index, option in enumerate(config.options):
        if not option.name:
            yield required(f"options[{index}]", "must not be empty")


def _check_searches(searches: tuple[str, ...]) -> Iterator[FieldError]:
    if len(searches) > MAX_SEARCHES:
        yield invalid("searches", searches, f"must not have more than {MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        why = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        yield invalid("searches", searches, why)
    for index, search in enumerate(searches):
        if search != ".":
            yield from check_name(f"searches[{index}]", search.removesuffix("."), _search_problems)


def _search_problems(search: str) -> list[str]:
    too_long = [f"must be no more than {_MAX_NAME} bytes"] if len(search) > _MAX_NAME else []
    return too_long + ([] if _SEARCH.fullmatch(search) else [_SEARCH_MESSAGE])


def check_host_alias(alias: HostAlias) -> Iterator[FieldError]:
    """One line of the pod's /etc/hosts."""
    yield from check_ip("ip", alias.ip)
    for index, hostname in enumerate(alias.hostnames):
        yield from check_name(f"hostnames[{index}]", hostname, names.dns1123_subdomain)


def check_host_network_ports(spec: PodSpec, *, is_pod: bool) -> Iterator[FieldError]:
    """In the host's network a port is the host's; a template may leave that to the pod's defaults."""
    if not spec.host_network:
        return
    for index, container in enumerate(spec.containers):
        for port_index, port in enumerate(container.ports):
            if (is_pod or port.host_port) and port.host_port != port.container_port:
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"containers[{index}].ports[{port_index}].hostPort", port.host_port, why)
