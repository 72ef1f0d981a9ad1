"""Rows of conformance that are a pod each: it runs to its end, and what it printed is compared.

A test module names its own `ROWS`; the fixture `started` creates all their pods at once.
"""

from typing import Any, NamedTuple

from live_pods import a_script

Pod = dict[str, Any]


class Row(NamedTuple):
    """A pod and what it should print; where the name says so, how it should end."""

    says: str
    pod: Pod
    expected: str
    phase: str = "Succeeded"


def sees(script: str, *env: Pod, **container: Any) -> Pod:
    return a_script("pod", script, container={"env": list(env), **container})


def env(name: str, **source: Any) -> Pod:
    return {"name": name, "valueFrom": source}


def field(name: str, path: str) -> Pod:
    return env(name, fieldRef={"fieldPath": path})


def mounting(script: str, volume: Pod, *mounts: Pod, env: Any = (), **spec: Any) -> Pod:
    mounted = [{"name": "v", **mount} for mount in mounts]
    volumes = [{"name": "v", **volume}]
    return a_script("pod", script, container={"volumeMounts": mounted, "env": list(env)}, volumes=volumes, **spec)


def numbered(number: int, pod: Pod) -> Pod:
    """The pod under a name of its own."""
    name = f"row-{number}"
    for container in pod["spec"]["containers"]:
        container["command"] = [word.replace("{name}", name) for word in container.get("command", ())]
        if not container["command"]:
            del container["command"]
    return pod | {"metadata": {"name": name, "labels": {"colour": "blue"}}}


def filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text
