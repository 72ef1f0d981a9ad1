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
    TARGET.write_text(VALUES + "".join(packed(Path(table).read_text().splitlines())))
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
