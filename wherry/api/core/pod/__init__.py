"""Pod: containers that share a network and a fate. Behaviour: `kubelet`, placed by `scheduler`.

`spec.py` and `status.py` are the views, `defaults.py` and `validation/` the rules, `columns.py` what `kubectl get`
shows; `resource.py` puts them together.
"""

from wherry.api.core.pod.container import Container, ContainerPort, EnvVar, Probe, Resources, VolumeMount
from wherry.api.core.pod.resource import Pod, PodTemplate
from wherry.api.core.pod.spec import PodSpec, Toleration
from wherry.api.core.pod.status import ContainerState, ContainerStatus, PodStatus

__all__ = [
    "Container",
    "ContainerPort",
    "ContainerState",
    "ContainerStatus",
    "EnvVar",
    "Pod",
    "PodSpec",
    "PodStatus",
    "PodTemplate",
    "Probe",
    "Resources",
    "Toleration",
    "VolumeMount",
]
