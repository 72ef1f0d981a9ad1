"""AdmissionReview: the question to a webhook, and what its answer means. Kubernetes: webhook/request."""

from __future__ import annotations

import uuid
from base64 import b64decode
from random import Random
from typing import Any, NamedTuple

import orjson

from apiserver.matching.attributes import Attributes
from apiserver.matching.reviewed import request_of
from apiserver.webhooks.hooks import Concerned
from wherry.api.admission.webhooks import REVIEW_VERSIONS
from wherry.machinery.errors import ApiError

Json = dict[str, Any]

_GROUP = "admission.k8s.io"


class Verdict(NamedTuple):
    """A webhook's answer, checked."""

    is_allowed: bool
    status: Json
    patch: list[Any]
    warnings: list[str]
    annotations: dict[str, str]


class Denied(ApiError):
    """A webhook, or a policy, has refused: with the code and the reason that it chose."""

    def __init__(self, status: Json) -> None:
        super().__init__(status["message"], status.get("details"))
        self.code = status["code"]  # type: ignore[misc]  # as the webhook says
        self.reason = status.get("reason", "")  # type: ignore[misc]


def question(attributes: Attributes, concerned: Concerned, random: Random) -> Json:
    """The review to send."""
    cls = concerned.cls
    offered = concerned.hook.webhook.admission_review_versions
    version = next((version for version in offered if version in REVIEW_VERSIONS), REVIEW_VERSIONS[0])
    request = {"uid": str(uuid.UUID(int=random.getrandbits(128), version=4)), **request_of(attributes, cls)}
    request["object"], request["oldObject"] = attributes.object_as(cls), attributes.old_as(cls)
    return {"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": request}


def verdict(asked: Json, answer: Any, *, is_mutating: bool) -> Verdict:
    """Check and read an answer; raises ValueError for what is no answer to that question."""
    if not isinstance(answer, dict):
        raise ValueError(f"expected an AdmissionReview, got {type(answer).__name__}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise ValueError("webhook response was absent")
    version = asked["apiVersion"]
    if version.endswith("/v1"):
        _check_identity(asked, answer, response)
    patch, patch_type = response.get("patch"), response.get("patchType")
    if not is_mutating and patch:
        raise ValueError("validating webhook may not return response.patch")
    if not is_mutating and patch_type is not None:
        raise ValueError("validating webhook may not return response.patchType")
    if patch and patch_type is None and version.endswith("/v1"):
        raise ValueError("webhook returned response.patch but not response.patchType")
    if patch_type is not None and not patch:
        raise ValueError("webhook returned response.patchType but not response.patch")
    if patch and patch_type not in (None, "JSONPatch"):
        raise ValueError(f'webhook returned invalid response.patchType of "{patch_type}"')
    status, warnings, annotations = response.get("status"), response.get("warnings"), response.get("auditAnnotations")
    return Verdict(
        response.get("allowed") is True,
        status if isinstance(status, dict) else {},
        _operations(patch),
        [str(text) for text in warnings] if isinstance(warnings, list) else [],
        {str(key): str(value) for key, value in annotations.items()} if isinstance(annotations, dict) else {},
    )


def _check_identity(asked: Json, answer: Json, response: Json) -> None:
    uid = asked["request"]["uid"]
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    wanted = (asked["apiVersion"], "AdmissionReview")
    given = (answer.get("apiVersion", ""), answer.get("kind", ""))
    if given != wanted:
        texts = (f"{version}, Kind={kind}" for version, kind in (wanted, given))
        raise ValueError("expected webhook response of {}, got {}".format(*texts))


def _operations(patch: Any) -> list[Any]:
    if not patch:
        return []
    try:
        operations = orjson.loads(b64decode(patch, validate=True))
    except (TypeError, ValueError) as error:
        raise ValueError(f"response.patch is not base64 of JSON: {error}") from None
    if not isinstance(operations, list):
        raise ValueError("response.patch is not a list of operations")
    return operations


def denial(name: str, status: Json) -> Denied:
    """The error that a refusal is. Kubernetes: ToStatusErr."""
    code = status.get("code")
    reason, details = status.get("reason"), status.get("details")
    said = status.get("message") or reason
    denied = f'admission webhook "{name}" denied the request'
    message = f"{denied}: {said}" if said else f"{denied} without explanation"
    code = code if isinstance(code, int) and 400 <= code < 600 else 400
    # What it says beyond words goes into our answer only in the shape that clients expect there.
    kept: Json = {"reason": reason} if isinstance(reason, str) else {}
    kept |= {"details": details} if isinstance(details, dict) else {}
    return Denied({**kept, "message": message, "code": code})
