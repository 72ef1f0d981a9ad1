"""The walker: what it keeps, drops, rewrites and refuses, in Kubernetes' words."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery.schema import Schema, defaults, definition, schema_for, settled_in, walk

CORE = "io.k8s.api.core.v1."
POD = schema_for("v1", "Pod")
DEPLOYMENT = schema_for("apps/v1", "Deployment")


def pod(**spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def field(name, value):
    """A walk over a struct of the core group with one field."""
    struct, _, key = name.partition(".")
    return walk({key: value}, definition(CORE + struct))


def complaint(walked):
    return walked.errors[0].complaint()


def test_a_right_object_comes_back_whole():
    given = pod(
        containers=[{"name": "c", "image": "i", "env": [{"name": "A", "value": ""}], "ports": [{"containerPort": 80}]}],
        nodeSelector={"disk": "ssd"},
        hostNetwork=False,
        terminationGracePeriodSeconds=0,
    )

    assert walk(given, POD).value == given
    assert walk(given, POD)[1:3] == ([], [])


def test_unknown_fields_are_dropped_and_named():
    given = pod(containers=[{"name": "c", "imge": "i"}], foo={"a": {"b": 1}})

    walked = walk(given, POD)

    assert walked.value == pod(containers=[{"name": "c"}])
    assert walked.unknown == ["spec.containers[0].imge", "spec.foo"]


def test_at_most_100_unknown_fields_are_named():
    assert len(walk({f"f{n}": 1 for n in range(500)}, POD).unknown) == 100


def test_field_names_are_case_sensitive():
    assert walk({"Spec": {}}, POD).unknown == ["Spec"]


def test_a_null_field_is_an_unset_field():
    given = {"metadata": {"name": "p", "creationTimestamp": None, "labels": None}, "spec": None, "status": None}

    assert walk(given, POD).value == {"metadata": {"name": "p"}}


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("Container.args", ["a", None], ["a", ""]),
        ("PodSpec.containers", [None], [{}]),
        ("PodSpec.nodeSelector", {"a": None}, {"a": ""}),
        ("ResourceRequirements.limits", {"cpu": None}, {"cpu": "0"}),
        ("Secret.data", {"a": None}, {"a": ""}),
        ("PodSecurityContext.supplementalGroups", [None], [0]),
    ],
)
def test_a_null_in_a_list_or_map_is_a_zero_value(name, given, kept):
    assert list(field(name, given).value.values()) == [kept]


@pytest.mark.parametrize(
    ("name", "given", "canonical"),
    [
        ("ResourceRequirements.limits", {"cpu": 0.5, "memory": "1024Mi"}, {"cpu": "500m", "memory": "1Gi"}),
        ("PodStatus.startTime", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("PodStatus.startTime", "2026-11-22T18:57:38.5+01:00", "2026-11-22T17:57:38Z"),
        ("Event.eventTime", "2026-11-22T18:57:38.000007+01:00", "2026-11-22T17:57:38.000007Z"),
        ("Secret.data", {"a": "YQ\n=="}, {"a": "YQ=="}),
        ("HTTPGetAction.port", 80, 80),
        ("HTTPGetAction.port", "http", "http"),
    ],
)
def test_values_are_brought_to_canonical_form(name, given, canonical):
    walked = field(name, given)

    assert (list(walked.value.values()), walked.errors) == ([canonical], [])


@pytest.mark.parametrize(
    ("given", "seen", "target", "wanted"),
    [
        ({"spec": {"replicas": "3"}}, "string", "struct field DeploymentSpec.spec.replicas", "int32"),
        ({"spec": "x"}, "string", "struct field Deployment.spec", "v1.DeploymentSpec"),
        ({"spec": {"replicas": 1.5}}, "number 1.5", "struct field DeploymentSpec.spec.replicas", "int32"),
        ({"spec": {"replicas": 2**31}}, "number 2147483648", "struct field DeploymentSpec.spec.replicas", "int32"),
        ({"spec": {"paused": 1}}, "number", "struct field DeploymentSpec.spec.paused", "bool"),
        ({"metadata": {"labels": {"a": 1}}}, "number", "struct field ObjectMeta.metadata.labels", "string"),
        ({"metadata": {"labels": ["a"]}}, "array", "struct field ObjectMeta.metadata.labels", "map[string]string"),
        (["x"], "array", "value", "v1.Deployment"),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_gos_decoder(given, seen, target, wanted):
    message = walk(given, DEPLOYMENT).errors[0].message("Deployment", "v1")

    assert message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        f"json: cannot unmarshal {seen} into Go {target} of type {wanted}"
    )


def test_a_mismatch_knows_its_path_with_indexes():
    given = {"spec": {"template": {"spec": {"containers": [{}, {"env": [{"value": 1}]}]}}}}

    error = walk(given, DEPLOYMENT).errors[0]

    assert (error.path, error.field) == (
        "spec.template.spec.containers[1].env[0].value",
        "spec.template.spec.containers.env.value",
    )
    assert (error.owner, error.seen, error.wanted) == ("EnvVar", "number", "string")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("ResourceRequirements.limits", {"cpu": "1x"}, "quantities must match the regular expression"),
        ("ResourceRequirements.limits", {"cpu": True}, "quantities must match the regular expression"),
        ("HTTPGetAction.port", True, "json: cannot unmarshal bool into Go value of type int32"),
        ("HTTPGetAction.port", 1.5, "json: cannot unmarshal number 1.5 into Go value of type int32"),
        ("PodStatus.startTime", "today", 'as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"'),
        ("PodStatus.startTime", "2026-13-01T00:00:00Z", "cannot parse"),
        ("PodStatus.startTime", "0001-01-01T00:00:00+01:00", "cannot parse"),
        ("PodStatus.startTime", 5, "json: cannot unmarshal number into Go value of type string"),
        ("Event.eventTime", "2026-11-22T18:57:38.1234567Z", "2006-01-02T15:04:05.000000Z07:00"),
        ("Event.eventTime", "2026-11-22T18:57:38Z", "2006-01-02T15:04:05.000000Z07:00"),
        ("Secret.data", {"a": "Y*=="}, "illegal base64 data at input byte 1"),
        ("Secret.data", {"a": 1}, "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
        ("Pod.metadata", {"generation": 2**63}, "number 9223372036854775808 into Go struct field ObjectMeta."),
    ],
)
def test_unreadable_values_are_refused(name, given, message):
    assert message in complaint(field(name, given))


def test_free_form_values_are_kept_as_they_are():
    given = {"data": {"any": [None, {"thing": 1.5}]}, "revision": 1}

    assert walk(given, schema_for("apps/v1", "ControllerRevision")).value == given


def test_a_schema_inside_a_schema_is_walked():
    crd = schema_for("apiextensions.k8s.io/v1", "CustomResourceDefinition").properties["spec"]
    inner = {"b": {"tipe": "string", "default": {"x": None}}}
    nested = {"type": "object", "properties": {"a": {"properties": inner}}}

    walked = walk({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": nested}}]}, crd)

    assert walked.unknown == ["versions[0].schema.openAPIV3Schema.properties.a.properties.b.tipe"]
    assert walked.key_count == 12


@pytest.mark.parametrize("key", ["data", "dada"])
def test_bottomless_values_are_refused(key):
    given = {"data": {}}
    given[key] = orjson.loads(b'{"a":' * 900 + b"1" + b"}" * 900)

    walked = walk(given, schema_for("apps/v1", "ControllerRevision"))

    assert complaint(walked) == "exceeded max depth"


def test_bottomless_schemas_are_refused():
    props = orjson.loads(b'{"properties":{"a":' * 400 + b"{}" + b"}}" * 400)
    schema = definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceValidation")

    assert complaint(walk({"openAPIV3Schema": props}, schema)) == "exceeded max depth"


def crd_schema(**properties):
    return Schema.from_openapi({"type": "object", "properties": properties})


def test_a_custom_resource_is_pruned_by_its_schema():
    schema = crd_schema(
        size={"type": "integer"},
        free={"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"n": {"type": "object"}}},
        port={"x-kubernetes-int-or-string": True},
        extra={"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
    )
    given = {"size": 3.0, "free": {"x": 1, "n": {"y": 1}}, "port": "a", "extra": {"k": {"a": "1", "b": 2}}, "gone": 1}

    walked = walk(given, schema)

    assert walked.value == {"size": 3, "free": {"x": 1, "n": {}}, "port": "a", "extra": {"k": {"a": "1"}}}
    assert walked.unknown == ["free.n.y", "extra.k.b", "gone"]
    assert walked.errors == []


def test_a_null_in_a_custom_resource_is_a_value_only_where_its_schema_says_so():
    texts = {"type": "string"}
    schema = crd_schema(
        may={"type": "string", "nullable": True},
        must=texts,
        map={"type": "object", "additionalProperties": texts},
        list={"type": "array", "items": texts},
    )

    walked = walk({"may": None, "must": None, "map": {"a": None}, "list": [None]}, schema)

    assert walked.value == {"may": None, "map": {}, "list": [None]}
    assert [(error.path, error.seen, error.type) for error in walked.errors] == [("list[0]", "null", "string")]


def test_an_embedded_resource_has_its_metadata_checked():
    schema = crd_schema(template={"type": "object", "x-kubernetes-embedded-resource": True})

    walked = walk({"template": {"kind": "Pod", "metadata": {"name": "a", "nam": "b"}, "spec": {}}}, schema)

    assert walked.unknown == ["template.metadata.nam", "template.spec"]


names = ["spec", "metadata", "labels", "containers", "name", "env", "ports", "limits", "resources", "x"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4),
    max_leaves=20,
)


def keys_of(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (len(value) if isinstance(value, dict) else 0) + sum(map(keys_of, children))


@given(json_values)
def test_no_input_breaks_the_walker(value):
    walked = walk(value, POD)

    if not walked.errors:
        assert walked.key_count == keys_of(value)


@given(json_values)
def test_a_second_walk_changes_nothing(value):
    first = walk(value, POD)

    if not first.errors:
        assert walk(first.value, POD)[:3] == (first.value, [], [])


@pytest.mark.parametrize("change", [{}, {"surprise": 1}, {"containers": 5}, {"hostname": None}])
def test_a_spec_walked_again_is_what_it_was_the_first_time_and_nobody_elses(change: dict):
    spec = {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1000m"}}}], **change}

    first, again, third = (walk(pod(**spec), POD, defaults=defaults) for _ in range(3))

    assert (again, third) == (first, first)
    assert again.value["spec"] is not third.value["spec"]


def test_what_was_not_reported_the_first_time_for_all_that_was_is_reported_later():
    spec = {"containers": [{"name": "told-late"}], "surprise": 1}
    walk({**{f"x{number}": 1 for number in range(100)}, "spec": spec}, POD, defaults=defaults)

    assert walk({"spec": spec}, POD, defaults=defaults).unknown == ["spec.surprise"]


def test_what_a_merge_left_alone_is_not_walked_again():
    known = walk(pod(containers=[{"name": "c", "image": "i"}]), POD, defaults=defaults).value
    patched = {**known, "metadata": {**known["metadata"], "labels": {"a": "b"}, "dada": 1}}

    walked = walk(patched, POD, defaults=defaults, settled=settled_in(known))

    assert walked.value == {**known, "metadata": {"name": "p", "labels": {"a": "b"}}}
    assert walked.value["spec"] is known["spec"]
    assert walked.unknown == ["metadata.dada"]
