"""The words by which scheduler, controllers and kubelets agree on a volume that is made on request.

A claim whose class waits for its first consumer gets SELECTED_NODE from the scheduler; the binding controller writes
into STORAGE_PROVISIONER who shall make the volume; that one makes a PersistentVolume for the claim. Volumes of
LOCAL_PATH are folders: a node says in FOLDER where it keeps them, a volume says in ON_NODE where it is, and the node
holds the volume's object with the finalizer FOLDER_EXISTS until the folder is gone.
"""

SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
# What only stands for volumes that an administrator makes.
NO_PROVISIONER = "kubernetes.io/no-provisioner"

LOCAL_PATH = "wherry.dev/local-path"
FOLDER = "wherry.dev/local-path-folder"
ON_NODE = "wherry.dev/node"
FOLDER_EXISTS = "wherry.dev/local-path-folder"

HOSTNAME = "kubernetes.io/hostname"
