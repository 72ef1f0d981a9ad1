"""Converting: asks webhooks for objects in other versions, for kinds whose definition says so.

What reads and writes objects does not wait in between, so it is begun, stops where a conversion is missing
(`NotConverted`), and is begun again once the webhook has answered; nothing is stored before everything is there. Lists
and watches ask for many objects at once. Kubernetes: apiextensions `conversion` webhook converter.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from apiserver.proxying.callouts import CallFailed
from apiserver.reading.custom_stored import CustomStored
from apiserver.request import Answer, Request
from apiserver.tracing.trace import part
from wherry.api.admission.webhooks import WebhookClientConfig
from wherry.api.extensions.conversions import Conversions, NotConverted, key_of
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.errors import InternalError

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]

# Kubernetes: the time a conversion webhook has.
SECONDS = 30
# A write needs a few conversions, one after the other; whoever needs more is going in circles.
MOST_ATTEMPTS = 20
AT_A_TIME = 500


async def converted(
    server: Server, request: Request, cls: type[CustomResource], serve: Callable[[], Awaitable[Answer]]
) -> Answer:
    """The answer to a request on a kind whose versions a webhook converts."""
    await _prepare(server, request, cls)
    warnings = list(request.warnings)
    for _ in range(MOST_ATTEMPTS):
        try:
            return await serve()
        except NotConverted as missing:
            await ask(server, missing.conversions, [missing.draft], missing.api_version)
            if missing.resume is not None:
                serve = missing.resume
            else:
                request.warnings[:] = warnings
    raise InternalError(f"{cls.kind.resource}: conversions between versions do not come to an end", {})


async def _prepare(server: Server, request: Request, cls: type[CustomResource]) -> None:
    """Make the body readable more than once, and convert what the request is about."""
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        body = await request.body()

        async def receive() -> Draft:
            return {"type": "http.request", "body": body, "more_body": False}

        request.receive = receive
    target = request.target
    if target is None or request.verb == "create":
        return
    await server.cache.fresh()
    cache = server.cache.of(cls)
    if target.name:
        found = cache.get(target.namespace if cls.kind.namespaced else "", target.name)
        await convert_stored(server, cls, [found] if found is not None else [])
    else:
        await convert_stored(server, cls, list(cache.objects(target.namespace if cls.kind.namespaced else "")))


async def convert_stored(server: Server, cls: type[CustomResource], objects: list[Any]) -> None:
    """See to it that these can be read in the form of `cls`."""
    conversions = cls.declared.conversions
    if conversions is None:
        return
    stored = cls.stored_as
    custom = [each for each in objects if isinstance(each, CustomStored)]
    await ask(server, conversions, [each.raw() for each in custom], stored.kind.api_version)
    if cls is not stored:
        current = [each.draft(stored.kind) for each in custom]
        await ask(server, conversions, current, cls.kind.api_version)


async def ask(server: Server, conversions: Conversions, drafts: list[Draft], api_version: str) -> None:
    """See to it that these are known in that version."""
    unknown = [draft for draft in drafts if not conversions.has(draft, api_version)]
    wanted = list({key_of(draft, api_version): draft for draft in unknown}.values())
    for begin in range(0, len(wanted), AT_A_TIME):
        some = wanted[begin : begin + AT_A_TIME]
        for draft, answer in zip(some, await _answers(server, conversions, some, api_version), strict=True):
            conversions.keep(draft, api_version, _checked(draft, answer, api_version))


async def _answers(server: Server, conversions: Conversions, drafts: list[Draft], api_version: str) -> list[Draft]:
    uid = str(uuid.UUID(int=server.random.getrandbits(128), version=4))
    review: Draft = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1"}
    review["request"] = {"uid": uid, "desiredAPIVersion": api_version, "objects": [_shown(draft) for draft in drafts]}
    client = WebhookClientConfig.read(conversions.webhook.client_config.raw)
    what = f"conversion webhook for {drafts[0]['apiVersion']}, Kind={drafts[0]['kind']} failed"
    try:
        with part("conversion webhook"):
            answer = await server.callouts.post(client, review, SECONDS)
    except CallFailed as error:
        raise InternalError(f"{what}: {error}", {}) from None
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or response.get("uid") != uid:
        raise InternalError(f"{what}: the answer is no ConversionReview for this request", {})
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise InternalError(f"{what}: {result.get('message') or 'no reason given'}", {})
    objects = response.get("convertedObjects")
    if not isinstance(objects, list) or len(objects) != len(drafts):
        raise InternalError(f"{what}: expected {len(drafts)} converted objects", {})
    return objects


def _shown(draft: Draft) -> Draft:
    """Who owns which field is none of a webhook's business."""
    metadata = {name: value for name, value in draft["metadata"].items() if name != "managedFields"}
    return {**draft, "metadata": metadata}


def _checked(draft: Draft, answer: Any, api_version: str) -> Draft:
    if not isinstance(answer, dict) or (answer.get("apiVersion"), answer.get("kind")) != (api_version, draft["kind"]):
        raise InternalError(f"conversion webhook: expected a {draft['kind']} of {api_version}", {})
    metadata = answer.get("metadata")
    for field, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        given, found = draft["metadata"].get(field, ""), metadata.get(field, "") if isinstance(metadata, dict) else ""
        if given != found:
            what = f"conversion webhook for {draft['apiVersion']}, Kind={draft['kind']} returned invalid object"
            raise InternalError(f"{what}: must have the same {word}: {given} != {found}", {})
    return answer
