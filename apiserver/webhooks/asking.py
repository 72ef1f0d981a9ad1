"""Puts the question to a webhook, counts it, and says what it means when there is no answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from apiserver.matching.attributes import Attributes
from apiserver.proxying.callouts import CallFailed
from apiserver.tracing.trace import part
from apiserver.webhooks.hooks import Concerned, Hook
from apiserver.webhooks.reviews import Verdict, denial, question, verdict
from wherry.machinery.errors import BadRequest, InternalError

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

_DEFAULT_SECONDS = 10
_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)
# Their own: the process that makes the others of a cluster has read this file, too.
REGISTRY = CollectorRegistry()
_DURATION = Histogram(
    "apiserver_admission_webhook_admission_duration_seconds",
    "How long admission webhooks took.",
    ("name", "type", "operation", "rejected"),
    buckets=_BUCKETS,
    registry=REGISTRY,
)
_REJECTIONS = Counter(
    "apiserver_admission_webhook_rejection_count",
    "Writes that admission webhooks refused, or that failed because one did.",
    ("name", "type", "operation", "error_type", "rejection_code"),
    registry=REGISTRY,
)
_FAIL_OPEN = Counter(
    "apiserver_admission_webhook_fail_open_count",
    "Webhooks that failed and were passed over.",
    ("name", "type"),
    registry=REGISTRY,
)
_TYPES = {True: "admit", False: "validating"}


async def ask(
    server: Server, attributes: Attributes, concerned: Concerned, *, is_mutating: bool, place: str
) -> Verdict | None:
    """The answer of a webhook that lets the write go on; None if it failed and may be passed over.

    `place` is where it stands among those asked, for the audit log. Raises what ends the write.
    """
    hook, write, type = concerned.hook, attributes.write, _TYPES[is_mutating]
    if write.dry_run and hook.webhook.side_effects not in ("None", "NoneOnDryRun"):
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
    begun, is_rejected = time.perf_counter(), True
    try:
        with part(f"webhook {hook.name}"):
            answer = await _answer(server, attributes, concerned, is_mutating=is_mutating)
        if not answer.is_allowed:
            refusal = denial(hook.name, answer.status)
            _REJECTIONS.labels(hook.name, type, attributes.operation, "no_error", str(refusal.code)).inc()
            _told(hook, answer, attributes)
            raise refusal
        is_rejected = False
    except CallFailed as error:
        if not hook.fails_open:
            _REJECTIONS.labels(hook.name, type, attributes.operation, "calling_webhook_error", "0").inc()
            raise InternalError(f'Internal error occurred: failed calling webhook "{hook.name}": {error}') from None
        is_rejected = False
        log.warning("webhook failed; going on without it", webhook=hook.name, error=str(error))
        _FAIL_OPEN.labels(hook.name, type).inc()
        word = "mutating" if is_mutating else "validating"
        write.annotations[f"failed-open.{word}.webhook.admission.k8s.io/{place}"] = hook.name
        return None
    finally:
        took = time.perf_counter() - begun
        _DURATION.labels(hook.name, type, attributes.operation, str(is_rejected).lower()).observe(took)
    _told(hook, answer, attributes)
    return answer


async def _answer(server: Server, attributes: Attributes, concerned: Concerned, *, is_mutating: bool) -> Verdict:
    hook = concerned.hook
    seconds = hook.webhook.timeout_seconds or _DEFAULT_SECONDS
    asked = question(attributes, concerned, server.random)
    try:
        answer: Any = await server.callouts.post(hook.webhook.client_config, asked, seconds)
    except CallFailed as error:
        raise CallFailed(f"failed to call webhook: {error}") from None
    try:
        return verdict(asked, answer, is_mutating=is_mutating)
    except ValueError as error:
        raise CallFailed(f"received invalid webhook response: {error}") from None


def _told(hook: Hook, answer: Verdict, attributes: Attributes) -> None:
    """Pass on what the webhook says besides yes and no."""
    write = attributes.write
    write.warnings.extend(text for text in answer.warnings if text not in write.warnings)
    for key, value in answer.annotations.items():
        write.annotations[f"{hook.name}/{key}"] = value


def note(attributes: Attributes, hook: Hook, place: str, answer: Verdict, *, has_changed: bool) -> None:
    """Write down for the audit log what a mutating webhook did."""
    where = {"configuration": hook.configuration, "webhook": hook.name}
    annotations = attributes.write.annotations
    mutated = orjson.dumps({**where, "mutated": has_changed}).decode()
    annotations[f"mutation.webhook.admission.k8s.io/{place}"] = mutated
    if has_changed:
        patch = {**where, "patch": answer.patch, "patchType": "JSONPatch"}
        annotations[f"patch.webhook.admission.k8s.io/{place}"] = orjson.dumps(patch).decode()
