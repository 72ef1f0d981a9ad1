"""Links in a page that came through a proxy, so that they lead through the same proxy. Kubernetes: proxyutil.Transport.

    Links("/api/v1/namespaces/shop/services/web/proxy", own_hosts).moved("/login")

gives `/api/v1/namespaces/shop/services/web/proxy/login`. Links that are relative or lead to other hosts stay.
"""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import AsyncIterator
from posixpath import normpath
from urllib.parse import urlsplit

_ATTRIBUTES = {
    "a": {"href"},
    "applet": {"codebase"},
    "area": {"href"},
    "audio": {"src"},
    "base": {"href"},
    "blockquote": {"cite"},
    "body": {"background"},
    "button": {"formaction"},
    "command": {"icon"},
    "del": {"cite"},
    "embed": {"src"},
    "form": {"action"},
    "frame": {"longdesc", "src"},
    "head": {"profile"},
    "html": {"manifest"},
    "iframe": {"longdesc", "src"},
    "img": {"longdesc", "src", "usemap"},
    "input": {"formaction", "src", "usemap"},
    "ins": {"cite"},
    "link": {"href"},
    "object": {"classid", "codebase", "data", "usemap"},
    "q": {"cite"},
    "script": {"src"},
    "source": {"src"},
    "video": {"poster", "src"},
}
_TAG = re.compile(rb"""<([a-zA-Z]++)(?>"[^"]*+"|'[^']*+'|[^"'>])*+>""")
_ATTRIBUTE = re.compile(rb"""(?<=[\s"'])([a-zA-Z]++)\s*+=\s*+("[^"]*"|'[^']*'|[^\s"'>]++)""")
_LONGEST_TAG = 64 * 1024


class Links:
    """Moves links below `prefix`; `own_hosts` are names of the backend and of the API server."""

    def __init__(self, prefix: str, own_hosts: frozenset[str]) -> None:
        self._prefix, self._own_hosts = prefix, own_hosts

    def moved(self, link: str) -> str:
        """Where a link must lead instead."""
        try:
            parts = urlsplit(link)
        except ValueError:
            return link
        if (parts.netloc and parts.netloc not in self._own_hosts) or not parts.path.startswith("/"):
            return link
        path = parts.path
        if not path.startswith(self._prefix):
            path = normpath(f"{self._prefix}{parts.path}")
            path += "/" if parts.path.endswith("/") and not path.endswith("/") else ""
        return parts._replace(scheme="", netloc="", path=path).geturl()


class _Page:
    """Writes down what it reads with other links; all else byte for byte."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._waiting = b""

    def read(self, chunk: bytes, *, is_last: bool = False) -> bytes:
        """What can be written by now: a tag that is not complete waits for the rest of it."""
        text = self._waiting + chunk
        end = text.rfind(b"<")
        if is_last or end < 0 or len(text) - end > _LONGEST_TAG or _TAG.match(text, end):
            end = len(text)
        self._waiting = text[end:]
        return _TAG.sub(self._moved, text[:end])

    def _moved(self, tag: re.Match[bytes]) -> bytes:
        wanted = _ATTRIBUTES.get(tag[1].lower().decode())
        if not wanted:
            return tag[0]

        def attribute(found: re.Match[bytes]) -> bytes:
            if found[1].lower().decode() not in wanted:
                return found[0]
            value = html.unescape(found[2].strip(b"\"'").decode("latin-1"))
            moved = self._links.moved(value)
            return (
                found[0] if moved == value else b'%s="%s"' % (found[1], html.escape(moved).encode("latin-1", "replace"))
            )

        return _ATTRIBUTE.sub(attribute, tag[0])


async def with_links(chunks: AsyncIterator[bytes], encoding: str, links: Links) -> AsyncIterator[bytes]:
    """A page with its links moved, as it comes; `encoding` is gzip or none."""
    page = _Page(links)
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress if encoding == "gzip" else bytes
    async for chunk in chunks:
        if written := page.read(unpack(chunk)):
            yield written
    if written := page.read(b"", is_last=True):
        yield written
