"""Service: one stable address for pods that come and go. Behaviour: controllers/services, kubeproxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.core import service_draft
from wherry.api.core.service_rules import check_spec, check_spec_update
from wherry.api.meta import Conditions
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE, joined, label_text
from wherry.machinery.validation import check_ip, check_name, each, parse_ip, under
from wherry.machinery.view import Verbatim, View


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
    traffic_distribution: str | None = None
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    load_balancer_class: str = ""
    load_balancer_ip: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool | None = None
    health_check_node_port: int = 0

    @property
    def is_headless(self) -> bool:
        """Whether clients get the pods' own addresses from DNS instead of one address."""
        return self.cluster_ip == "None"

    @property
    def is_externally_reachable(self) -> bool:
        """Whether traffic can come from outside of the cluster."""
        return self.type in ("LoadBalancer", "NodePort") or (self.type == "ClusterIP" and bool(self.external_ips))


class LoadBalancerIngress(View):
    """One address of a load balancer."""

    ip: str = ""
    ip_mode: str = ""
    hostname: str = ""
    ports: tuple[Verbatim, ...] = ()


class LoadBalancerStatus(View):
    """Where a load balancer answers."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(View):
    """What the cluster reports of the service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: Conditions = ()


class Service(Resource, version="v1", short=("svc",), categories=("all",), subresources=("proxy", "status")):
    """One stable address for pods that come and go."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    columns = (
        Column("Type", lambda service: service.spec.type),
        Column("Cluster-IP", lambda service: _cluster_ip(service.spec)),
        Column("External-IP", lambda service: _external_ip(service)),
        Column("Port(s)", lambda service: joined(_port_text(port) for port in service.spec.ports)),
        AGE,
        Column("Selector", lambda service: label_text(service.spec.selector), priority=1),
    )
    delete_returns_object = True
    create_on_update = True
    name_rule = "service"
    selectable = {
        "spec.clusterIP": lambda service: service.spec.cluster_ip,
        "spec.type": lambda service: service.spec.type,
    }

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """An address given in one field is in both."""
        service_draft.prepare(draft)

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """What was allocated stays."""
        service_draft.carry_over(draft, old)

    def validate(self, old: Service | None) -> Iterator[FieldError]:
        """Every broken rule of a service."""
        if old is not None:
            yield from under("spec", check_spec_update(self.spec, old.spec))
        yield from under("spec", check_spec(self.spec))

    def validate_status(self, old: Service) -> Iterator[FieldError]:
        """Only load balancers have addresses of their own."""
        ingress = self.status.load_balancer.ingress
        if ingress and self.spec.type != "LoadBalancer":
            why = "may only be used when `spec.type` is 'LoadBalancer'"
            yield forbidden("status.loadBalancer.ingress", why)
        else:
            yield from each("status.loadBalancer.ingress", ingress, _check_ingress)


def _check_ingress(ingress: LoadBalancerIngress) -> Iterator[FieldError]:
    if ingress.ip:
        yield from check_ip("ip", ingress.ip)
        if not ingress.ip_mode:
            yield required("ipMode", "must be specified when `ip` is set")
    elif ingress.ip_mode:
        yield forbidden("ipMode", "may not be specified when `ip` is not set")
    if ingress.ip and ingress.ip_mode not in ("", "VIP", "Proxy"):
        yield not_supported("ipMode", ingress.ip_mode, ("VIP", "Proxy"))
    if ingress.hostname:
        yield from check_name("hostname", ingress.hostname, names.dns1123_subdomain)
        if parse_ip(ingress.hostname):
            yield invalid("hostname", ingress.hostname, "must be a DNS name, not an IP address")


def _cluster_ip(spec: ServiceSpec) -> str:
    return (spec.cluster_ips[0] if spec.cluster_ips else "") or "<none>"


def _external_ip(service: Service) -> str:
    spec = service.spec
    if spec.type == "ExternalName":
        return spec.external_name
    if spec.type != "LoadBalancer":
        return joined(spec.external_ips)
    balanced = sorted({ingress.ip or ingress.hostname for ingress in service.status.load_balancer.ingress} - {""})
    return ",".join((*balanced, *spec.external_ips)) or "<pending>"


def _port_text(port: ServicePort) -> str:
    return f"{port.port}:{port.node_port}/{port.protocol}" if port.node_port else f"{port.port}/{port.protocol}"
