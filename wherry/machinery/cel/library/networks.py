"""`ip('10.0.0.1')`, `cidr('10.0.0.0/8')` and `url('https://example.com')`."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from wherry.machinery.cel.library.base import CIDR, IP, URL, Function, opaque

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"IP Address {text!r} parse error during conversion from string: unable to parse IP") from None
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        what = "IP address with zone value" if address.scope_id else "IPv4-mapped IPv6 address"
        raise ValueError(f"{what} is not allowed")
    return address


def _network(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        address, slash, length = text.partition("/")
        if not slash or not length.isdecimal() or (len(length) > 1 and length[0] == "0"):
            raise ValueError(text)
        _address(address)
        return ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"network address parse error during conversion from string: {text!r}") from None


def _is(parse: Any) -> Any:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _ip(address: Address) -> Any:
    return opaque(IP, str(address))


def _contains(network: Any, other: str) -> bool:
    outer, inner = _network(network.text).network, _network(other).network
    same = isinstance(outer, ipaddress.IPv4Network) == isinstance(inner, ipaddress.IPv4Network)
    return same and inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def _contains_ip(network: Any, other: str) -> bool:
    return _address(other) in _network(network.text).network


def _masked(network: Any) -> Any:
    return opaque(CIDR, str(_network(network.text).network))


def _url(text: str) -> SplitResult:
    parts = urlsplit(text)
    if not (parts.scheme or text.startswith("/")):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    parts.port  # noqa: B018  # reading it checks it
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


FUNCTIONS = [
    Function("ip", IP, ("string",), lambda text: _ip(_address(text)), is_member=False),
    Function("isIP", "bool", ("string",), _is(_address), is_member=False),
    Function("ip.isCanonical", "bool", ("string",), lambda text: str(_address(text)) == text, is_member=False),
    Function("family", "int", (IP,), lambda ip: _address(ip.text).version),
    Function("isUnspecified", "bool", (IP,), lambda ip: _address(ip.text).is_unspecified),
    Function("isLoopback", "bool", (IP,), lambda ip: _address(ip.text).is_loopback),
    Function("isLinkLocalMulticast", "bool", (IP,), lambda ip: ip.text.startswith(("224.0.0.", "ff02:"))),
    Function("isLinkLocalUnicast", "bool", (IP,), lambda ip: _address(ip.text).is_link_local),
    Function(
        "isGlobalUnicast",
        "bool",
        (IP,),
        lambda ip: (
            not (
                _address(ip.text).is_unspecified
                or _address(ip.text).is_loopback
                or _address(ip.text).is_multicast
                or _address(ip.text).is_link_local
                or ip.text == "255.255.255.255"
            )
        ),
    ),
    Function("string", "string", (IP,), lambda ip: ip.text, is_member=False),
    Function("cidr", CIDR, ("string",), lambda text: opaque(CIDR, str(_network(text))), is_member=False),
    Function("isCIDR", "bool", ("string",), _is(_network), is_member=False),
    Function("containsIP", "bool", (CIDR, IP), lambda network, ip: _contains_ip(network, ip.text)),
    Function("containsIP", "bool", (CIDR, "string"), _contains_ip),
    Function("containsCIDR", "bool", (CIDR, CIDR), lambda network, other: _contains(network, other.text)),
    Function("containsCIDR", "bool", (CIDR, "string"), _contains),
    Function("ip", IP, (CIDR,), lambda network: _ip(_network(network.text).ip)),
    Function("masked", CIDR, (CIDR,), _masked),
    Function("prefixLength", "int", (CIDR,), lambda network: _network(network.text).network.prefixlen),
    Function("url", URL, ("string",), lambda text: opaque(URL, (_url(text), text)[1]), is_member=False),
    Function("isURL", "bool", ("string",), _is(_url), is_member=False),
    Function("getScheme", "string", (URL,), lambda url: _url(url.text).scheme),
    Function("getHost", "string", (URL,), lambda url: _host(_url(url.text))),
    Function("getHostname", "string", (URL,), lambda url: _url(url.text).hostname or ""),
    Function("getPort", "string", (URL,), lambda url: str(_url(url.text).port or "")),
    Function("getEscapedPath", "string", (URL,), lambda url: _url(url.text).path),
    Function("getQuery", "map<string, list<string>>", (URL,), lambda url: parse_qs(_url(url.text).query, True)),
]
