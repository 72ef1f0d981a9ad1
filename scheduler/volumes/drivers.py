"""Drivers: of which CSI driver the volume of a claim is, or will be.

Kubernetes: getCSIDriverInfo, and csi-translation-lib. Differs: disks that Kubernetes once served itself count as their
driver's wherever the driver says how many it takes, also on nodes that do not say they have been migrated.
"""

from __future__ import annotations

from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass
from wherry.client.world import Shelf

# By the source in a volume, and by the provisioner of a class.
_SOURCES = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}
_PROVISIONERS = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}


def driver_of(claim: PersistentVolumeClaim, volumes: Shelf[PersistentVolume], classes: Shelf[StorageClass]) -> str:
    """The driver's name; empty if the volume is of none. A claim without a volume goes by its class."""
    volume = volumes.get(claim.spec.volume_name) if claim.spec.volume_name else None
    if volume is not None:
        if volume.spec.csi is not None:
            return str(volume.spec.csi.raw.get("driver", ""))
        return next((_SOURCES[source] for source in volume.spec.sources if source in _SOURCES), "")
    kind = classes.get(claim.spec.storage_class_name or "")
    return _PROVISIONERS.get(kind.provisioner, kind.provisioner) if kind is not None else ""
