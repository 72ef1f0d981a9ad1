"""Service: one stable address for pods that come and go. Behaviour: controllers/endpointslice.py, kubeproxy."""

from __future__ import annotations

import msgspec

from wherry.api.meta import Conditions
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class ServicePort(View):
    """A port of the service and where it leads; `target_port` may name a container port."""

    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    target_port: int | str = 0
    node_port: int = 0
    app_protocol: str = ""


class ClientIP(View):
    """How long a client stays with the same pod."""

    timeout_seconds: int = 10800


class SessionAffinityConfig(View):
    """Settings of session affinity."""

    client_ip: ClientIP = ClientIP()


class ServiceSpec(View):
    """Which pods, by which ports, at which address."""

    type: str = "ClusterIP"
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig = SessionAffinityConfig()
    publish_not_ready_addresses: bool = False
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    ip_families: tuple[str, ...] = ()
    load_balancer_class: str = ""
    allocate_load_balancer_node_ports: bool = True

    @property
    def is_headless(self) -> bool:
        """Whether clients get the pods' own addresses from DNS instead of one address."""
        return self.cluster_ip == "None"


class LoadBalancerIngress(View):
    """One address of a load balancer."""

    ip: str = ""
    hostname: str = ""


class LoadBalancerStatus(View):
    """Where a load balancer answers."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(View):
    """What the cluster reports of the service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: Conditions = msgspec.field(default=())


class Service(Resource, version="v1", short=("svc",), categories=("all",), subresources=("proxy", "status")):
    """One stable address for pods that come and go."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    delete_returns_object = True
    create_on_update = True
    name_rule = "service"
    selectable = {
        "spec.clusterIP": lambda service: service.spec.cluster_ip,
        "spec.type": lambda service: service.spec.type,
    }
