"""The schema data: every kind is there, with the merge and list keys that Kubernetes documents."""

import pytest

from wherry.machinery.schema import Schema, UnknownKind, definition, kinds, schema_for

CORE = "io.k8s.api.core.v1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."

KINDS = {
    "v1": "Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolumeClaim PersistentVolume Pod "
    "PodTemplate ReplicationController ResourceQuota Secret ServiceAccount "
    "Service ComponentStatus DeleteOptions Status",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "batch/v1": "CronJob Job",
    "autoscaling/v1": "HorizontalPodAutoscaler Scale",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "policy/v1": "PodDisruptionBudget Eviction",
    "networking.k8s.io/v1": "IngressClass Ingress IPAddress NetworkPolicy ServiceCIDR",
    "rbac.authorization.k8s.io/v1": "ClusterRoleBinding ClusterRole RoleBinding Role",
    "storage.k8s.io/v1": "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass",
    "scheduling.k8s.io/v1": "PriorityClass",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration "
    "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
    "authentication.k8s.io/v1": "SelfSubjectReview TokenReview TokenRequest",
    "authorization.k8s.io/v1": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview "
    "LocalSubjectAccessReview",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "apiregistration.k8s.io/v1": "APIService",
    "flowcontrol.apiserver.k8s.io/v1": "FlowSchema PriorityLevelConfiguration",
    "node.k8s.io/v1": "RuntimeClass",
    "resource.k8s.io/v1": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    "metrics.k8s.io/v1beta1": "NodeMetrics PodMetrics",
}

MERGED_BY = {
    "name": f"{CORE}PodSpec.containers {CORE}PodSpec.initContainers {CORE}PodSpec.ephemeralContainers "
    f"{CORE}PodSpec.volumes {CORE}PodSpec.imagePullSecrets "
    f"{CORE}PodSpec.schedulingGates {CORE}PodSpec.resourceClaims {CORE}Container.env "
    f"{CORE}ServiceAccount.secrets {CORE}PodStatus.resourceClaimStatuses "
    "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration.webhooks "
    "io.k8s.api.admissionregistration.v1.ValidatingWebhook.matchConditions "
    "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicySpec.variables "
    f"io.k8s.api.storage.v1.CSINodeSpec.drivers {CORE}ContainerStatus.allocatedResourcesStatus",
    "containerPort": f"{CORE}Container.ports",
    "devicePath": f"{CORE}Container.volumeDevices",
    "mountPath": f"{CORE}Container.volumeMounts",
    "port": f"{CORE}ServiceSpec.ports",
    "topologyKey": f"{CORE}PodSpec.topologySpreadConstraints",
    "ip": f"{CORE}PodSpec.hostAliases {CORE}PodStatus.podIPs {CORE}PodStatus.hostIPs",
    "type": f"{CORE}PodStatus.conditions {CORE}NodeStatus.conditions {CORE}NodeStatus.addresses "
    f"{CORE}ReplicationControllerStatus.conditions {CORE}NamespaceStatus.conditions "
    f"{CORE}PersistentVolumeClaimStatus.conditions {CORE}ServiceStatus.conditions "
    "io.k8s.api.apps.v1.DeploymentStatus.conditions io.k8s.api.apps.v1.ReplicaSetStatus.conditions "
    "io.k8s.api.apps.v1.StatefulSetStatus.conditions io.k8s.api.apps.v1.DaemonSetStatus.conditions "
    "io.k8s.api.batch.v1.JobStatus.conditions io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus.conditions "
    "io.k8s.api.policy.v1.PodDisruptionBudgetStatus.conditions io.k8s.api.flowcontrol.v1.FlowSchemaStatus.conditions "
    "io.k8s.api.networking.v1.ServiceCIDRStatus.conditions "
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus.conditions",
    "uid": f"{META}ObjectMeta.ownerReferences io.k8s.api.resource.v1.ResourceClaimStatus.reservedFor",
    "rule": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps.x-kubernetes-validations",
    "": f"{META}ObjectMeta.finalizers {CORE}NodeSpec.podCIDRs",
}

KEYED_BY = {
    ("containerPort", "protocol"): f"{CORE}Container.ports",
    ("port", "protocol"): f"{CORE}ServiceSpec.ports",
    ("topologyKey", "whenUnsatisfiable"): f"{CORE}PodSpec.topologySpreadConstraints",
    ("name",): f"{CORE}ResourceRequirements.claims {CORE}PodSpec.containers",
    ("uid",): f"{META}ObjectMeta.ownerReferences",
    ("type",): "io.k8s.api.certificates.v1.CertificateSigningRequestStatus.conditions "
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus.conditions",
}

SETS = (
    f"{META}ObjectMeta.finalizers {CORE}NodeSpec.podCIDRs io.k8s.api.discovery.v1.Endpoint.addresses "
    "io.k8s.api.storage.v1.CSIDriverSpec.volumeLifecycleModes "
    "io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement.values "
    "io.k8s.api.flowcontrol.v1.ResourcePolicyRule.verbs io.k8s.api.flowcontrol.v1.ResourcePolicyRule.resources"
)
ATOMIC_LISTS = (
    f"io.k8s.api.batch.v1.JobStatus.conditions {CORE}PodStatus.hostIPs {CORE}PodSpec.tolerations {CORE}Container.args"
)
ATOMIC_MAPS = (
    f"{META}LabelSelector {META}OwnerReference {CORE}LocalObjectReference {CORE}ObjectReference {CORE}SecretReference "
    f"{CORE}ConfigMapKeySelector {CORE}SecretKeySelector {CORE}ObjectFieldSelector {CORE}NodeSelector "
    f"{CORE}NodeSelectorTerm {CORE}TypedLocalObjectReference io.k8s.api.rbac.v1.RoleRef io.k8s.api.rbac.v1.Subject "
    "io.k8s.api.networking.v1.ServiceBackendPort io.k8s.api.autoscaling.v1.CrossVersionObjectReference "
    f"{CORE}EndpointPort {CORE}EndpointAddress io.k8s.api.discovery.v1.EndpointPort"
)
ATOMIC_MAP_FIELDS = f"{CORE}PodSpec.nodeSelector {CORE}ServiceSpec.selector {CORE}ReplicationControllerSpec.selector"


def at(path: str) -> Schema:
    name, _, field = path.rpartition(".")
    return definition(name).properties[field]


def rows(table: dict) -> list:
    return [(key, path) for key, paths in table.items() for path in paths.split()]


@pytest.mark.parametrize(("version", "kind"), rows(KINDS))
def test_every_served_kind_has_a_schema(version, kind):
    schema = schema_for(version, kind)

    assert (schema.type, "kind" in schema.properties) == ("object", True)


@pytest.mark.parametrize(("key", "path"), rows(MERGED_BY))
def test_lists_that_merge_name_their_key(key, path):
    schema = at(path)

    assert (schema.merge_key, "merge" in schema.merge_strategy) == (key, True)


@pytest.mark.parametrize("field", ["volumes", "resourceClaims"])
def test_volumes_and_claims_retain_keys(field):
    assert at(f"{CORE}PodSpec.{field}").merge_strategy == {"merge", "retainKeys"}


def test_a_strategy_beside_a_reference_belongs_to_the_field_alone():
    strategy = at("io.k8s.api.apps.v1.DeploymentSpec.strategy")
    selector = at("io.k8s.api.policy.v1.PodDisruptionBudgetSpec.selector")

    assert (strategy.merge_strategy, strategy.name) == ({"retainKeys"}, "io.k8s.api.apps.v1.DeploymentStrategy")
    assert (selector.merge_strategy, definition(META + "LabelSelector").merge_strategy) == ({"replace"}, frozenset())
    assert "rollingUpdate" in strategy.properties


@pytest.mark.parametrize(("keys", "path"), rows(KEYED_BY))
def test_associative_lists_name_their_keys(keys, path):
    schema = at(path)

    assert (schema.list_type, schema.list_map_keys) == ("map", keys)


@pytest.mark.parametrize("path", SETS.split())
def test_sets_are_sets(path):
    assert at(path).list_type == "set"


@pytest.mark.parametrize("path", ATOMIC_LISTS.split())
def test_all_other_lists_are_atomic(path):
    assert at(path).list_type == "atomic"


@pytest.mark.parametrize("name", ATOMIC_MAPS.split())
def test_references_and_selectors_are_atomic(name):
    assert definition(name).map_type == "atomic"


@pytest.mark.parametrize("path", ATOMIC_MAP_FIELDS.split())
def test_selector_maps_are_atomic(path):
    assert at(path).map_type == "atomic"


def test_the_protocol_of_a_port_has_a_default_because_it_is_part_of_the_key():
    assert at(f"{CORE}ContainerPort.protocol").default == "TCP"
    assert at(f"{CORE}ServicePort.protocol").default == "TCP"


def test_special_values_are_recognized():
    quantity = at(f"{CORE}ResourceRequirements.limits").additional
    port = at(f"{CORE}HTTPGetAction.port")

    assert quantity is not None
    assert quantity.is_quantity
    assert port.int_or_string
    assert at(f"{META}ObjectMeta.creationTimestamp").is_time


def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownKind, match='no schema for kind "Pot" in version "v1"'):
        schema_for("v1", "Pot")


def test_no_description_is_shipped_but_our_own():
    theirs = [name for name in kinds().values() if not name.startswith("dev.wherry.")]
    described = [name for name in theirs if isinstance(definition(name).source.get("description"), str)]

    assert described == []


def test_a_custom_resource_builds_the_same_nodes():
    source = {"properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}

    schema = Schema.from_openapi(source, resource=True)

    assert schema.properties["metadata"] is definition(META + "ObjectMeta")
    assert schema.properties["spec"].preserve_unknown
