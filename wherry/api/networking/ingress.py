"""Ingress: which service answers for which host and path, to clients from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.api.networking.ingress_backend import IngressBackend, check_backend
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_ip, check_name, each, parse_ip, under
from wherry.machinery.view import View

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
SHOWN_HOSTS = 3
_NO_IP = "must be a DNS name, not an IP address"
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END = ("/..", "/.")


class HTTPIngressPath(View):
    """A path, how it is compared, and who answers."""

    path: str = ""
    path_type: str | None = None
    backend: IngressBackend = IngressBackend()


class HTTPIngressRuleValue(View):
    """The paths of a host."""

    paths: tuple[HTTPIngressPath, ...] = ()


class IngressRule(View):
    """A host, which may begin with `*.`, and its paths. No host means every one."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(View):
    """Hosts that are served over TLS, and the secret with the certificate."""

    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(View):
    """Rules, and who answers where none fits."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class IngressLoadBalancerIngress(View):
    """An address at which the ingress is reached."""

    ip: str = ""
    hostname: str = ""


class IngressLoadBalancerStatus(View):
    """The addresses at which the ingress is reached."""

    ingress: tuple[IngressLoadBalancerIngress, ...] = ()


class IngressStatus(View):
    """What the ingress controller tells."""

    load_balancer: IngressLoadBalancerStatus = IngressLoadBalancerStatus()


def _hosts(ingress: Ingress) -> str:
    rules = ingress.spec.rules
    shown = ",".join(rule.host for rule in rules if rule.host) if len(rules) <= SHOWN_HOSTS else _first_hosts(rules)
    return shown or "*"


def _first_hosts(rules: tuple[IngressRule, ...]) -> str:
    hosts = [rule.host for rule in rules if rule.host]
    shown = ",".join(hosts[:SHOWN_HOSTS])
    return f"{shown} + {len(rules) - SHOWN_HOSTS} more..." if len(hosts) >= SHOWN_HOSTS else shown


def _addresses(ingress: Ingress) -> str:
    found = {place.ip or place.hostname for place in ingress.status.load_balancer.ingress}
    return ",".join(sorted(found - {""}))


class Ingress(
    Resource, group="networking.k8s.io", version="v1", plural="ingresses", short=("ing",), subresources=("status",)
):
    """Which service answers for which host and path."""

    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()

    counts_generations = True
    columns = (
        Column("Class", lambda ingress: "<none>" if ingress.class_name is None else ingress.class_name),
        Column("Hosts", _hosts),
        Column("Address", _addresses),
        Column("Ports", lambda ingress: "80, 443" if ingress.spec.tls else "80"),
        AGE,
    )

    @property
    def class_name(self) -> str | None:
        """Whose work it is."""
        return self.spec.ingress_class_name

    def validate(self, old: Ingress | None) -> Iterator[FieldError]:
        """Every broken rule of an ingress."""
        yield from under("spec", _check_spec(self.spec))
        annotated = self.metadata.annotations.get(CLASS_ANNOTATION)
        if old is None and annotated is not None and self.class_name not in (None, annotated):
            why = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{CLASS_ANNOTATION}", annotated, why)

    def validate_status(self, old: Ingress) -> Iterator[FieldError]:
        """Every broken rule of what the ingress controller tells."""
        return each("status.loadBalancer.ingress", self.status.load_balancer.ingress, _check_address)


def _check_address(place: IngressLoadBalancerIngress) -> Iterator[FieldError]:
    if place.ip:
        yield from check_ip("ip", place.ip)
    if place.hostname:
        yield from check_name("hostname", place.hostname, names.dns1123_subdomain)
        yield from _check_no_ip("hostname", place.hostname)


def _check_no_ip(field: str, host: str) -> Iterator[FieldError]:
    if parse_ip(host) is not None:
        yield invalid(field, host, _NO_IP)


def _check_spec(spec: IngressSpec) -> Iterator[FieldError]:
    if not spec.rules and spec.default_backend is None:
        yield invalid("", None, "either `defaultBackend` or `rules` must be specified")
    if spec.default_backend is not None:
        yield from under("defaultBackend", check_backend(spec.default_backend))
    yield from each("rules", spec.rules, _check_rule)
    yield from each("tls", spec.tls, _check_tls)
    if spec.ingress_class_name is not None:
        yield from check_name("ingressClassName", spec.ingress_class_name, names.dns1123_subdomain)


def _check_host(field: str, host: str) -> Iterable[FieldError]:
    rule = names.wildcard_dns1123_subdomain if "*" in host else names.dns1123_subdomain
    return check_name(field, host, rule)


def _check_rule(rule: IngressRule) -> Iterable[FieldError]:
    if rule.host:
        yield from _check_no_ip("host", rule.host)
        yield from _check_host("host", rule.host)
    if rule.http is not None:
        if not rule.http.paths:
            yield required("http.paths")
        yield from each("http.paths", rule.http.paths, _check_path)


def _check_path(path: HTTPIngressPath) -> Iterator[FieldError]:
    if path.path_type is None:
        yield required("pathType", "pathType must be specified")
        return
    if path.path_type not in PATH_TYPES:
        yield not_supported("pathType", path.path_type, PATH_TYPES)
    elif path.path_type != "ImplementationSpecific" or path.path:
        if not path.path.startswith("/"):
            yield invalid("path", path.path, "must be an absolute path")
        if path.path_type != "ImplementationSpecific":
            yield from _check_plain_path(path.path)
    yield from under("backend", check_backend(path.backend))


def _check_plain_path(path: str) -> Iterator[FieldError]:
    for part in _NOT_IN_PATHS:
        if part in path:
            yield invalid("path", path, f"must not contain '{part}'")
    for part in _NOT_AT_THE_END:
        if path.endswith(part):
            yield invalid("path", path, f"cannot end with '{part}'")


def _check_tls(tls: IngressTLS) -> Iterator[FieldError]:
    for index, host in enumerate(tls.hosts):
        yield from _check_host(f"hosts[{index}]", host)
    if tls.secret_name:
        yield from check_name("secretName", tls.secret_name, names.dns1123_subdomain)
