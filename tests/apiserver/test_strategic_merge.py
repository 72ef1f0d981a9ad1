"""Strategic merge: each construct, the order of results, and what no patch may do."""

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.patch import PatchError
from apiserver.patch.strategic import strategic_merge
from wherry.machinery.schema import definition, schema_for

POD_SPEC = definition("io.k8s.api.core.v1.PodSpec")
DEPLOYMENT_SPEC = definition("io.k8s.api.apps.v1.DeploymentSpec")
META = definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


def named(names: str) -> list[dict]:
    return [{"name": name} for name in names.split()]


def names_after(live: str, patch: list, **directives) -> str:
    change = {"containers": patch} | {f"${key}/containers": value for key, value in directives.items()}
    merged = strategic_merge({"containers": named(live)}, change, POD_SPEC)
    return " ".join(item["name"] for item in merged["containers"])


@pytest.mark.parametrize(
    ("current", "patch", "merged"),
    [
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": "3"}}, {"labels": {"a": "3", "b": "2"}}),
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": None, "c": None}}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": None}, {}),
        ({}, {"labels": {"a": "1", "b": None}}, {"labels": {"a": "1"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "replace", "b": "2"}}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
        ({}, {"labels": {"$patch": "replace", "b": "2"}}, {"labels": {"b": "2"}}),
        ({"name": "x"}, {"$patch": "replace", "name": "y"}, {"name": "y"}),
    ],
)
def test_maps_merge_key_by_key(current, patch, merged):
    assert strategic_merge(current, patch, META) == merged


def test_a_list_without_a_strategy_is_replaced_whole():
    current = {"tolerations": [{"key": "a"}, {"key": "b"}]}

    assert strategic_merge(current, {"tolerations": [{"key": "c", "value": None}]}, POD_SPEC) == {
        "tolerations": [{"key": "c"}]
    }


def test_items_are_matched_by_key_and_merged():
    current = {"containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}]}
    patch = {"containers": [{"name": "a", "image": None, "env": [{"name": "Y", "value": "2"}]}]}

    assert strategic_merge(current, patch, POD_SPEC) == {
        "containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}]
    }


@pytest.mark.parametrize(
    ("live", "patch", "after"),
    [
        ("c1 c2 c3", [{"name": "new"}, {"name": "c1"}], "new c1 c2 c3"),
        ("c1 c2 c3", [{"name": "new"}], "new c1 c2 c3"),
        ("c1 c2 c3", [{"name": "c3"}, {"name": "c1"}], "c2 c3 c1"),
        ("c1 c2 c3", [{"name": "c2", "$patch": "delete"}], "c1 c3"),
        ("c1 c2", [{"$patch": "replace"}, {"name": "x"}], "x"),
        ("c1 c2", [{"name": "x"}, {"$patch": "replace"}], "x"),
        ("c1 c2", [], "c1 c2"),
        ("", [{"name": "x"}, {"name": "y", "$patch": "delete"}], "x"),
    ],
)
def test_the_patchs_items_decide_the_order(live, patch, after):
    assert names_after(live, patch) == after


@pytest.mark.parametrize(
    ("live", "patch", "order", "after"),
    [
        ("c1 c2 c3", "", "c3 c1", "c2 c3 c1"),
        ("c1 c2 c3", "new", "new c1 c2 c3", "new c1 c2 c3"),
        ("c1 c2 c3", "new", "c1 c2 new c3", "c1 c2 new c3"),
        ("c1 c2 c3", "", "c3 c2 c1", "c3 c2 c1"),
        ("a b c d", "x", "d x b", "a c d x b"),
    ],
)
def test_an_ordering_directive_decides_the_order(live, patch, order, after):
    assert names_after(live, named(patch), setElementOrder=named(order)) == after


def test_an_order_alone_reorders_the_live_list():
    patch = {"$setElementOrder/containers": named("b a")}

    assert strategic_merge({"containers": named("a b")}, patch, POD_SPEC) == {"containers": named("b a")}
    assert strategic_merge({}, patch, POD_SPEC) == {}


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({"finalizers": ["n/new"]}, ["n/new", "a/a", "b/b"]),
        ({"finalizers": ["b/b", "a/a"]}, ["b/b", "a/a"]),
        ({"$deleteFromPrimitiveList/finalizers": ["a/a", "x/x"]}, ["b/b"]),
        ({"$deleteFromPrimitiveList/finalizers": ["a/a"], "finalizers": ["c/c"]}, ["c/c", "b/b"]),
        ({"$setElementOrder/finalizers": ["c/c", "b/b"], "finalizers": ["c/c"]}, ["c/c", "a/a", "b/b"]),
        (
            {"$deleteFromPrimitiveList/finalizers": ["a/a"], "$setElementOrder/finalizers": ["b/b"]},
            ["b/b"],
        ),
    ],
)
def test_primitive_lists_are_unions(patch, after):
    assert strategic_merge({"finalizers": ["a/a", "b/b"]}, patch, META) == {"finalizers": after}


def test_retained_keys_clear_all_others():
    current = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}

    merged = strategic_merge(current, {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}, DEPLOYMENT_SPEC)

    assert merged == {"strategy": {"type": "Recreate"}}


def test_retained_keys_change_a_volumes_source():
    current = {"volumes": [{"name": "v", "emptyDir": {}}]}
    patch = {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}

    assert strategic_merge(current, patch, POD_SPEC) == {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}


def test_a_disruption_budgets_selector_is_replaced():
    schema = definition("io.k8s.api.policy.v1.PodDisruptionBudgetSpec")
    current = {"selector": {"matchLabels": {"a": "1"}}}

    merged = strategic_merge(current, {"selector": {"matchLabels": {"b": "2"}}}, schema)

    assert merged == {"selector": {"matchLabels": {"b": "2"}}}


def test_ports_that_share_a_number_merge_into_the_first():
    current = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    schema = definition("io.k8s.api.core.v1.ServiceSpec")

    merged = strategic_merge(current, {"ports": [{"port": 53, "name": "dns"}]}, schema)

    assert merged["ports"] == [{"port": 53, "protocol": "UDP", "name": "dns"}, {"port": 53, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"containers": [{"image": "x"}]}, "does not contain declared merge key: name"),
        ({"containers": [{"$patch": "delete"}]}, "does not contain declared merge key: name"),
        ({"containers": [{"name": {"a": 1}}]}, "a scalar is needed"),
        ({"containers": ["x"]}, "list element types are not identical"),
        ({"containers": [None]}, "list element types are not identical"),
        ({"containers": [{"name": "c", "$patch": "explode"}]}, "unknown patch type: explode"),
        ({"containers": [{"name": "c", "$patch": "merge"}]}, "merging lists cannot yet be specified"),
        ({"$patch": "explode"}, "unknown patch type: explode"),
        ({"$setElementOrder/containers": "c"}, "invalid patch format of setElementOrder list"),
        ({"$setElementOrder/containers": ["c"]}, "list element types are not identical"),
        ({"$setElementOrder/containers": named("b a"), "containers": named("a b")}, "The order in patch list"),
        ({"$setElementOrder/containers": named("b"), "containers": named("a")}, "The order in patch list"),
        ({"$retainKeys": "x"}, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["a"], "b": 1}, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveList/containers": "x"}, "must be a list"),
    ],
)
def test_a_malformed_patch_is_refused(patch, words):
    with pytest.raises(PatchError, match=words.replace("$", r"\$")):
        strategic_merge({"containers": named("c")}, patch, POD_SPEC)


def test_a_bottomless_patch_is_refused():
    patch: dict = {}
    for _ in range(900):
        patch = {"a": patch}

    with pytest.raises(PatchError, match="exceeded max depth"):
        strategic_merge({}, patch, POD_SPEC)


def test_a_patch_copies_nothing_that_it_does_not_change():
    current = {"spec": {"containers": [{"name": "a", "env": []}], "volumes": []}, "status": {}}
    before = copy.deepcopy(current)

    merged = strategic_merge(current, {"spec": {"containers": [{"name": "b"}]}}, schema_for("v1", "Pod"))

    assert current == before
    assert merged["status"] is current["status"]
    assert merged["spec"]["containers"][1] is current["spec"]["containers"][0]


pods = st.fixed_dictionaries(
    {},
    optional={
        "hostname": st.sampled_from(["h", "i"]),
        "nodeSelector": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=2),
        "containers": st.lists(st.sampled_from("abcde"), unique=True, max_size=4).map(
            lambda found: named(" ".join(found))
        ),
        "tolerations": st.lists(st.fixed_dictionaries({"key": st.sampled_from("abc")}), max_size=2),
    },
)


@given(pods, pods)
def test_a_patch_is_idempotent(current, patch):
    once = strategic_merge(current, patch, POD_SPEC)

    assert strategic_merge(once, patch, POD_SPEC) == once


@given(pods)
def test_an_empty_patch_and_the_object_itself_change_nothing(current):
    assert strategic_merge(current, {}, POD_SPEC) == current
    assert strategic_merge(current, current, POD_SPEC) == current


@given(pods, pods)
def test_no_item_is_lost_or_doubled(current, patch):
    def found(value):
        return {item["name"] for item in value.get("containers", [])}

    merged = strategic_merge(current, patch, POD_SPEC)

    assert sorted(item["name"] for item in merged.get("containers", [])) == sorted(found(current) | found(patch))


directives = ["$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/containers"]
anything = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["delete", "replace", "merge", "a"]) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["containers", "name", "env", "hostname", *directives]), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["containers", "volumes", *directives]), anything, max_size=4))
def test_a_hostile_patch_is_refused_or_applied_and_never_breaks(patch):
    current = {"containers": [{"name": "a", "env": [{"name": "x"}]}]}
    before = copy.deepcopy(current)

    with contextlib.suppress(PatchError):
        strategic_merge(current, patch, POD_SPEC)

    assert current == before
