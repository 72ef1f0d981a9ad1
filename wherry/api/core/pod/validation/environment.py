"""Environment variables, and references to fields and resources of the pod itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.api.core.pod.container import EnvFrom, EnvSource, EnvVar, FieldRef, KeyRef, ResourceFieldRef
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, not_supported, required
from wherry.machinery.quantity import Quantity
from wherry.machinery.validation import check_name, required_name, under

# What the downward API may read: as a variable, and as a file.
VARIABLE_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
FILE_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN_FIELDS = {*VARIABLE_FIELDS, *FILE_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"}

_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_SOURCES = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"


def check_variable(variable: EnvVar) -> Iterator[FieldError]:
    """One entry of `env`."""
    yield from required_name("name", variable.name, names.environment_name)
    if variable.value_from is not None:
        yield from under("valueFrom", _check_source(variable.value_from, variable.value))


def _check_source(source: EnvSource, value: str) -> Iterator[FieldError]:
    count = sum(getattr(source, field) is not None for field in EnvSource.__struct_fields__)
    if source.field_ref:
        yield from under("fieldRef", check_field_ref(source.field_ref, VARIABLE_FIELDS))
    if source.resource_field_ref:
        yield from under("resourceFieldRef", check_resource_ref(source.resource_field_ref))
    if source.config_map_key_ref:
        yield from under("configMapKeyRef", _check_key_ref(source.config_map_key_ref))
    if source.secret_key_ref:
        yield from under("secretKeyRef", _check_key_ref(source.secret_key_ref))
    if count == 0:
        yield invalid("", "", _SOURCES)
    elif value:
        yield invalid("", "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid("", "", "may not have more than one field specified at a time")


def _check_key_ref(ref: KeyRef) -> Iterator[FieldError]:
    yield from check_name("name", ref.name, names.dns1123_subdomain)
    yield from required_name("key", ref.key, names.config_key)


def check_variables_from(field: str, sources: Iterable[EnvFrom]) -> Iterator[FieldError]:
    """The list `envFrom`. Which source is meant stands at the list, not at its item, as in Kubernetes."""
    for index, source in enumerate(sources):
        path = f"{field}[{index}]"
        if source.prefix:
            yield from check_name(f"{path}.prefix", source.prefix, names.environment_name)
        if source.config_map_ref:
            yield from required_name(f"{path}.configMapRef.name", source.config_map_ref.name, names.dns1123_subdomain)
        if source.secret_ref:
            yield from required_name(f"{path}.secretRef.name", source.secret_ref.name, names.dns1123_subdomain)
        if not source.config_map_ref and not source.secret_ref:
            yield invalid(field, "", "must specify one of: `configMapRef` or `secretRef`")
        elif source.config_map_ref and source.secret_ref:
            yield invalid(field, "", "may not have more than one field specified at a time")


def check_field_ref(ref: FieldRef, allowed: tuple[str, ...]) -> Iterator[FieldError]:
    """A reference to a field of the pod, of those the place allows."""
    if not ref.api_version:
        yield required("apiVersion")
    elif not ref.field_path:
        yield required("fieldPath")
    elif ref.api_version != "v1":
        why = f"error converting fieldPath: unsupported pod version: {ref.api_version}"
        yield invalid("fieldPath", ref.field_path, why)
    else:
        yield from _check_field_path(ref.field_path, allowed)


def _check_field_path(field_path: str, allowed: tuple[str, ...]) -> Iterator[FieldError]:
    path, _, subscript = field_path.removesuffix("']").partition("['")
    if path and subscript and field_path.endswith("']"):
        if path not in ("metadata.annotations", "metadata.labels"):
            why = f"error converting fieldPath: field label does not support subscript: {field_path}"
            yield invalid("fieldPath", field_path, why)
            return
        key = subscript.lower() if path == "metadata.annotations" else subscript
        yield from check_name("", key, names.qualified_name)
    elif field_path not in _KNOWN_FIELDS:
        why = f"error converting fieldPath: field label not supported: {field_path}"
        yield invalid("fieldPath", field_path, why)
    elif field_path not in allowed:
        yield not_supported("fieldPath", field_path, allowed)


def check_resource_ref(ref: ResourceFieldRef, *, needs_container: bool = False) -> Iterator[FieldError]:
    """A reference to a request or limit; in a volume it must say of which container."""
    if needs_container and not ref.container_name:
        yield required("containerName")
    elif not ref.resource:
        yield required("resource")
    elif ref.resource not in _RESOURCES and not ref.resource.startswith(_HUGE_PAGES):
        yield not_supported("resource", ref.resource, _RESOURCES)
    if ref.divisor:
        yield from _check_divisor(ref.resource, ref.divisor)


def _check_divisor(resource: str, divisor: Quantity) -> Iterator[FieldError]:
    name = resource.partition(".")[2]
    if name == "cpu":
        if str(divisor) not in ("1m", "1"):
            yield invalid("divisor", resource, "only divisor's values 1m and 1 are supported with the cpu resource")
    elif str(divisor) not in _SIZES:
        what = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(name, "hugepages")
        allowed = ", ".join(_SIZES)
        yield invalid("divisor", resource, f"only divisor's values {allowed} are supported with the {what} resource")
