"""Attachable volumes, by which it is counted how many a node has: a driver's, and the disks that drivers took over.

Kubernetes: csi-translation-lib; of its plugins those that NodeVolumeLimits heeds, so none for vSphere and Azure Files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wherry.api.core.pod import Pod


class Attachable(NamedTuple):
    """A volume of a driver, by the driver's own name for it.

    One of a `plugin` that Kubernetes once had counts only on nodes that say the driver has taken over from it.
    """

    driver: str
    handle: str
    plugin: str = ""


# The driver that took over from each plugin, and the plugin of each source.
DRIVERS = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
}
_PLUGINS = {
    "awsElasticBlockStore": "kubernetes.io/aws-ebs",
    "azureDisk": "kubernetes.io/azure-disk",
    "cinder": "kubernetes.io/cinder",
    "gcePersistentDisk": "kubernetes.io/gce-pd",
    "portworxVolume": "kubernetes.io/portworx-volume",
}
_NAMES = {"azureDisk": "diskURI", "gcePersistentDisk": "pdName"}


def taken_over(kind: str, source: Mapping[str, Any]) -> Attachable | None:
    """The volume of a source such as `awsElasticBlockStore`, if a driver took it over.

    >>> taken_over("awsElasticBlockStore", {"volumeID": "aws://eu-west-1a/vol-7"})
    Attachable(driver='ebs.csi.aws.com', handle='vol-7', plugin='kubernetes.io/aws-ebs')
    """
    plugin = _PLUGINS.get(kind)
    if plugin is None:
        return None
    name = str(source.get(_NAMES.get(kind, "volumeID"), ""))
    # The zone may be part of the name; drivers call the volume by its last part.
    handle = name.rpartition("/")[2] if name.startswith("aws://") else name
    return Attachable(DRIVERS[plugin], handle, plugin)


def attachables_of(pod: Pod) -> tuple[Attachable, ...]:
    """Those that a pod names itself, without a claim."""
    return tuple(dict.fromkeys(_attachables(pod)))


def _attachables(pod: Pod) -> Iterator[Attachable]:
    for volume in pod.spec.volumes:
        found = taken_over(*volume.source)
        if found is not None:
            yield found
