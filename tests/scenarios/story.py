"""A story: a simulated cluster, somebody with kubectl in front of it, and the transcript of what happens.

async def tell(story: Story) -> None:
    await story.create_deployment("web", "web:1", replicas=3)
    await story.scale("web", 5)
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.machinery.resource import Resource
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.transcript import Transcript

REVISION, HASH = "deployment.kubernetes.io/revision", "pod-template-hash"
NAMESPACE = "default"


def a_deployment(name: str, image: str, replicas: int) -> dict[str, Any]:
    """As `kubectl create deployment` writes it."""
    labels = {"app": name}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(name, image)}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def a_statefulset(name: str, image: str, replicas: int) -> dict[str, Any]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    deployment = a_deployment(name, image, replicas)
    claims = {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}
    return deployment | {"kind": "StatefulSet", "spec": deployment["spec"] | claims}


def template(name: str, image: str, cpu: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {"name": image.partition(":")[0], "image": image}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


@dataclass
class Story:
    """What its hero can do. Each deed is a line of the transcript, and all that follows from it are the next ones."""

    cluster: SimulatedCluster
    transcript: Transcript

    async def create_deployment(self, name: str, image: str, replicas: int) -> None:
        self.transcript.command(f"kubectl create deployment {name} --image={image} --replicas={replicas}")
        await self.cluster.admin.create(a_deployment(name, image, replicas))
        await self.cluster.settle()

    async def create_priority_class(self, name: str, value: int) -> None:
        self.transcript.command(f"kubectl create priorityclass {name} --value={value}")
        manifest = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        await self.cluster.admin.create(manifest | {"value": value})
        await self.cluster.settle()

    async def run_pod(self, name: str, image: str, cpu: str, priority: str) -> None:
        self.transcript.command(f"kubectl apply -f {name}.yaml   # a pod that wants {cpu} cpus, priority {priority}")
        spec = {"priorityClassName": priority, **template(name, image, cpu)["spec"]}
        metadata = {"name": name, "namespace": NAMESPACE}
        await self.cluster.admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await self.cluster.settle()

    async def apply_deployment(self, name: str, image: str, replicas: int, cpu: str) -> None:
        self.transcript.command(f"kubectl apply -f {name}.yaml   # {replicas} replicas of {image}, {cpu} cpus each")
        deployment = a_deployment(name, image, replicas)
        deployment["spec"]["template"] = template(name, image, cpu)
        await self.cluster.admin.create(deployment)
        await self.cluster.settle()

    async def create_statefulset(self, name: str, image: str, replicas: int) -> None:
        self.transcript.command(f"kubectl apply -f {name}.yaml   # {replicas} replicas of {image}, a claim for each")
        await self.cluster.admin.create(a_statefulset(name, image, replicas))
        await self.cluster.settle()

    async def delete_pod(self, name: str) -> None:
        self.transcript.command(f"kubectl delete pod {name}")
        await self.cluster.admin.delete(Pod, name, NAMESPACE)
        await self.cluster.settle()

    async def expose(self, name: str, port: int) -> None:
        self.transcript.command(f"kubectl expose deployment {name} --port={port}")
        spec = {"selector": {"app": name}, "ports": [{"port": port}]}
        metadata = {"name": name, "namespace": NAMESPACE}
        await self.cluster.admin.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        await self.cluster.settle()

    async def scale(self, name: str, replicas: int, kind: type[Resource] = Deployment) -> None:
        self.transcript.command(f"kubectl scale {kind.kind.name.lower()} {name} --replicas={replicas}")
        await self._patch(name, {"spec": {"replicas": replicas}}, "scale", kind)

    async def set_image(self, name: str, image: str, kind: type[Resource] = Deployment) -> None:
        container = image.partition(":")[0]
        self.transcript.command(f"kubectl set image {kind.kind.name.lower()}/{name} {container}={image}")
        await self._patch(name, {"spec": {"template": template(name, image)}}, kind=kind)

    async def undo(self, name: str) -> None:
        """kubectl finds the template of the version before the current one and puts it back."""
        self.transcript.command(f"kubectl rollout undo deployment/{name}")
        replicasets = (await self.cluster.admin.list(ReplicaSet, NAMESPACE)).items
        last = sorted(replicasets, key=lambda rs: int(rs.metadata.annotations[REVISION]))[-2]
        metadata = {"labels": {key: value for key, value in last.metadata.labels.items() if key != HASH}}
        back = {"metadata": metadata, "spec": last.spec.template.raw["spec"]}
        await self._patch(name, {"spec": {"template": back}})

    async def delete(self, name: str) -> None:
        self.transcript.command(f"kubectl delete deployment {name}")
        await self.cluster.admin.delete(Deployment, name, NAMESPACE)
        await self.cluster.settle()

    async def lose(self, node: str, seconds: float) -> None:
        self.transcript.command(f"ssh {node} kill -9 $(pidof kubelet)")
        self.cluster.nodes[node].kill()
        await asyncio.sleep(seconds)

    async def bring_back(self, node: str) -> None:
        self.transcript.command(f"ssh {node} systemctl start kubelet")
        self.cluster.nodes[node].start()
        await self.cluster.settle()

    async def wait(self, seconds: float) -> None:
        self.transcript.command(f"sleep {seconds:g}")
        await asyncio.sleep(seconds)

    async def _patch(
        self, name: str, patch: dict[str, Any], subresource: str = "", kind: type[Resource] = Deployment
    ) -> None:
        await self.cluster.admin.patch(kind, name, NAMESPACE, patch, subresource=subresource)
        await self.cluster.settle()
