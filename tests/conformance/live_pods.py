"""Pods for a live cluster, told by what they run."""

from typing import Any

IMAGE = "wherry/web:local"
ENTRY_IMAGE = "wherry-conformance/entry:1"


def a_container(name: str, script: str = "", **fields: Any) -> dict[str, Any]:
    """One that runs a shell script; without one, it waits until it is stopped, and stops at once."""
    waiting = "trap 'exit 0' TERM; sleep 3600 & wait"
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script or waiting], **fields}


def a_live_pod(name: str, *containers: dict[str, Any], labels: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod that is given up quickly when deleted; restarts only when asked to."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **({"labels": labels} if labels else {}), **spec.pop("metadata", {})},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": list(containers) or [a_container("main")],
            **spec,
        },
    }


def a_script(name: str, script: str, *, container: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod of one container that runs a script."""
    return a_live_pod(name, a_container("main", script, **(container or {})), **spec)


def is_running(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running"


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def is_over(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def has_condition(obj: dict[str, Any], kind: str, status: str = "True") -> bool:
    return any(c["type"] == kind and c["status"] == status for c in obj.get("status", {}).get("conditions", ()))
