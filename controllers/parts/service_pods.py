"""What EndpointSlices and Endpoints have in common: which pods stand behind a service, by which ports and names."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod import Pod
from wherry.api.core.service import Service, ServicePort
from wherry.api.meta import ObjectReference
from wherry.client.world import World

HEADLESS_LABEL = "service.kubernetes.io/headless"


def services_of(pod: Pod, world: World) -> Iterator[str]:
    """The services that select a pod: only they are looked at again when it changes."""
    for service in world.list(Service, namespace=pod.metadata.namespace):
        if has_endpoints(service) and service.spec.selector.items() <= pod.metadata.labels.items():
            yield service.key


def has_endpoints(service: Service) -> bool:
    """Whether its endpoints are found by selector, and not kept by someone else or a matter of DNS alone."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def pods_behind(service: Service, world: World) -> list[Pod]:
    """The selected pods that are not finished and have an address."""
    selected = world.list(Pod, namespace=service.metadata.namespace, labels=service.spec.selector)
    return [pod for pod in selected if not pod.is_finished and addresses(pod)]


def addresses(pod: Pod) -> list[str]:
    """The pod's addresses, the first one first."""
    listed = [entry.ip for entry in pod.status.pod_ips]
    return listed or ([pod.status.pod_ip] if pod.status.pod_ip else [])


def family_of(address: str) -> str:
    """IPv4 or IPv6."""
    return "IPv6" if ":" in address else "IPv4"


def families_of(service: Service) -> tuple[str, ...]:
    """The families in which the service wants to be reached; its cluster address tells where the spec does not."""
    if service.spec.ip_families:
        return service.spec.ip_families
    address = service.spec.cluster_ip
    return (family_of(address),) if address not in ("", "None") else ("IPv4",)


def address_in(pod: Pod, family: str) -> str:
    """The pod's address of a family, or an empty string."""
    return next((address for address in addresses(pod) if family_of(address) == family), "")


def port_on(pod: Pod, port: ServicePort) -> int | None:
    """Where a port of the service leads on this pod; None if the pod has no port of that name."""
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    containers = (*pod.spec.containers, *(one for one in pod.spec.init_containers if one.is_sidecar))
    named = (candidate for container in containers for candidate in container.ports)
    protocol = port.protocol
    return next((one.container_port for one in named if one.name == target and one.protocol == protocol), None)


def hostname_for(pod: Pod, service: Service) -> str:
    """The name by which DNS knows the pod below the service's own, if it asks for one."""
    return pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.metadata.name else ""


def reference_to_pod(pod: Pod) -> ObjectReference:
    """Which pod an endpoint is."""
    metadata = pod.metadata
    return ObjectReference(kind="Pod", namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)


def labels_for(service: Service) -> dict[str, str]:
    """The labels that what we keep for a service takes over from it."""
    inherited = {key: text for key, text in service.metadata.labels.items() if key != HEADLESS_LABEL}
    return inherited | ({HEADLESS_LABEL: ""} if service.spec.is_headless else {})
