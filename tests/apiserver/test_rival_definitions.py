"""Two servers may accept two definitions of one name at the same moment: in the end the older one has it."""

from datetime import UTC, datetime

from apiserver.extensions.conditions import share_a_name, status_of
from tests.apiserver.custom_kinds import a_definition
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_rival(plural: str, created: str) -> CustomResourceDefinition:
    """A definition that was given the kind and the short name of every other one."""
    names = {
        "plural": plural,
        "singular": plural[:-1],
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
    }
    draft = a_definition()
    draft["metadata"] = {"name": f"{plural}.example.com", "uid": plural, "creationTimestamp": created}
    draft["spec"]["names"] = names
    return CustomResourceDefinition.read({**draft, "status": {"acceptedNames": names}})


def test_the_older_one_keeps_what_both_were_given_and_the_younger_one_gives_it_back():
    older, younger = a_rival("as", "2026-11-22T11:00:00Z"), a_rival("bs", "2026-11-22T11:00:01Z")

    kept, given_back = status_of(older, [older, younger], NOW), status_of(younger, [older, younger], NOW)

    assert share_a_name(older, younger)
    assert (kept[1], kept[0][0].status) == (older.status.accepted_names, "True")
    assert (given_back[1].kind, given_back[1].short_names, given_back[1].plural) == ("", (), "bs")
    assert (given_back[0][0].type, given_back[0][0].status) == ("NamesAccepted", "False")
