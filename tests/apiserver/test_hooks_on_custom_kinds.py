"""Webhooks and policies see objects of custom kinds as those of built-in ones, in the version they ask for."""

from pathlib import Path

from tests.apiserver.custom_kinds import WIDGETS, a_definition, a_version, a_widget, declared
from tests.apiserver.local_api import Api
from tests.apiserver.served_api import served_api
from tests.apiserver.test_admission_policies import bind, have_policy, matching
from tests.apiserver.webhook_server import have_webhook, patch, rule, webhook_server

VERSIONS = [a_version("v1", storage=False), a_version("v2")]


async def test_a_webhook_changes_a_custom_object_in_the_version_it_asks_for(tmp_path: Path):
    async with served_api(tmp_path) as served, webhook_server(served) as hooks:
        await declared(served.api, a_definition(versions=VERSIONS))
        hooks.answers["/x"] = lambda request: patch({"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}})
        rules = [rule("widgets", group="example.com", version="v2")]
        await have_webhook(served.api, "mutating", "x", hooks.at("/x"), rules)

        made = await served.api.made(WIDGETS, a_widget("w"))

        [seen] = hooks.take()
        assert (made["apiVersion"], made["metadata"]["labels"]) == ("example.com/v1", {"by": "hook"})
        assert (seen["object"]["apiVersion"], seen["kind"]["version"], seen["requestKind"]["version"]) == (
            "example.com/v2",
            "v2",
            "v1",
        )


async def test_a_policy_judges_custom_objects_and_takes_them_as_parameters(api: Api):
    await declared(api, a_definition())
    await have_policy(
        api,
        "p",
        matchConstraints=matching("widgets", "example.com"),
        paramKind={"apiVersion": "example.com/v1", "kind": "Widget"},
        validations=[
            {"expression": "object.metadata.name.startsWith(params.metadata.name)", "message": "as the model"}
        ],
    )
    await api.made(WIDGETS, a_widget("model"))
    await bind(api, "p", paramRef={"name": "model", "namespace": "default", "parameterNotFoundAction": "Deny"})

    answers = [await api.post(WIDGETS, a_widget(name)) for name in ("model-2", "other")]

    assert [answer.status for answer in answers] == [201, 422]
    assert answers[1].json["message"].endswith("denied request: as the model")
