"""IngressClass: a kind of ingress to be had, and which controller serves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.api.networking.ingress_backend import TypedLocalObjectReference, check_typed_reference
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required, too_long
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, unchanged, under
from wherry.machinery.view import View

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
SCOPES = ("Cluster", "Namespace")
MAX_CONTROLLER = 250

defaults.literal("io.k8s.api.networking.v1.IngressClassParametersReference", scope="Cluster")


class IngressClassParametersReference(TypedLocalObjectReference):
    """Settings for the controller; they may be in a namespace."""

    scope: str | None = None
    namespace: str | None = None


class IngressClassSpec(View):
    """Which controller, and its settings."""

    controller: str = ""
    parameters: IngressClassParametersReference | None = None


def _parameters(ingress_class: IngressClass) -> str:
    parameters = ingress_class.spec.parameters
    if parameters is None:
        return "<none>"
    group = "" if parameters.api_group is None else f".{parameters.api_group}"
    return f"{parameters.kind}{group}/{parameters.name}"


class IngressClass(Resource, group="networking.k8s.io", version="v1", scope="Cluster"):
    """A kind of ingress to be had."""

    spec: IngressClassSpec = IngressClassSpec()

    counts_generations = True
    name_column = False
    columns = (
        Column("Name", lambda each: each.metadata.name + (" (default)" if each.is_default else "")),
        Column("Controller", lambda each: each.spec.controller),
        Column("Parameters", _parameters),
        AGE,
    )

    @property
    def is_default(self) -> bool:
        """Whether ingresses that name no class get this one."""
        return self.metadata.annotations.get(IS_DEFAULT) == "true"

    def validate(self, old: IngressClass | None) -> Iterator[FieldError]:
        """Every broken rule of a class; its controller is for life."""
        controller = self.spec.controller
        if not controller:
            yield required("spec.controller")
        else:
            if len(controller) > MAX_CONTROLLER:
                yield too_long("spec.controller", MAX_CONTROLLER)
            yield from check_prefixed_path("spec.controller", controller)
        if self.spec.parameters is not None:
            yield from under("spec.parameters", _check_parameters(self.spec.parameters))
        if old is not None:
            yield from unchanged("spec.controller", controller, old.spec.controller)


def check_prefixed_path(field: str, value: str) -> Iterator[FieldError]:
    """A domain, a slash and a path, such as `example.com/ingress`. Kubernetes: IsDomainPrefixedPath."""
    domain, _, path = value.partition("/")
    if not domain or not path:
        yield invalid(field, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    yield from check_name(field, domain, names.dns1123_subdomain)
    yield from check_name(field, path, names.url_path)


def _check_parameters(parameters: IngressClassParametersReference) -> Iterator[FieldError]:
    yield from check_typed_reference(parameters)
    if parameters.scope is None:
        yield required("scope")
    elif parameters.scope not in SCOPES:
        yield not_supported("scope", parameters.scope, SCOPES)
    elif parameters.scope == "Namespace":
        if parameters.namespace is None:
            yield required("namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from check_name("namespace", parameters.namespace, names.dns1123_label)
    elif parameters.namespace is not None:
        yield forbidden("namespace", "`parameters.scope` is set to 'Cluster'")


def default_class(classes: Iterable[IngressClass]) -> IngressClass | None:
    """The class of ingresses that name none: of several default ones the newest, of equals the first by name."""
    defaults = sorted((each for each in classes if each.is_default), key=lambda each: each.metadata.name)
    return max(defaults, key=lambda each: str(each.metadata.created_at), default=None)
