"""Server-side apply, whatever is applied by whom in which order: nobody loses what they own without a word."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apiserver.ownership.entries import Author, entries_of, fields_of, settled
from apiserver.ownership.versions import blank, owned_at_creation, topology_for
from apiserver.patch.apply import apply
from apiserver.writing.decoding import accept
from wherry.api import kinds
from wherry.api.core.pod import Pod
from wherry.machinery.errors import Conflict
from wherry.machinery.schema.field_sets import intersection, paths

kinds.load()
Draft = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"

words = st.sampled_from(["a", "b"])
ports = st.lists(
    st.fixed_dictionaries({"containerPort": st.integers(80, 81)}, optional={"name": words}),
    max_size=2,
    unique_by=lambda port: port["containerPort"],
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["x", "y", "z"])},
        optional={"image": words, "ports": ports, "args": st.lists(words, max_size=2)},
    ),
    max_size=3,
    unique_by=lambda container: container["name"],
)
security = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.integers(1, 2),
        "seLinuxOptions": st.fixed_dictionaries({}, optional={"level": words, "role": words}),
    },
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "containers": containers,
        "securityContext": security,
        "overhead": st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "1000m"]), max_size=2),
        "nodeSelector": st.dictionaries(words, words, max_size=2),
        "priority": st.integers(1, 2),
    },
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(words, words, max_size=2),
        "finalizers": st.lists(words.map("example.org/{}".format), max_size=2, unique=True),
    },
)
configs = st.builds(
    lambda spec, more: {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s", **more}, "spec": spec},
    specs,
    metadata,
)
managers = st.sampled_from(["one", "two", "three"])


def applied(live: Draft | None, config: Draft, manager: str, *, force: bool = False) -> Draft:
    wanted = apply(live, config, Author(manager, "v1", "Apply"), Pod, force=force)
    entries = wanted["metadata"].pop("managedFields")
    wanted = accept(wanted, Pod, validation="Strict", warnings=[])
    return {**wanted, "metadata": {**wanted["metadata"], "managedFields": settled(entries, NOW)}}


def owned_by(obj: Draft, manager: str) -> set[str]:
    return {path for entry in entries_of(obj) if entry["manager"] == manager for path in paths(fields_of(entry))}


def history(steps: list[tuple[str, Draft]]) -> Draft:
    """An object after everybody applied theirs in turn, by force."""
    live: Draft | None = None
    for manager, config in steps:
        live = applied(live, config, manager, force=True)
    assert live is not None
    return live


histories = st.lists(st.tuples(managers, configs), min_size=1, max_size=5)


@settings(max_examples=150)
@given(histories, managers, configs)
def test_applying_twice_changes_nothing(steps, manager, config):
    once = applied(history(steps), config, manager, force=True)

    assert applied(once, config, manager) == once


@settings(max_examples=150)
@given(configs, configs)
def test_disjoint_configurations_never_conflict(one, other):
    first, alone = applied(None, one, "one"), applied(None, other, "two")
    mine, theirs = (fields_of(entries_of(obj)[0]) if entries_of(obj) else {} for obj in (first, alone))
    assume(not intersection(mine, theirs))

    both = applied(first, other, "two")

    assert owned_by(both, "one") == owned_by(first, "one")
    assert owned_by(both, "two") == owned_by(alone, "two")


@settings(max_examples=150)
@given(histories, managers, configs)
def test_a_field_goes_with_its_last_owner_and_not_before(steps, manager, config):
    live = history(steps)
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s"}}
    others = {path for other in ("one", "two", "three") if other != manager for path in owned_by(live, other)}

    left = applied(live, bare, manager)

    seen = set(paths(topology_for(Pod).owned(left, containers=True)))
    assert others <= seen
    assert {path for other in ("one", "two", "three") if other != manager for path in owned_by(left, other)} == others
    assert owned_by(left, manager) == set()


@settings(max_examples=150)
@given(histories, managers, configs)
def test_without_force_others_keep_what_they_own_and_its_value(steps, manager, config):
    live = history(steps)
    before = {other: owned_by(live, other) for other in ("one", "two", "three") if other != manager}

    try:
        after = applied(live, config, manager)
    except Conflict as conflict:
        assert {cause["field"] for cause in conflict.details["causes"]} <= set().union(*before.values())  # noqa: PT017
        return

    assert {other: owned_by(after, other) for other in before} == before


@settings(max_examples=150)
@given(configs)
def test_a_creator_owns_what_a_comparison_with_nothing_finds(config):
    made = accept(config, Pod, validation="Strict", warnings=[])

    owned = owned_at_creation(made, Pod)

    bare = {word: value for word, value in made["metadata"].items() if word != "name"}
    added, _ = topology_for(Pod).compare(blank(Pod), {"spec": made["spec"], "metadata": bare})
    assert set(paths(owned)) == set(paths(added))
