"""A live cluster as the tests of conformance see it: objects are plain dicts, as they travel.

    space.create(a_pod("web"))
    pod = space.until("Pod", "web", lambda pod: pod["status"]["phase"] == "Running")

A kind is named by `Pod` or, where two groups have one, `events.k8s.io/v1 Event`. Its path comes from discovery.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes
import websocket

Object = dict[str, Any]

KUBECTL = Path(sys.executable).with_name("kubectl")

PATCHES = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}
WAIT_SECONDS = 60
_PAUSE_SECONDS = 0.2


class Refused(Exception):
    """The server's answer is an error: its code, and the Status that came along."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:2000]}")
        self.code = code
        try:
            self.status = json.loads(text)
        except ValueError:
            self.status = {"message": text}

    @property
    def message(self) -> str:
        """What the server says about it."""
        return str(self.status.get("message", ""))


class Api:
    """The whole API of a cluster, as the user of a kubeconfig sees it."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self.client = kubernetes.config.new_client_from_config(kubeconfig)
        self.core = kubernetes.client.CoreV1Api(self.client)
        self._pool = self.client.rest_client.pool_manager

    def close(self) -> None:
        self.client.close()

    def raw(self, method: str, path: str, body: Any = None, headers: Any = None, **query: Any) -> Any:
        """One request; the response is not read yet."""
        content = json.dumps(body) if body is not None and not isinstance(body, (str, bytes)) else body
        url = self.client.configuration.host + path + ("?" + urlencode(query) if query else "")
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        response = self._pool.request(method, url, body=content, headers=sent, preload_content=False, retries=False)
        if response.status >= 400:
            raise Refused(response.status, response.read().decode())
        return response

    def text(self, path: str, **query: Any) -> str:
        return str(self.raw("GET", path, **query).read().decode())

    def call(self, method: str, path: str, body: Any = None, headers: Any = None, **query: Any) -> Any:
        """One request, and the object of its answer."""
        return json.loads(self.raw(method, path, body, headers, **query).read())

    def patch(self, path: str, body: Any, how: str = "strategic", **query: Any) -> Any:
        return self.call("PATCH", path, body, {"Content-Type": PATCHES[how]}, **query)

    def watch(self, path: str, seconds: int = WAIT_SECONDS, **query: Any) -> Iterator[Object]:
        """Events, until the server ends the watch after so many seconds."""
        response = self.raw("GET", path, watch="true", timeoutSeconds=seconds, **query)
        try:
            left = b""
            for chunk in response.stream(65536):
                *lines, left = (left + chunk).split(b"\n")
                yield from map(json.loads, lines)
        finally:
            response.close()

    def frames(self, path: str, query: list[tuple[str, str]], protocol: str) -> list[bytes]:
        """What a WebSocket of that sub-protocol sends until it is closed."""
        known = self.client.configuration
        files = {"ca_certs": known.ssl_ca_cert, "certfile": known.cert_file, "keyfile": known.key_file}
        url = f"{known.host.replace('http', 'ws', 1)}{path}?{urlencode(query)}"
        socket = websocket.create_connection(url, WAIT_SECONDS, sslopt=files, subprotocols=[protocol])
        connection = socket.sock  # which `socket` forgets, open, when the server closes first
        try:
            found = []
            while (frame := socket.recv_data()) and frame[0] != websocket.ABNF.OPCODE_CLOSE:
                found.append(frame[1])
        finally:
            connection.close()
        return found

    @cache  # noqa: B019 - lives as long as the session
    def _kinds(self) -> dict[str, tuple[str, str, bool]]:
        found: dict[str, tuple[str, str, bool]] = {}
        versions = [group["preferredVersion"]["groupVersion"] for group in self.call("GET", "/apis")["groups"]]
        for version, root in (("v1", "/api/v1"), *((version, f"/apis/{version}") for version in versions)):
            for resource in self.call("GET", root)["resources"]:
                if "/" not in resource["name"]:
                    place = (root, resource["name"], resource["namespaced"])
                    found.setdefault(resource["kind"], place)
                    found[f"{version} {resource['kind']}"] = place
        return found

    def path(self, kind: str, namespace: str = "", name: str = "") -> str:
        """Of a collection, or of the object of that name (`name/status` names a subresource)."""
        root, plural, is_namespaced = self._kinds()[kind]
        place = f"{root}/namespaces/{namespace}" if is_namespaced and namespace else root
        return f"{place}/{plural}" + (f"/{name}" if name else "")


class Space:
    """The API from within one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    def path(self, kind: str, name: str = "") -> str:
        return self.api.path(kind, self.namespace, name)

    def create(self, obj: Object, **query: Any) -> Object:
        return self.api.call("POST", self.path(f"{obj['apiVersion']} {obj['kind']}"), obj, **query)

    def get(self, kind: str, name: str) -> Object:
        return self.api.call("GET", self.path(kind, name))

    def all(self, kind: str, **query: Any) -> list[Object]:
        return self.api.call("GET", self.path(kind), **query)["items"]

    def names(self, kind: str, **query: Any) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.all(kind, **query)]

    def put(self, kind: str, name: str, obj: Object) -> Object:
        return self.api.call("PUT", self.path(kind, name), obj)

    def change(self, kind: str, name: str, edit: Callable[[Object], Any]) -> Object:
        """Read, edit, write back; again when somebody else was faster."""
        while True:
            obj = self.get(kind, name)
            edit(obj)
            try:
                return self.put(kind, name, obj)
            except Refused as refused:
                if refused.code != 409:
                    raise

    def patch(self, kind: str, name: str, body: Any, how: str = "strategic") -> Object:
        return self.api.patch(self.path(kind, name), body, how)

    def delete(self, kind: str, name: str, **options: Any) -> Object:
        return self.api.call("DELETE", self.path(kind, name), options or None)

    def delete_all(self, kind: str, **query: Any) -> Object:
        return self.api.call("DELETE", self.path(kind), **query)

    def until(self, kind: str, name: str, met: Callable[[Object], Any], seconds: int = WAIT_SECONDS) -> Object:
        """The object as soon as it is so; fails with its last state."""
        last: Object = {}
        for event in self.api.watch(self.path(kind), seconds, fieldSelector=f"metadata.name={name}"):
            last = event["object"]
            if event["type"] != "DELETED" and met(last):
                return last
        raise AssertionError(f"{kind} {name} after {seconds} s: {json.dumps(last, indent=1)}")

    def until_gone(self, kind: str, name: str, seconds: int = WAIT_SECONDS) -> None:
        eventually(lambda: self.is_gone(kind, name), seconds)

    def is_gone(self, kind: str, name: str) -> bool:
        try:
            self.get(kind, name)
        except Refused as refused:
            return refused.code == 404
        return False

    def logs(self, pod: str, **query: Any) -> str:
        return self.api.text(self.path("Pod", f"{pod}/log"), **query)

    def run(self, pod: str, *command: str, container: str = "") -> str:
        """What a command within a container prints, errors included."""
        given = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
        if container:
            given.append(("container", container))
        frames = self.api.frames(self.path("Pod", f"{pod}/exec"), given, "v5.channel.k8s.io")
        return b"".join(frame[1:] for frame in frames if frame[0] in (1, 2)).decode()


def refusal(act: Callable[[], Any]) -> Refused:
    """The error that the server answers with."""
    try:
        answer = act()
    except Refused as refused:
        return refused
    raise AssertionError(f"not refused: {answer}")


def eventually(met: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Ask until the answer is yes; for what cannot be watched."""
    ends_at = time.monotonic() + seconds
    while True:
        answer = met()
        if answer:
            return answer
        if time.monotonic() > ends_at:
            raise AssertionError(f"not so after {seconds} s: {answer!r}")
        time.sleep(_PAUSE_SECONDS)
