"""The rules a pod, or the template of one, must obey; one module per part of the pod.

Checks yield errors whose paths begin at the part they were given. Belongs here: what can be decided from the object
alone (and its former version). Never belongs here: what needs to look at other objects, which is admission.

Kubernetes: core/validation. Differs: rules about Windows are left out; volumes of storage vendors are checked for their
required fields only.
"""

from wherry.api.core.pod.validation.resize import check_resize
from wherry.api.core.pod.validation.spec import check_pod, check_template
from wherry.api.core.pod.validation.status import check_pod_status
from wherry.api.core.pod.validation.update import check_ephemeral_containers_update, check_pod_update

__all__ = [
    "check_ephemeral_containers_update",
    "check_pod",
    "check_pod_status",
    "check_pod_update",
    "check_resize",
    "check_template",
]
