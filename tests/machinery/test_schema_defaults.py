"""Defaults: rules of a definition hold wherever the definition appears."""

from wherry.machinery.schema import Defaults, Schema, schema_for, walk

CORE = "io.k8s.api.core.v1."


def test_a_literal_default_fills_what_is_absent_or_null():
    defaults = Defaults()
    defaults.literal(CORE + "PodSpec", restartPolicy="Always", dnsPolicy="ClusterFirst")

    walked = walk({"spec": {"restartPolicy": "Never", "dnsPolicy": None}}, schema_for("v1", "Pod"), defaults=defaults)

    assert walked.value == {"spec": {"restartPolicy": "Never", "dnsPolicy": "ClusterFirst"}}


def test_a_rule_holds_in_every_place_of_its_definition():
    defaults = Defaults()

    @defaults(CORE + "Container")
    def pull_policy(container):
        container.setdefault("imagePullPolicy", "Always" if container["image"].endswith(":latest") else "IfNotPresent")

    spec = {"template": {"spec": {"containers": [{"image": "a:latest"}, {"image": "b:1"}]}}}
    walked = walk({"spec": spec}, schema_for("apps/v1", "Deployment"), defaults=defaults)

    containers = walked.value["spec"]["template"]["spec"]["containers"]
    assert [container["imagePullPolicy"] for container in containers] == ["Always", "IfNotPresent"]


def test_an_object_that_a_default_adds_gets_its_own_defaults():
    defaults = Defaults()
    defaults.literal("io.k8s.api.apps.v1.DeploymentSpec", strategy={"type": "RollingUpdate"})

    @defaults("io.k8s.api.apps.v1.DeploymentStrategy")
    def rolling(strategy):
        strategy.setdefault("rollingUpdate", {"maxSurge": "25%"})

    walked = walk({"spec": {}}, schema_for("apps/v1", "Deployment"), defaults=defaults)

    assert walked.value["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}
    assert (walked.key_count, walked.unknown) == (1, [])


def test_two_objects_never_share_a_default():
    defaults = Defaults()
    defaults.literal(CORE + "PodSpec", securityContext={})
    schema = schema_for("v1", "Pod")

    one, other = (walk({"spec": {}}, schema, defaults=defaults).value for _ in range(2))

    assert one["spec"]["securityContext"] is not other["spec"]["securityContext"]


def test_rules_registered_after_the_first_walk_count():
    defaults = Defaults()
    schema = schema_for("v1", "Pod")
    walk({"spec": {}}, schema, defaults=defaults)

    defaults.literal(CORE + "PodSpec", restartPolicy="Always")

    assert walk({"spec": {}}, schema, defaults=defaults).value == {"spec": {"restartPolicy": "Always"}}


def test_rules_never_see_a_value_of_the_wrong_type():
    defaults = Defaults()

    @defaults(CORE + "Container")
    def pull_policy(container):
        container["imagePullPolicy"] = container["image"].upper()

    walked = walk({"spec": {"containers": [{"image": 1}]}}, schema_for("v1", "Pod"), defaults=defaults)

    assert [error.path for error in walked.errors] == ["spec.containers[0].image"]


def test_without_a_registry_nothing_is_filled():
    assert walk({"ports": [{"port": 1}]}, schema_for("v1", "Service").properties["spec"]).value == {
        "ports": [{"port": 1}]
    }


def test_the_schemas_own_defaults_are_filled_to_any_depth():
    schema = Schema.from_openapi(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "default": {},
                    "properties": {"size": {"type": "integer", "default": 3}, "tag": {"type": "string"}},
                }
            },
        }
    )

    assert walk({}, schema, defaults=Defaults()).value == {"spec": {"size": 3}}
    assert walk({"spec": {"size": None, "tag": "t"}}, schema, defaults=Defaults()).value == {
        "spec": {"size": 3, "tag": "t"}
    }
