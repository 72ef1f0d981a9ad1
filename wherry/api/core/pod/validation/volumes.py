"""Volumes of a pod: a name and exactly one source each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from wherry.api.core.claim_spec import check_claim_template
from wherry.api.core.pod.container import FieldRef, ResourceFieldRef
from wherry.api.core.pod.spec import Volume
from wherry.api.core.pod.validation.environment import FILE_FIELDS, check_field_ref, check_resource_ref
from wherry.api.core.pod.validation.paths import check_descending, check_file_name, check_mode, check_no_backsteps
from wherry.machinery import names, quantity
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from wherry.machinery.validation import check_name, each, required_name, under

Source = dict[str, Any]
SourceCheck = Callable[[Source], Iterable[FieldError]]

HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MAX_DRIVER_NAME = 63
_MIN_TOKEN_SECONDS, _MAX_TOKEN_SECONDS = 10 * 60, 2**32
_DUPLICATE_PATHS = "conflicting duplicate paths"


def check_volumes(volumes: Iterable[Volume], pod_name: str) -> Iterator[FieldError]:
    """The list of volumes; `pod_name` is empty for templates."""
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        path, name = f"[{index}]", volume.name
        yield from required_name(f"{path}.name", name, names.dns1123_label)
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from under(path, _check_only_source(volume.raw))
        if "ephemeral" in volume.raw and pod_name and name:
            claim = f"{pod_name}-{name}"
            for problem in names.dns1123_subdomain(claim):
                yield invalid(f"{path}.name", name, f'PVC name "{claim}": {problem}')


def _check_only_source(volume: Mapping[str, Any]) -> Iterator[FieldError]:
    sources = [key for key in SOURCES if key in volume]
    if not sources:
        yield required("", "must specify a volume type")
    for key in sources[:1]:
        yield from under(key, SOURCES[key](volume[key]))
    for key in sources[1:]:
        yield forbidden(key, "may not specify more than 1 volume type")


def needs(*fields: str) -> SourceCheck:
    """The check of a source that only has to name a few things."""

    def check(source: Source) -> Iterator[FieldError]:
        return (required(field) for field in fields if not source.get(field))

    return check


def _check_empty_dir(source: Source) -> Iterator[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.Quantity.parse(limit).nanos < 0:
        yield forbidden("sizeLimit", "SizeLimit field must be a valid resource quantity")


def check_host_path(source: Source) -> Iterator[FieldError]:
    """A path of the node."""
    if not source.get("path"):
        yield required("path")
        return
    yield from check_no_backsteps("path", source["path"])
    if source.get("type", "") not in HOST_PATH_TYPES:
        yield not_supported("type", source["type"], HOST_PATH_TYPES)


def _check_git_repo(source: Source) -> Iterator[FieldError]:
    if not source.get("repository"):
        yield required("repository")
    yield from check_descending("directory", source.get("directory", ""))


def check_nfs(source: Source) -> Iterator[FieldError]:
    """An NFS server and a path of it."""
    for field in ("server", "path"):
        if not source.get(field):
            yield required(field)
    if not source.get("path", "").startswith("/"):
        yield invalid("path", source.get("path", ""), "must be an absolute path")


def _files_of(name_field: str) -> SourceCheck:
    def check(source: Source) -> Iterator[FieldError]:
        if not source.get(name_field):
            yield required(name_field)
        yield from check_mode("defaultMode", source.get("defaultMode"))
        yield from each("items", source.get("items") or (), _check_key_to_path)

    return check


def _check_key_to_path(item: Source) -> Iterator[FieldError]:
    for field in ("key", "path"):
        if not item.get(field):
            yield required(field)
    yield from check_file_name("path", item.get("path", ""))
    yield from check_mode("mode", item.get("mode"))


def _check_downward(source: Source) -> Iterator[FieldError]:
    yield from check_mode("defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        yield from _check_downward_file(item)


def _check_downward_file(item: Source) -> Iterator[FieldError]:
    if not item.get("path"):
        yield required("path")
    yield from check_file_name("path", item.get("path", ""))
    field_ref, resource_ref = item.get("fieldRef"), item.get("resourceFieldRef")
    if field_ref is not None:
        yield from under("fieldRef", check_field_ref(FieldRef.read(field_ref), FILE_FIELDS))
        if resource_ref is not None:
            yield invalid("", "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource_ref is not None:
        ref = ResourceFieldRef.read(resource_ref)
        yield from under("resourceFieldRef", check_resource_ref(ref, needs_container=True))
    else:
        yield required("", "one of fieldRef and resourceFieldRef is required")
    yield from check_mode("mode", item.get("mode"))


def _check_projected(source: Source) -> Iterator[FieldError]:
    yield from check_mode("defaultMode", source.get("defaultMode"))
    paths: set[str] = set()
    for index, projection in enumerate(source.get("sources") or ()):
        path = f"sources[{index}]"
        kinds = [key for key in PROJECTIONS if key in projection]
        for key in kinds:
            yield from under(f"{path}.{key}", PROJECTIONS[key](projection[key]))
            for file in _projected_paths(key, projection[key]):
                if file in paths:
                    yield invalid("", projection[key].get("name", file), _DUPLICATE_PATHS)
                paths.add(file)
        if len(kinds) > 1:
            yield forbidden(path, "may not specify more than 1 volume type per source")


def _projected_paths(key: str, source: Source) -> list[str]:
    if key == "clusterTrustBundle":
        return [source.get("path", "")]
    return [item["path"] for item in source.get("items") or () if item.get("path")]


def _check_token(source: Source) -> Iterator[FieldError]:
    seconds = source.get("expirationSeconds", _MIN_TOKEN_SECONDS)
    if seconds < _MIN_TOKEN_SECONDS:
        yield invalid("expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > _MAX_TOKEN_SECONDS:
        yield invalid("expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not source.get("path"):
        yield required("path")
    else:
        yield from check_file_name("path", source["path"])


def _check_trust_bundle(source: Source) -> Iterator[FieldError]:
    by_name, by_signer = "name" in source, "signerName" in source
    if by_name and by_signer:
        yield invalid("", source, "only one of name and signerName may be used")
    elif not by_name and not by_signer:
        yield required("", "either name or signerName must be specified")
    if not source.get("path"):
        yield required("path")
    yield from check_file_name("path", source.get("path", ""))


PROJECTIONS: dict[str, SourceCheck] = {
    "secret": _files_of("name"),
    "configMap": _files_of("name"),
    "downwardAPI": _check_downward,
    "serviceAccountToken": _check_token,
    "clusterTrustBundle": _check_trust_bundle,
    "podCertificate": needs("signerName", "keyType"),
}


def check_driver_name(field: str, driver: str) -> Iterator[FieldError]:
    """The name of a CSI driver: a subdomain in any case, at most 63 long."""
    if not driver:
        yield required(field)
    if len(driver) > _MAX_DRIVER_NAME:
        yield too_long(field, _MAX_DRIVER_NAME)
    for problem in names.dns1123_subdomain(driver.lower()):
        yield invalid(field, driver, problem)


def _check_csi(source: Source) -> Iterator[FieldError]:
    yield from check_driver_name("driver", source.get("driver", ""))
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        yield from required_name("nodePublishSecretRef.name", secret.get("name", ""), names.dns1123_subdomain)


def _check_ephemeral(source: Source) -> Iterator[FieldError]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required("volumeClaimTemplate")
    else:
        yield from under("volumeClaimTemplate", check_claim_template(template))


def _check_image(source: Source) -> Iterator[FieldError]:
    policy = source.get("pullPolicy", "")
    if policy not in PULL_POLICIES:
        yield not_supported("pullPolicy", policy, PULL_POLICIES)


def _check_storage_os(source: Source) -> Iterator[FieldError]:
    yield from required_name("volumeName", source.get("volumeName", ""), names.dns1123_label)
    if source.get("volumeNamespace"):
        yield from check_name("volumeNamespace", source["volumeNamespace"], names.dns1123_label)


# In the order in which Kubernetes looks at them: the first one present is the volume's source.
SOURCES: dict[str, SourceCheck] = {
    "emptyDir": _check_empty_dir,
    "hostPath": check_host_path,
    "gitRepo": _check_git_repo,
    "gcePersistentDisk": needs("pdName"),
    "awsElasticBlockStore": needs("volumeID"),
    "secret": _files_of("secretName"),
    "nfs": check_nfs,
    "iscsi": needs("targetPortal", "iqn"),
    "glusterfs": needs("endpoints", "path"),
    "flocker": lambda source: (),
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": needs("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": needs("registry", "volume"),
    "downwardAPI": _check_downward,
    "fc": lambda source: (),
    "flexVolume": needs("driver"),
    "configMap": _files_of("name"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": needs("diskName", "diskURI"),
    "storageos": _check_storage_os,
    "projected": _check_projected,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _check_csi,
    "ephemeral": _check_ephemeral,
    "image": _check_image,
}
