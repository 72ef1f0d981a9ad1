"""What Kubernetes fills in where a pod, or a pod template, says nothing.

Rules on `Pod` itself hold for pods only: a template keeps its author's words there until a pod is made from it.

Kubernetes: core/v1 `SetDefaults_Pod`, `SetDefaults_PodSpec`, `SetDefaults_Container` and the defaults of their parts.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from wherry.api.filling import fill_empty
from wherry.machinery.schema import defaults

CORE = "io.k8s.api.core.v1."
FILE_MODE = 0o644

defaults.literal(CORE + "PodSpec", securityContext={}, terminationGracePeriodSeconds=30)
fill_empty(CORE + "PodSpec", restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")

for _container in ("Container", "EphemeralContainer"):
    defaults.literal(CORE + _container, resources={})
    fill_empty(CORE + _container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
fill_empty(CORE + "ContainerPort", protocol="TCP")

fill_empty(CORE + "Probe", timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
fill_empty(CORE + "HTTPGetAction", path="/", scheme="HTTP")
defaults.literal(CORE + "GRPCAction", service="")
fill_empty(CORE + "ObjectFieldSelector", apiVersion="v1")

for _source in ("ConfigMap", "Secret", "Projected", "DownwardAPI"):
    defaults.literal(f"{CORE}{_source}VolumeSource", defaultMode=FILE_MODE)
defaults.literal(CORE + "HostPathVolumeSource", type="")
defaults.literal(CORE + "ServiceAccountTokenProjection", expirationSeconds=3600)


@defaults(CORE + "Volume")
def _volume_without_source(volume: dict[str, Any]) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}


@defaults(CORE + "Container")
@defaults(CORE + "EphemeralContainer")
def _pull_policy(container: dict[str, Any]) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy_for(container.get("image", ""))


@defaults(CORE + "ImageVolumeSource")
def _image_volume_pull_policy(source: dict[str, Any]) -> None:
    if not source.get("pullPolicy"):
        source["pullPolicy"] = pull_policy_for(source.get("reference", ""))


def pull_policy_for(image: str) -> str:
    """An image that may move is pulled every time: one tagged `latest`, or with neither tag nor digest.

    >>> pull_policy_for("nginx"), pull_policy_for("registry:5000/nginx"), pull_policy_for("nginx:1.29")
    ('Always', 'Always', 'IfNotPresent')
    """
    repository, _, digest = image.partition("@")
    tag = repository.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or (not tag and not digest) else "IfNotPresent"


@defaults(CORE + "PodSpec")
def _both_names_of_the_service_account(spec: dict[str, Any]) -> None:
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


@defaults(CORE + "Pod")
def _pod(pod: dict[str, Any]) -> None:
    spec = pod.get("spec")
    if spec is None:
        return
    spec.setdefault("enableServiceLinks", True)
    for container in chain(spec.get("containers", ()), spec.get("initContainers", ())):
        _request_what_is_limited(container)
        if spec.get("hostNetwork"):
            _same_port_on_the_host(container)


def _request_what_is_limited(container: dict[str, Any]) -> None:
    resources = container.get("resources") or {}
    if limits := resources.get("limits"):
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _same_port_on_the_host(container: dict[str, Any]) -> None:
    for port in container.get("ports", ()):
        if not port.get("hostPort") and "containerPort" in port:
            port["hostPort"] = port["containerPort"]
