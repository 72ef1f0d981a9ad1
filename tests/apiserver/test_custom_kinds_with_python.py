"""The official Python client with custom kinds, and a definition as large as those that well-known projects publish."""

import asyncio
import time

import pytest
from kubernetes import client, config

from tests.apiserver.custom_kinds import DEFINITIONS, a_definition, a_version, a_widget, told
from tests.apiserver.served_api import served_api

pytestmark = pytest.mark.xdist_group("custom_kinds_with_python")

WHERE = ("example.com", "v1", "default", "widgets")


def use(kubeconfig):
    """The verbs of CustomObjectsApi, in the order in which a program comes to need them."""
    with config.new_client_from_config(str(kubeconfig)) as connection:
        definitions, customs = client.ApiextensionsV1Api(connection), client.CustomObjectsApi(connection)
        made = definitions.create_custom_resource_definition(a_definition())
        while not any(each.type == "Established" for each in made.status.conditions or ()):
            made = definitions.read_custom_resource_definition("widgets.example.com")
        customs.create_namespaced_custom_object(*WHERE, a_widget(replicas=1))
        customs.patch_namespaced_custom_object(*WHERE, "a", {"spec": {"color": "green"}})
        customs.patch_namespaced_custom_object_status(*WHERE, "a", {"status": {"ready": "yes"}})
        scale = customs.get_namespaced_custom_object_scale(*WHERE, "a")
        listed = customs.list_namespaced_custom_object(*WHERE, label_selector="!x")
        customs.delete_namespaced_custom_object(*WHERE, "a")
        return scale["spec"], [(each["spec"], each["status"]) for each in listed["items"]]


async def test_the_python_client_creates_patches_scales_lists_and_deletes(tmp_path):
    async with served_api(tmp_path) as served:
        scale, listed = await asyncio.to_thread(use, served.kubeconfig)

    assert scale == {"replicas": 1}
    assert listed == [({"size": 3, "replicas": 1, "color": "green"}, {"ready": "yes"})]


def large(depth: int, width: int) -> dict:
    """A schema of `width` ** `depth` fields, with the words that published ones use."""
    if not depth:
        return {"type": "string", "description": "A field with a sentence about it. " * 3, "maxLength": 253}
    fields = {f"field{number}": large(depth - 1, width) for number in range(width)}
    return {"type": "object", "description": "A part. " * 5, "properties": fields}


async def test_a_definition_with_two_thousand_fields_is_served_quickly(api):
    versions = [a_version(spec=large(3, 13), selectableFields=[])]

    begun = time.process_time()
    await api.made(DEFINITIONS, a_definition(versions=versions))
    await told(api, "widgets.example.com")
    widget = {**a_widget(), "spec": {"field1": {"field2": {"field3": "x"}}}}
    await api.made("/apis/example.com/v1/namespaces/default/widgets", widget)

    assert time.process_time() - begun < 2
