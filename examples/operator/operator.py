"""An operator for websites, with kopf: `kopf run --namespace default examples/operator/operator.py`.

It knows nothing of Wherry: any Kubernetes will do. Each website becomes a ConfigMap with its text and a Deployment that
serves it; both belong to the website, and the garbage collector takes them along when it goes.
"""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client

Json = dict[str, Any]


def pages(name: str, spec: Json) -> Json:
    """The text, as a file for a web server."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"index.html": spec["text"]},
    }


def servers(name: str, spec: Json) -> Json:
    """The web servers."""
    labels = {"website": name}
    container = {
        "name": "web",
        "image": spec["image"],
        "command": ["python3", "-m", "http.server", "8080", "--directory", "/pages"],
        "ports": [{"containerPort": 8080}],
        "volumeMounts": [{"name": "pages", "mountPath": "/pages"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "pages", "configMap": {"name": name}}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """What it has done is kept in the status, so that nobody's annotations are in the way."""
    settings.persistence.progress_storage = kopf.StatusProgressStorage(field="status.kopf.progress")
    settings.posting.enabled = True


@kopf.on.create("example.com", "v1", "websites")
def create(name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
    """Make what a website needs."""
    wanted = [pages(name, dict(spec)), servers(name, dict(spec))]
    kopf.adopt(wanted)
    client.CoreV1Api().create_namespaced_config_map(namespace, wanted[0])
    client.AppsV1Api().create_namespaced_deployment(namespace, wanted[1])
    patch.status.update(phase="Serving", replicas=spec["replicas"])


@kopf.on.update("example.com", "v1", "websites", field="spec")
def update(name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
    """Follow the website's new text and size."""
    client.CoreV1Api().patch_namespaced_config_map(name, namespace, {"data": pages(name, dict(spec))["data"]})
    client.AppsV1Api().patch_namespaced_deployment(name, namespace, {"spec": {"replicas": spec["replicas"]}})
    patch.status.update(phase="Updated", replicas=spec["replicas"])


@kopf.on.delete("example.com", "v1", "websites")
def delete(name: str, logger: kopf.Logger, **_: Any) -> None:
    """Nothing to do: what belongs to the website goes with it. The finalizer shows that operators are waited for."""
    logger.info("website %s is gone", name)
