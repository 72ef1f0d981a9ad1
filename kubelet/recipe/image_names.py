"""What the name of an image says: whether it is one, which registry it is of, how it is pulled. Pure.

Kubernetes: util/parsers and the grammar of distribution/reference.
"""

from __future__ import annotations

import re

_HOST_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_NAME = re.compile(rf"(?:{_HOST}/)?{_PATH_PART}(?:/{_PATH_PART})*(?::{_TAG})?(?:@{_DIGEST})?", re.ASCII)
# distribution/reference: NameTotalLengthMax, and room for a tag and a digest.
_MOST_CHARACTERS = 255 + 128 + 256


def is_image_name(name: str) -> bool:
    """Whether an engine can be asked for it.

    >>> [is_image_name(name) for name in ("web", "host:5000/shop/web:1", "web@sha256:" + "0" * 64, "Web", "../web", "")]
    [True, True, True, False, False, False]
    """
    return len(name) <= _MOST_CHARACTERS and _NAME.fullmatch(name) is not None


def registry_of(image: str) -> str:
    """Registry host and path of an image, without its tag or digest.

    >>> registry_of("web:1"), registry_of("localhost:5000/shop/web"), registry_of("ghcr.io/x/y@sha256:0")
    ('index.docker.io/library/web', 'localhost:5000/shop/web', 'ghcr.io/x/y')
    """
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    host = name.partition("/")[0]
    if "/" in name and ("." in host or ":" in host or host == "localhost"):
        return name
    return f"index.docker.io/{name}" if "/" in name else f"index.docker.io/library/{name}"


def default_pull_policy(image: str) -> str:
    """`Always` for `:latest` and for no tag at all, else `IfNotPresent`.

    >>> default_pull_policy("web"), default_pull_policy("host:5000/web:1"), default_pull_policy("web@sha256:ab")
    ('Always', 'IfNotPresent', 'IfNotPresent')
    """
    tag = image.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if "@" in image or (tag and tag != "latest") else "Always"
