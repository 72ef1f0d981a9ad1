"""APIService: who answers for one version of one group: the API server itself, or a service of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, in_range, under
from wherry.machinery.view import View

HTTPS_PORT = 443
AVAILABLE = "Available"
MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20_000, 1000
LOCAL = {
    "type": AVAILABLE,
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}

defaults.literal("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference", port=HTTPS_PORT)


class ServiceReference(View):
    """A service of the cluster, and its port."""

    namespace: str = ""
    name: str = ""
    port: int | None = None


class APIServiceSpec(View):
    """Which group and version, who answers, and which one is preferred; without a service the server itself."""

    service: ServiceReference | None = None
    group: str = ""
    version: str = ""
    insecure_skip_tls_verify: bool = msgspec.field(name="insecureSkipTLSVerify", default=False)
    ca_bundle: str = ""
    group_priority_minimum: int = 0
    version_priority: int = 0


class APIServiceCondition(View):
    """Whether it answers."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class APIServiceStatus(View):
    """Whether it answers."""

    conditions: tuple[APIServiceCondition, ...] = ()


def _service(service: APIService) -> str:
    reference = service.spec.service
    return "Local" if reference is None else f"{reference.namespace}/{reference.name}"


def _available(service: APIService) -> str:
    condition = next((each for each in service.status.conditions if each.type == AVAILABLE), None)
    if condition is None:
        return "Unknown"
    return condition.status if condition.status == "True" else f"{condition.status} ({condition.reason})"


class APIService(
    Resource,
    group="apiregistration.k8s.io",
    version="v1",
    scope="Cluster",
    categories=("api-extensions",),
    subresources=("status",),
):
    """Who answers for one version of one group."""

    spec: APIServiceSpec = APIServiceSpec()
    status: APIServiceStatus = APIServiceStatus()

    name_rule = "path"
    unconditional_update = False
    columns = (Column("Service", _service), Column("Available", _available), AGE)

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """What the server answers itself can be had at once."""
        draft["status"] = {}
        if not (draft.get("spec") or {}).get("service"):
            created = (draft.get("metadata") or {}).get("creationTimestamp")
            draft["status"] = {"conditions": [{**LOCAL, "lastTransitionTime": created}]}

    def validate(self, old: APIService | None) -> Iterator[FieldError]:
        """Every broken rule; the name says group and version."""
        spec = self.spec
        wanted = f"{spec.version}.{spec.group}"
        if self.metadata.name != wanted:
            why = f'must be `spec.version+"."+spec.group`: "{wanted}"'
            yield invalid("metadata.name", self.metadata.name, why)
        yield from under("spec", _check_spec(spec))


def _check_spec(spec: APIServiceSpec) -> Iterator[FieldError]:
    if spec.group:
        yield from check_name("group", spec.group, names.dns1123_subdomain)
    elif spec.version != "v1":
        yield required("group", "only v1 may have an empty group and it better be legacy kube")
    yield from check_name("version", spec.version, names.dns1035_label)
    yield from in_range("groupPriorityMinimum", spec.group_priority_minimum, 1, MAX_GROUP_PRIORITY)
    yield from in_range("versionPriority", spec.version_priority, 1, MAX_VERSION_PRIORITY)
    if spec.service is None:
        if spec.ca_bundle:
            yield invalid("caBundle", f"{len(spec.ca_bundle)} bytes", "local APIServices may not have a caBundle")
        if spec.insecure_skip_tls_verify:
            why = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("insecureSkipTLSVerify", spec.insecure_skip_tls_verify, why)
        return
    if not spec.service.namespace:
        yield required("service.namespace")
    if not spec.service.name:
        yield required("service.name")
    problems = names.port_number(spec.service.port or HTTPS_PORT)
    yield from (invalid("service.port", spec.service.port, f"port is not valid: {problem}") for problem in problems)
    if spec.insecure_skip_tls_verify and spec.ca_bundle:
        why = "may not be true if caBundle is present"
        yield invalid("insecureSkipTLSVerify", spec.insecure_skip_tls_verify, why)
