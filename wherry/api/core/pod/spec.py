"""Views on a pod's desired state. Kubernetes: core/v1 PodSpec.

They know every field of the schema, for the reason that `container.py` gives.
"""

from __future__ import annotations

import msgspec

from wherry.api.core.pod.container import Container, EphemeralContainer, Resources, SeccompProfile
from wherry.api.meta import LocalReference, Selector
from wherry.machinery.quantity import Quantity
from wherry.machinery.view import Verbatim, View

# How the name of the volume begins that a pod's token comes in; a few characters of its own follow.
TOKEN_VOLUME = "kube-api-access-"


class Volume(Verbatim):
    """A volume of the pod: its name and, whole, the one source it has (read by the type in `wherry.volumes`)."""

    @property
    def name(self) -> str:
        """The name that volume mounts use."""
        return str(self.raw.get("name", ""))

    @property
    def source(self) -> tuple[str, dict[str, object]]:
        """The source's JSON key and value, such as `("configMap", {...})`; `("", {})` if there is none."""
        return next(((key, value) for key, value in self.raw.items() if key != "name"), ("", {}))


class Toleration(View):
    """Taints the pod may live with."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class NodeSelectorRequirement(View):
    """One term about a node's label or field."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class NodeSelectorTerm(View):
    """Requirements that must all hold."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(View):
    """Terms of which one must hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredSchedulingTerm(View):
    """A wish with a weight of 1 to 100."""

    weight: int = 0
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(View):
    """Which nodes the pod must, and would rather, run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


class PodAffinityTerm(View):
    """Pods to be near to, or away from, within one value of `topology_key`."""

    topology_key: str = ""
    label_selector: Selector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: Selector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(View):
    """A wish about other pods, with a weight of 1 to 100."""

    weight: int = 0
    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()


class PodAffinity(View):
    """Terms about other pods; the same shape serves affinity and anti-affinity."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class Affinity(View):
    """Everything a pod says about where it belongs."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(View):
    """How evenly pods spread over the values of `topology_key`."""

    topology_key: str = ""
    max_skew: int = 1
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: Selector | None = None
    min_domains: int | None = None
    match_label_keys: tuple[str, ...] = ()
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None


class Sysctl(View):
    """A kernel parameter of the pod's own namespaces."""

    name: str = ""
    value: str = ""


class PodSecurityContext(View):
    """Privileges of all containers of the pod."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: SeccompProfile | None = None
    fs_group_change_policy: str | None = None
    supplemental_groups_policy: str | None = None
    se_linux_change_policy: str | None = None
    se_linux_options: Verbatim | None = None
    windows_options: Verbatim | None = None


class HostAlias(View):
    """A line of the pod's /etc/hosts."""

    ip: str = ""
    hostnames: tuple[str, ...] = ()


class DnsOption(View):
    """One `options` word of resolv.conf."""

    name: str = ""
    value: str = ""


class DnsConfig(View):
    """Additions to, or with policy None the whole of, the pod's resolv.conf."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()


class ReadinessGate(View):
    """A condition, set by someone else, without which the pod is not ready."""

    condition_type: str = ""


class PodResourceClaim(View):
    """A claim on devices, under the name that containers use for it."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class SchedulingGroup(View):
    """The PodGroup of its namespace that it is scheduled with."""

    pod_group_name: str = ""


class PodOS(View):
    """The operating system the pod is made for."""

    name: str = ""


class PodSpec(View):
    """The desired state of a pod."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[EphemeralContainer, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = {}
    affinity: Affinity = Affinity()
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduler_name: str = "default-scheduler"
    scheduling_gates: tuple[LocalReference, ...] = ()
    priority: int = 0
    priority_class_name: str = ""
    preemption_policy: str = "PreemptLowerPriority"
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    service_account_name: str = ""
    # The old name of the field; always the same value.
    service_account: str = ""
    automount_service_account_token: bool | None = None
    image_pull_secrets: tuple[LocalReference, ...] = ()
    security_context: PodSecurityContext = PodSecurityContext()
    host_network: bool = False
    host_users: bool | None = None
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    hostname: str = ""
    subdomain: str = ""
    hostname_override: str | None = None
    set_hostname_as_fqdn: bool = msgspec.field(name="setHostnameAsFQDN", default=False)
    host_aliases: tuple[HostAlias, ...] = ()
    dns_policy: str = "ClusterFirst"
    dns_config: DnsConfig = DnsConfig()
    enable_service_links: bool = True
    readiness_gates: tuple[ReadinessGate, ...] = ()
    overhead: dict[str, Quantity] = {}
    resources: Resources | None = None
    resource_claims: tuple[PodResourceClaim, ...] = ()
    runtime_class_name: str = ""
    os: PodOS | None = None
    scheduling_group: SchedulingGroup | None = None
    eviction_responders: tuple[Verbatim, ...] = ()
