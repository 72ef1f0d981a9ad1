"""Which pods a manifest asks for: pods themselves, and the templates of what makes pods. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

# What makes pods, and which field says how many.
_MAKERS = {
    "Deployment": "replicas",
    "ReplicaSet": "replicas",
    "ReplicationController": "replicas",
    "StatefulSet": "replicas",
    "Job": "parallelism",
}
# What pods name that the plan depends on, and that may come with the same manifest.
_NAMED = {"ResourceClaim", "ResourceClaimTemplate", "PodGroup", "PersistentVolumeClaim", "ResourceQuota", "LimitRange"}
_OF_THE_CLUSTER = {"DeviceClass", "PersistentVolume", "StorageClass", "PriorityClass"}
_GROUPS = "scheduling.k8s.io/v1beta1"
# Nobody means it: a number beyond this is taken for a mistake.
MOST_PODS = 10_000


class Wanted(NamedTuple):
    """So many pods like this one, as a manifest without a name of its own; `name` is the one it brings, if any.

    Of a daemon, there is one for each node that takes it, whatever the `number`. `owner` is who makes them, as people
    say it; pods of a StatefulSet are numbered, from `first` on.
    """

    manifest: dict[str, Any]
    number: int
    name: str = ""
    is_daemon: bool = False
    owner: str = ""
    first: int = 1


def wanted_by(manifest: dict[str, Any], namespace: str) -> Iterator[Wanted]:
    """The pods of one object, in `namespace` if it names none; raises ValueError where it cannot be told."""
    kind, metadata = manifest.get("kind"), manifest.get("metadata") or {}
    name, place = metadata.get("name", "pod"), metadata.get("namespace") or namespace
    if kind == "Pod":
        yield Wanted(_pod(name, place, manifest), 1, metadata.get("name", ""))
    elif kind == "CronJob":
        job = manifest["spec"]["jobTemplate"]
        made = wanted_by({**job, "kind": "Job", "metadata": {"name": name, "namespace": place}}, place)
        yield from (each._replace(owner=f"CronJob {place}/{name}") for each in made)
    elif kind == "DaemonSet":
        yield Wanted(
            _pod(name, place, manifest["spec"]["template"]), 1, is_daemon=True, owner=f"DaemonSet {place}/{name}"
        )
    elif kind in _MAKERS:
        pod = _pod(name, place, manifest["spec"]["template"])
        if manifest["spec"].get("volumeClaimTemplates"):
            pod["spec"] = {**pod["spec"], "volumes": _volumes(manifest["spec"], pod["spec"])}
        if _gang_of(manifest) is not None:
            pod["spec"] = {**pod["spec"], "schedulingGroup": {"podGroupName": name}}
        first = (manifest["spec"].get("ordinals") or {}).get("start", 0) if kind == "StatefulSet" else 1
        yield Wanted(pod, _number(kind, name, manifest["spec"]), owner=f"{kind} {place}/{name}", first=first)
    elif kind != "PodTemplate" and _has_pod_template(manifest.get("spec")):
        raise ValueError(f"{kind} {place}/{name}: only its own controller knows which pods it makes")


def brought_by(manifest: dict[str, Any], namespace: str) -> Iterator[dict[str, Any]]:
    """The object itself, if it is of a kind that pods name; in `namespace` if it names none. A Job's is its group."""
    if _gang_of(manifest) is not None:
        yield _group(manifest, namespace)
    kind = manifest.get("kind")
    if kind in _NAMED or kind in _OF_THE_CLUSTER:
        place = {} if kind in _OF_THE_CLUSTER else {"namespace": namespace}
        yield {**manifest, "metadata": {**place, **(manifest.get("metadata") or {})}}


def has_namespace(kind: str) -> bool:
    """Whether objects of a kind, of those that a plan knows, are in namespaces."""
    return kind not in _OF_THE_CLUSTER


def _has_pod_template(value: Any) -> bool:
    """Whether somewhere in this a pod is described, as a JobSet does in its jobs."""
    if isinstance(value, list):
        return any(map(_has_pod_template, value))
    if not isinstance(value, dict):
        return False
    template = value.get("template")
    spec = template.get("spec") if isinstance(template, dict) else None
    return (isinstance(spec, dict) and bool(spec.get("containers"))) or any(map(_has_pod_template, value.values()))


def _gang_of(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """What a Job says of the gang that its pods are; None if they are none, or name a group themselves."""
    spec = manifest.get("spec") or {}
    gang = ((spec.get("scheduling") or {}).get("schedulingPolicy") or {}).get("gang")
    names_one = ((spec.get("template") or {}).get("spec") or {}).get("schedulingGroup")
    return gang if manifest.get("kind") == "Job" and not names_one else None


def _group(job: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The group that the Job controller would make."""
    name, spec = job["metadata"].get("name", "pod"), job["spec"]
    size = (_gang_of(job) or {}).get("minCount") or _number("Job", name, spec)
    metadata = {"name": name, "namespace": job["metadata"].get("namespace") or namespace}
    policy = {"gang": {"minCount": size}}
    return {"apiVersion": _GROUPS, "kind": "PodGroup", "metadata": metadata, "spec": {"schedulingPolicy": policy}}


def _volumes(spec: dict[str, Any], pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The volumes of a StatefulSet's pod; its claims are new ones, as those of ephemeral volumes would be."""
    made = {
        template["metadata"]["name"]: {"volumeClaimTemplate": {"spec": template["spec"]}}
        for template in spec["volumeClaimTemplates"]
    }
    kept = [volume for volume in pod.get("volumes") or () if volume.get("name") not in made]
    return [*kept, *({"name": name, "ephemeral": source} for name, source in made.items())]


def _number(kind: str, name: str, spec: dict[str, Any]) -> int:
    field = _MAKERS[kind]
    number = spec.get(field, 1)
    if kind == "Job" and spec.get("completions") is not None:
        number = min(number, spec["completions"])
    if not isinstance(number, int) or not 0 <= number <= MOST_PODS:
        raise ValueError(f"{kind} {name}: spec.{field}: {number!r}: expected a number from 0 to {MOST_PODS}")
    return number


def _pod(name: str, namespace: str, template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
    named = {"generateName": f"{name}-", "namespace": namespace, **kept}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": template["spec"]}
