"""A container's environment: services, ConfigMaps, Secrets, fields and plain values, in Kubernetes' order. Pure.

Kubernetes: makeEnvironmentVariables, envvars.FromServices and the `$(VAR)` expansion of third_party/forked/golang.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubelet.recipe.fields import UnknownField
from wherry.api.core.pod import Container, EnvVar, Pod
from wherry.api.core.service import Service

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


class ConfigError(Exception):
    """The container cannot be made as its pod asks. Kubernetes: CreateContainerConfigError."""


class Sources(NamedTuple):
    """Everything an environment may refer to; None for an object that does not exist."""

    config_maps: Mapping[str, Mapping[str, str] | None] = {}
    secrets: Mapping[str, Mapping[str, str] | None] = {}
    services: Iterable[Service] = ()
    field: Callable[[str], str] = str
    resource: Callable[[str, str, str], str] = lambda container, resource, divisor: ""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` is a dollar, an unknown name stays as it is.

    >>> expand("$(A) $$(A) $(B) $A", {"A": "x"})
    'x $(A) $(B) $A'
    """

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else variables.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def expand_path(text: str, variables: Mapping[str, str]) -> str:
    """The same for a `subPathExpr`, in which every name must have a value; raises ConfigError."""
    names = {found[2] for found in _REFERENCE.finditer(text) if found[1] != "$"}
    missing = sorted(name for name in names if not variables.get(name))
    if missing:
        raise ConfigError(f"missing value for {', '.join(missing)}")
    return expand(text, variables)


def environment(pod: Pod, container: Container, sources: Sources) -> dict[str, str]:
    """Names and values; of two with one name, the later wins."""
    variables = service_variables(pod, sources.services)
    for batch in container.env_from:
        for kind, reference, objects in (
            ("configmap", batch.config_map_ref, sources.config_maps),
            ("secret", batch.secret_ref, sources.secrets),
        ):
            if reference is None:
                continue
            data = objects.get(reference.name)
            if data is None and not reference.optional:
                raise ConfigError(f'{kind} "{reference.name}" not found')
            variables |= {batch.prefix + key: value for key, value in (data or {}).items() if key and "=" not in key}
    for variable in container.env:
        value = _value(pod, container, variable, sources, variables)
        if value is not None:
            variables[variable.name] = value
    return variables


def _value(pod: Pod, container: Container, variable: EnvVar, sources: Sources, known: Mapping[str, str]) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, known)
    if source.field_ref is not None:
        return _or_config_error(lambda: sources.field(source.field_ref.field_path))  # type: ignore[union-attr]
    if (wanted := source.resource_field_ref) is not None:
        name, divisor = wanted.container_name or container.name, str(wanted.divisor or "")
        return _or_config_error(lambda: sources.resource(name, wanted.resource, divisor))
    for kind, title, reference, objects in (
        ("configmap", "ConfigMap", source.config_map_key_ref, sources.config_maps),
        ("secret", "Secret", source.secret_key_ref, sources.secrets),
    ):
        if reference is None:
            continue
        data = objects.get(reference.name)
        if data is not None and reference.key in data:
            return data[reference.key]
        if reference.optional:
            return None
        if data is None:
            raise ConfigError(f'{kind} "{reference.name}" not found')
        raise ConfigError(f"couldn't find key {reference.key} in {title} {pod.metadata.namespace}/{reference.name}")
    return None


def _or_config_error(read: Callable[[], str]) -> str:
    try:
        return read()
    except UnknownField as error:
        raise ConfigError(str(error)) from error


def service_variables(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """`WEB_SERVICE_HOST` and its like for the pod's namespace, if it wants them, and always for the API server."""
    variables: dict[str, str] = {}
    for service in sorted(services, key=lambda service: service.key):
        is_linked = pod.spec.enable_service_links and service.metadata.namespace == pod.metadata.namespace
        if not is_linked and service.key != "default/kubernetes":
            continue
        if service.spec.cluster_ip and not service.spec.is_headless:
            variables |= _links(service)
    return variables


def _links(service: Service) -> dict[str, str]:
    name, ip = service.metadata.name.upper().replace("-", "_"), service.spec.cluster_ip
    ports = service.spec.ports
    links = {f"{name}_SERVICE_HOST": ip}
    for place, port in enumerate(ports):
        number, protocol = str(port.port), port.protocol
        if place == 0:
            links[f"{name}_SERVICE_PORT"] = number
            links[f"{name}_PORT"] = f"{protocol.lower()}://{ip}:{number}"
        if port.name:
            links[f"{name}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = number
        prefix = f"{name}_PORT_{number}_{protocol.upper()}"
        links |= {prefix: f"{protocol.lower()}://{ip}:{number}", f"{prefix}_PROTO": protocol.lower()}
        links |= {f"{prefix}_PORT": number, f"{prefix}_ADDR": ip}
    return links


def references(pod: Pod, container: Container) -> tuple[set[str], set[str]]:
    """The names of the ConfigMaps and of the Secrets that the environment reads."""
    config_maps = {batch.config_map_ref.name for batch in container.env_from if batch.config_map_ref}
    secrets = {batch.secret_ref.name for batch in container.env_from if batch.secret_ref}
    for variable in container.env:
        if variable.value_from and variable.value_from.config_map_key_ref:
            config_maps.add(variable.value_from.config_map_key_ref.name)
        if variable.value_from and variable.value_from.secret_key_ref:
            secrets.add(variable.value_from.secret_key_ref.name)
    return config_maps, secrets
