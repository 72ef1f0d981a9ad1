"""Small worlds: the kinds that a story needs. They take a fraction of the time that a world of all kinds takes."""

from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.coordination.lease import Lease
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.service_account import ServiceAccount

_EVERYWHERE = (Pod, Node, Lease, Namespace, ServiceAccount)
DEPLOYMENTS = (Deployment, ReplicaSet, *_EVERYWHERE)
SETS = (StatefulSet, DaemonSet, ControllerRevision, PersistentVolumeClaim, *_EVERYWHERE)
