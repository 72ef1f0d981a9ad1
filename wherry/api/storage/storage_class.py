"""StorageClass: a kind of storage to be had on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wherry.api.filling import fill_empty
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required, too_long
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import one_of, unchanged
from wherry.machinery.view import Verbatim

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
MAX_PARAMETERS, MAX_PARAMETER_BYTES = 512, 256 * 1024

fill_empty("io.k8s.api.storage.v1.StorageClass", reclaimPolicy="Delete", volumeBindingMode="Immediate")


class StorageClass(Resource, group="storage.k8s.io", version="v1", scope="Cluster", short=("sc",)):
    """A kind of storage to be had on request."""

    provisioner: str = ""
    parameters: dict[str, str] = {}
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
    allow_volume_expansion: bool | None = None
    mount_options: tuple[str, ...] = ()
    allowed_topologies: tuple[Verbatim, ...] = ()

    name_column = False
    delete_returns_object = True
    columns = (
        Column("Name", lambda storage: storage.metadata.name + (" (default)" if storage.is_default else "")),
        Column("Provisioner", lambda storage: storage.provisioner),
        Column("ReclaimPolicy", lambda storage: storage.reclaim_policy),
        Column("VolumeBindingMode", lambda storage: storage.volume_binding_mode),
        Column("AllowVolumeExpansion", lambda storage: bool(storage.allow_volume_expansion)),
        AGE,
    )

    @property
    def is_default(self) -> bool:
        """Whether claims that name no class get this one."""
        return self.metadata.annotations.get(IS_DEFAULT) == "true"

    def validate(self, old: StorageClass | None) -> Iterator[FieldError]:
        """Every broken rule; what volumes are made of does not change."""
        if not self.provisioner:
            yield required("provisioner")
        else:
            for problem in names.qualified_name(self.provisioner.lower()):
                yield invalid("provisioner", self.provisioner, problem)
        yield from check_parameters(self.parameters)
        if self.reclaim_policy not in RECLAIM_POLICIES:
            yield not_supported("reclaimPolicy", self.reclaim_policy, RECLAIM_POLICIES)
        yield from one_of("volumeBindingMode", self.volume_binding_mode, BINDING_MODES)
        if old is not None:
            yield from self._check_update(old)

    def _check_update(self, old: StorageClass) -> Iterator[FieldError]:
        for field, now, before in (
            ("parameters", self.parameters, old.parameters),
            ("provisioner", self.provisioner, old.provisioner),
            ("reclaimPolicy", self.reclaim_policy, old.reclaim_policy),
        ):
            if now != before:
                yield forbidden(field, f"updates to {field} are forbidden.")
        yield from unchanged("volumeBindingMode", self.volume_binding_mode, old.volume_binding_mode)


def check_parameters(parameters: Mapping[str, str]) -> Iterator[FieldError]:
    """Not too many, not too long, and each with a name."""
    if len(parameters) > MAX_PARAMETERS:
        yield too_long("parameters", MAX_PARAMETERS)
    if "" in parameters:
        yield invalid("parameters", "", "field can not be empty.")
    if sum(len(key) + len(value) for key, value in parameters.items()) > MAX_PARAMETER_BYTES:
        yield too_long("parameters", MAX_PARAMETER_BYTES)


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """The class of claims that name none: of several default ones the newest, of equals the first by name."""
    defaults = sorted((each for each in classes if each.is_default), key=lambda each: each.metadata.name)
    return max(defaults, key=lambda each: str(each.metadata.created_at), default=None)
