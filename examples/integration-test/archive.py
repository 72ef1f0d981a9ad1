"""Archives releases: what a release was is written down in a ConfigMap, and its Deployment is scaled to zero."""

from kubernetes import client


def archive(api: client.ApiClient, namespace: str, name: str) -> None:
    """Archive the Deployment `name`; raises ApiException if there is none, or it is archived already."""
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    deployment = apps.read_namespaced_deployment(name, namespace)
    images = {container.name: container.image for container in deployment.spec.template.spec.containers}
    metadata = client.V1ObjectMeta(name=f"{name}-archive")
    core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=metadata, data=images))
    apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": 0}})
