"""CSIDriver: what a storage driver needs of the cluster. Registered by whoever installs the driver."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.machinery.field_errors import FieldError, duplicate, immutable, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import under
from wherry.machinery.view import View

MODES = ("Ephemeral", "Persistent")
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
SHORTEST_TOKEN, LONGEST_TOKEN = 10 * 60, 1 << 32
SHORTEST_PERIOD = 10

defaults.literal(
    "io.k8s.api.storage.v1.CSIDriverSpec",
    attachRequired=True,
    podInfoOnMount=False,
    storageCapacity=False,
    fsGroupPolicy="ReadWriteOnceWithFSType",
    volumeLifecycleModes=["Persistent"],
    requiresRepublish=False,
    seLinuxMount=False,
)


class TokenRequest(View):
    """A token of the pod's account that the driver gets."""

    audience: str = ""
    expiration_seconds: int | None = None


class CSIDriverSpec(View):
    """What the driver needs."""

    attach_required: bool | None = None
    pod_info_on_mount: bool | None = None
    storage_capacity: bool | None = None
    fs_group_policy: str | None = None
    token_requests: tuple[TokenRequest, ...] = ()
    requires_republish: bool | None = None
    se_linux_mount: bool | None = None
    volume_lifecycle_modes: tuple[str, ...] = ()
    node_allocatable_update_period_seconds: int | None = None


class CSIDriver(Resource, group="storage.k8s.io", version="v1", scope="Cluster"):
    """What a storage driver needs of the cluster."""

    spec: CSIDriverSpec = CSIDriverSpec()

    delete_returns_object = True
    unconditional_update = False
    columns = (
        Column("AttachRequired", lambda driver: driver.spec.attach_required is not False, type="boolean"),
        Column("PodInfoOnMount", lambda driver: bool(driver.spec.pod_info_on_mount), type="boolean"),
        Column("StorageCapacity", lambda driver: bool(driver.spec.storage_capacity), type="boolean"),
        Column("TokenRequests", lambda driver: _audiences(driver.spec.token_requests)),
        Column("RequiresRepublish", lambda driver: bool(driver.spec.requires_republish), type="boolean"),
        Column("Modes", lambda driver: ",".join(driver.spec.volume_lifecycle_modes) or "<none>"),
        AGE,
    )

    def validate(self, old: CSIDriver | None) -> Iterator[FieldError]:
        """Every broken rule of a driver."""
        if old is None:
            yield from check_driver_name("name", self.metadata.name)
        yield from under("spec", _check_spec(self.spec))
        if old is not None:
            if self.spec.attach_required != old.spec.attach_required:
                # Kubernetes spells the path like this.
                yield immutable("spec.attachedRequired", self.spec.attach_required)
            if self.spec.volume_lifecycle_modes != old.spec.volume_lifecycle_modes:
                yield immutable("spec.volumeLifecycleModes", self.spec.volume_lifecycle_modes)


def _audiences(requests: tuple[TokenRequest, ...]) -> str:
    return ",".join(request.audience for request in requests) or "<unset>"


def _check_spec(spec: CSIDriverSpec) -> Iterator[FieldError]:
    flags = {
        "attachRequired": spec.attach_required,
        "podInfoOnMount": spec.pod_info_on_mount,
        "storageCapacity": spec.storage_capacity,
        "seLinuxMount": spec.se_linux_mount,
    }
    for field, flag in flags.items():
        if flag is None:
            yield required(field)
    if spec.fs_group_policy is None:
        yield required("fsGroupPolicy")
    elif spec.fs_group_policy not in GROUP_POLICIES:
        yield not_supported("fsGroupPolicy", spec.fs_group_policy, GROUP_POLICIES)
    yield from under("tokenRequests", _check_tokens(spec.token_requests))
    for mode in spec.volume_lifecycle_modes:
        if mode not in MODES:
            yield not_supported("volumeLifecycleModes", mode, MODES)
    period = spec.node_allocatable_update_period_seconds
    if period is not None and period < SHORTEST_PERIOD:
        why = f"must be greater than or equal to {SHORTEST_PERIOD} seconds"
        yield invalid("nodeAllocatableUpdatePeriodSeconds", period, why)


def _check_tokens(requests: tuple[TokenRequest, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, request in enumerate(requests):
        if request.audience in seen:
            yield duplicate(f"[{index}].audience", request.audience)
        seen.add(request.audience)
        seconds = request.expiration_seconds
        if seconds is not None and seconds < SHORTEST_TOKEN:
            yield invalid(f"[{index}].expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > LONGEST_TOKEN:
            why = "may not specify a duration larger than 2^32 seconds"
            yield invalid(f"[{index}].expirationSeconds", seconds, why)
