"""The pods that a DaemonSet would make on the nodes as they are: what `wherry plan` asks about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controllers.daemonset.fit import Fits
from controllers.daemonset.pods import new_pod
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod

# Pods carry the hash of their version; this one is not told.
_VERSION = "planned"


def pods_of_daemon(pod: dict[str, Any], nodes: Iterable[Node]) -> list[Pod]:
    """One for each node that takes it; `pod` is as the API server would have any of them, before it has a node."""
    metadata, name = pod["metadata"], pod["metadata"]["generateName"].removesuffix("-")
    template = {"metadata": {key: metadata[key] for key in ("labels", "annotations") if key in metadata}}
    template["spec"] = pod["spec"]
    spec = {"selector": {}, "template": template}
    identity = {"name": name, "namespace": metadata["namespace"], "uid": name}
    ds = DaemonSet.read({"metadata": identity, "spec": spec})
    judged, found = Fits(ds), list[Pod]()
    for node in sorted(nodes, key=lambda node: node.metadata.name):
        if judged.on(node).runs:
            made = new_pod(ds, node.metadata.name, _VERSION)
            own = f"{name}-{node.metadata.name}"
            known = {**made["metadata"], "name": own, "uid": f"{metadata['namespace']}/{own}"}
            found.append(Pod.read({**made, "metadata": known}))
    return found
