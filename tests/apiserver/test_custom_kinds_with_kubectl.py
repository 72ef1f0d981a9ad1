"""Real kubectl with a custom kind: at once by its short name, explained, applied, scaled, and waited for."""

import json

import pytest

from tests.apiserver.custom_kinds import a_definition, a_widget
from tests.apiserver.served_api import served_api

pytestmark = pytest.mark.xdist_group("custom_kinds_with_kubectl")


async def test_kubectl_works_with_a_kind_right_after_its_declaration(tmp_path):
    async with served_api(tmp_path) as served:
        created = await served.kubectl("apply", "-f", "-", given=json.dumps(a_definition()))
        await served.kubectl("wait", "--for=condition=Established", "crd/widgets.example.com")
        applied = await served.kubectl("apply", "-f", "-", given=json.dumps(a_widget(replicas=1)))
        shown = await served.kubectl("get", "wd", "a", "--no-headers")
        explained = await served.kubectl("explain", "widget.spec.parts")
        plainly = await served.kubectl("explain", "widget.spec", "--output=plaintext-openapiv2")
        scaled = await served.kubectl("scale", "widget/a", "--replicas=4")
        again = await served.kubectl("apply", "-f", "-", given=json.dumps(a_widget(replicas=1, size=5)))
        wrong = await served.kubectl("apply", "-f", "-", given=json.dumps(a_widget(sise=5)))
        deleted = await served.kubectl("delete", "crd", "widgets.example.com")

    assert created.out == "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n"
    assert applied.out == "widget.example.com/a created\n"
    assert shown.out.split()[:2] == ["a", "3"]
    assert "FIELD: parts <[]Object>" in explained.out
    assert "   size\t<integer> -required-" in plainly.out
    assert scaled.out == "widget.example.com/a scaled\n"
    assert again.out == "widget.example.com/a configured\n"
    assert 'unknown field "spec.sise"' in wrong.err
    assert deleted.out == 'customresourcedefinition.apiextensions.k8s.io "widgets.example.com" deleted\n'


async def test_a_kind_without_a_schema_takes_anything(tmp_path):
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": anything}
    async with served_api(tmp_path) as served:
        await served.kubectl("create", "-f", "-", given=json.dumps(a_definition(versions=[version])))
        await served.kubectl("wait", "--for=condition=Established", "crd/widgets.example.com")
        created = await served.kubectl("create", "-f", "-", given=json.dumps(a_widget(any={"thing": [1]})))
        explained = await served.kubectl("explain", "widgets")

    assert created.out == "widget.example.com/a created\n"
    assert "DESCRIPTION:\n    <empty>" in explained.out
