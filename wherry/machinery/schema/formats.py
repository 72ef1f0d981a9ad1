"""The formats that a custom resource's schema may name. Kubernetes: kube-openapi's strfmt; unknown names mean nothing.

Differs: creditcard, isbn, hexcolor and rgbcolor are taken as plain text.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from wherry.machinery import names
from wherry.machinery.time import parse_time

_DURATION = re.compile(r"[+-]?(?:0|(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s<>]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)


def is_in_format(text: str, format: str) -> bool:
    """Whether a text is what its format says; True for formats that nobody knows."""
    check = _CHECKS.get(format.replace("-", ""))
    if check is None:
        return True
    try:
        return check(text) is not False
    except ValueError:
        return False


def _is_base64(text: str) -> object:
    return binascii.a2b_base64(text, strict_mode=True)


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) or text.startswith("/")


def _is_hostname(text: str) -> bool:
    return len(text) <= 255 and not names.dns1123_subdomain(text.lower())


_CHECKS: dict[str, Callable[[str], object]] = {
    "datetime": parse_time,
    "date": lambda text: len(text) == 10 and bool(date.fromisoformat(text)),
    "duration": lambda text: bool(_DURATION.fullmatch(text)),
    "byte": _is_base64,
    "uri": _is_uri,
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "hostname": _is_hostname,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda text: "/" in text and bool(ipaddress.ip_interface(text)),
    "mac": lambda text: bool(_MAC.fullmatch(text)),
    "uuid": lambda text: bool(_UUID.fullmatch(text)),
    "uuid3": lambda text: bool(_UUID.fullmatch(text)) and text.replace("-", "")[12] == "3",
    "uuid4": lambda text: bool(_UUID.fullmatch(text)) and text.replace("-", "")[12] == "4",
    "uuid5": lambda text: bool(_UUID.fullmatch(text)) and text.replace("-", "")[12] == "5",
    "bsonobjectid": lambda text: bool(_OBJECT_ID.fullmatch(text)),
    "k8sshortname": lambda text: not names.dns1123_label(text),
    "k8slongname": lambda text: not names.dns1123_subdomain(text),
}
