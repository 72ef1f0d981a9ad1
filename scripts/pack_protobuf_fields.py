"""Write `wherry/machinery/protobuf/fields.txt` from a table of Kubernetes' protobuf messages; once per version.

    python scripts/pack_protobuf_fields.py TABLE

TABLE says for each message which number each field has on the wire, its JSON name and its Go type. Lines are `@package
apiVersion` and `Message: number jsonName type, ...`, where a type is a letter (s string, B bytes, i integer, b bool,
d double, Q Quantity, T Time, U MicroTime, I IntOrString, D Duration, R RawExtension, F FieldsV1, J JSON, X list of
strings, E empty message) or a message, after `[]` for a list, `{}` for a map, `?` for a pointer or `~` for an embedded
struct; a name with `!` has no `omitempty`. Everything else in TABLE is skipped. The numbers come from Kubernetes'
`generated.proto` files, pointers and `omitempty` from its Go types.

`wherry/machinery/protobuf/fields.py` explains the notation that is written. Then run
`pytest tests/machinery/test_protobuf_fields.py`, which compares the result with the schema.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).parents[1] / "wherry" / "machinery" / "protobuf" / "fields.txt"

SCALARS = {"s": "string", "B": "bytes", "i": "int", "b": "bool", "d": "double"}
SCALARS |= {"Q": "value.Quantity", "T": "value.Time", "U": "value.MicroTime", "I": "value.IntOrString"}
SCALARS |= {"D": "value.Duration", "X": "value.Strings", "E": "value.Empty"}
SCALARS |= {"R": "value.Json", "F": "value.Json", "J": "value.Json"}

# What the one-letter types are on the wire, and the three unions of JSON schemas.
VALUES = """\
package value
Duration nanoseconds:1=int!
Empty
IntOrString type:1=int! int:2=int! string:3=string!
Json raw:1=json!
MicroTime seconds:1=int! nanos:2=int!
Quantity string:1=string!
Strings items:1=[string]
Time seconds:1=int! nanos:2=int!
"""
UNIONS = """\
JSONSchemaPropsOrArray schema:1=apiext.JSONSchemaProps? list:2=[apiext.JSONSchemaProps]
JSONSchemaPropsOrBool allows:1=bool! schema:2=apiext.JSONSchemaProps?
JSONSchemaPropsOrStringArray schema:1=apiext.JSONSchemaProps? list:2=[string]
"""

# What servers send and nobody sends them, with field numbers from the same files.
ANSWERS = """\
package meta meta.k8s.io/v1
package meta meta.k8s.io/v1beta1
APIGroup name:1=string! versions:2=[meta.GroupVersionForDiscovery] preferredVersion:3=meta.GroupVersionForDiscovery \
serverAddressByClientCIDRs:4=[meta.ServerAddressByClientCIDR]
APIGroupList groups:1=[meta.APIGroup]
APIResource name:1=string! namespaced:2=bool! kind:3=string! verbs:4=value.Strings shortNames:5=[string] \
singularName:6=string! categories:7=[string] group:8=string version:9=string storageVersionHash:10=string
APIResourceList groupVersion:1=string! resources:2=[meta.APIResource]
APIVersions versions:1=[string] serverAddressByClientCIDRs:2=[meta.ServerAddressByClientCIDR]
GroupVersionForDiscovery groupVersion:1=string! version:2=string!
GroupVersionKind group:1=string! version:2=string! kind:3=string!
PartialObjectMetadata metadata:1=meta.ObjectMeta
ServerAddressByClientCIDR clientCIDR:1=string! serverAddress:2=string!
package core v1
ComponentCondition type:1=string! status:2=string! message:3=string error:4=string
ComponentStatus metadata:1=meta.ObjectMeta conditions:2=[core.ComponentCondition]
package apidiscovery apidiscovery.k8s.io/v2
package apidiscovery apidiscovery.k8s.io/v2beta1
APIGroupDiscovery metadata:1=meta.ObjectMeta versions:2=[apidiscovery.APIVersionDiscovery]
APIResourceDiscovery resource:1=string! responseKind:2=meta.GroupVersionKind? scope:3=string! \
singularResource:4=string! verbs:5=[string] shortNames:6=[string] categories:7=[string] \
subresources:8=[apidiscovery.APISubresourceDiscovery]
APISubresourceDiscovery subresource:1=string! responseKind:2=meta.GroupVersionKind? \
acceptedTypes:3=[meta.GroupVersionKind] verbs:4=[string]
APIVersionDiscovery version:1=string! resources:2=[apidiscovery.APIResourceDiscovery] freshness:3=string
package metrics metrics.k8s.io/v1beta1
ContainerMetrics name:1=string! usage:2={value.Quantity}
NodeMetrics metadata:1=meta.ObjectMeta timestamp:2=value.Time window:3=value.Duration usage:4={value.Quantity}
PodMetrics metadata:1=meta.ObjectMeta timestamp:2=value.Time window:3=value.Duration \
containers:4=[metrics.ContainerMetrics]
"""

# Kinds of 1.37 that the table lacks.
GROUPS = """\
package gangs scheduling.k8s.io/v1beta1
CompositeDisruptionMode single:1=value.Empty? all:2=value.Empty?
CompositeGangSchedulingPolicy minGroupCount:1=int!
CompositePodGroupSchedulingConstraints topology:1=[gangs.TopologyConstraint]
CompositePodGroupSchedulingPolicy basic:1=value.Empty? gang:2=gangs.CompositeGangSchedulingPolicy?
CompositePodGroupTemplate name:1=string! schedulingPolicy:2=gangs.CompositePodGroupSchedulingPolicy \
schedulingConstraints:3=gangs.CompositePodGroupSchedulingConstraints? \
disruptionMode:4=gangs.CompositeDisruptionMode? priorityClassName:5=string priority:6=int? \
preemptionPolicy:7=string? podGroupTemplates:8=[gangs.PodGroupTemplate] \
compositePodGroupTemplates:9=[gangs.CompositePodGroupTemplate]
DisruptionMode single:1=value.Empty? all:2=value.Empty?
GangSchedulingPolicy minCount:1=int!
PodGroup metadata:1=meta.ObjectMeta spec:2=gangs.PodGroupSpec status:3=gangs.PodGroupStatus
PodGroupResourceClaim name:1=string! resourceClaimName:2=string? resourceClaimTemplateName:3=string?
PodGroupResourceClaimStatus name:1=string! resourceClaimName:2=string?
PodGroupSchedulingConstraints topology:1=[gangs.TopologyConstraint]
PodGroupSchedulingPolicy basic:1=value.Empty? gang:2=gangs.GangSchedulingPolicy?
PodGroupSpec parentCompositePodGroupName:1=string? workloadRef:2=gangs.WorkloadReference? \
schedulingPolicy:3=gangs.PodGroupSchedulingPolicy schedulingConstraints:4=gangs.PodGroupSchedulingConstraints? \
resourceClaims:5=[gangs.PodGroupResourceClaim] disruptionMode:6=gangs.DisruptionMode? priorityClassName:7=string \
priority:8=int? preemptionPolicy:9=string?
PodGroupStatus conditions:1=[meta.Condition] resourceClaimStatuses:2=[gangs.PodGroupResourceClaimStatus]
PodGroupTemplate name:1=string! schedulingPolicy:2=gangs.PodGroupSchedulingPolicy \
schedulingConstraints:3=gangs.PodGroupSchedulingConstraints? resourceClaims:4=[gangs.PodGroupResourceClaim] \
disruptionMode:5=gangs.DisruptionMode? priorityClassName:6=string priority:7=int? preemptionPolicy:8=string?
TopologyConstraint key:1=string!
TypedLocalObjectReference apiGroup:1=string kind:2=string! name:3=string!
Workload metadata:1=meta.ObjectMeta spec:2=gangs.WorkloadSpec
WorkloadReference workloadName:1=string! templateName:2=string!
WorkloadSpec controllerRef:1=gangs.TypedLocalObjectReference? podGroupTemplates:2=[gangs.PodGroupTemplate] \
compositePodGroupTemplates:3=[gangs.CompositePodGroupTemplate]
"""

# Fields that 1.37 added to the messages of 1.36; the numbers are in the struct tags of its kubectl.
ADDED = {
    "autoscaling2.HorizontalPodAutoscalerCondition": "observedGeneration:6=int",
    "core.ClusterTrustBundleProjection": "user:6=int?",
    "core.ConfigMapVolumeSource": "defaultUser:5=int?",
    "core.DownwardAPIVolumeFile": "user:5=int?",
    "core.DownwardAPIVolumeSource": "defaultUser:3=int?",
    "core.EmptyDirVolumeSource": "mode:3=int?",
    "core.GRPCAction": "mode:3=string",
    "core.HTTPGetAction": "protocol:6=string",
    "core.KeyToPath": "user:4=int?",
    "core.NodeSystemInfo": "runningInUserNamespace:12=bool",
    "core.PodCertificateProjection": "user:8=int?",
    "core.ProjectedVolumeSource": "defaultUser:3=int?",
    "core.SecretVolumeSource": "defaultUser:5=int?",
    "core.ServiceAccountTokenProjection": "user:4=int?",
    "core.VolumeMount": "bindMountOptions:8=[string]",
}


def main(table: str) -> int:
    TARGET.write_text(VALUES + "".join(packed(Path(table).read_text().splitlines())) + ANSWERS + GROUPS)
    print(f"{TARGET.name}: {sum(1 for line in TARGET.open() if not line.startswith('package'))} messages")
    return 0


def packed(lines: list[str]) -> Iterator[str]:
    """The lines of the table that name a package or a message, in our notation."""
    package = ""
    for line in lines:
        if heading := re.fullmatch(r"@(\w+) (\S+)", line):
            package = heading[1]
            yield f"package {package} {heading[2]}\n" + (UNIONS if package == "apiext" else "")
        elif package and (message := re.fullmatch(r"(\w+): (\d.*)", line)):
            fields = [field(text, package) for text in message[2].split(", ")]
            added = ADDED.get(f"{package}.{message[1]}")
            yield " ".join([message[1], *fields, *([added] if added else [])]) + "\n"


def field(text: str, package: str) -> str:
    """One field; `3 name! ?[]type` becomes `name:3=[type]?!`."""
    number, *name, type = text.split()
    found = re.fullmatch(r"(~?)(\??)(\[\]|\{\})?([\w.]+)", type)
    if found is None or len(name) > 1 or bool(name) == bool(found[1]):
        raise ValueError(f"field {text!r}: a number, a JSON name and a type are expected")
    inner = SCALARS.get(found[4]) or (found[4] if "." in found[4] else f"{package}.{found[4]}")
    shaped = {"[]": f"[{inner}]", "{}": f"{{{inner}}}"}.get(found[3], inner)
    # The zero of IntOrString means port 0 or 0 pods, never "not said".
    keep = "!" if (name and name[0].endswith("!")) or found[4] == "I" else ""
    return f"{name[0].rstrip('!') if name else ''}:{number}={shaped}{found[2] and '?'}{keep}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
