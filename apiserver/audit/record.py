"""What is written of one request, stage by stage.

Kubernetes: audit.k8s.io/v1 Event. Differs: below level Request, refusals about Secrets are told without their words,
which may cite what a Secret holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson

from apiserver.audit.log import AuditLog
from apiserver.audit.policy import LEVELS, METADATA, REQUEST, REQUEST_RESPONSE, Policy, Told
from apiserver.matching.reviewed import user_of
from apiserver.request import Answer, Request, Response, Stream
from apiserver.writing.decoding import PROTOBUF, parse
from wherry.machinery import protobuf
from wherry.machinery.errors import ApiError
from wherry.machinery.time import micro_time_text

if TYPE_CHECKING:
    from apiserver.server import Server

Json = dict[str, Any]

RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
# The annotation of what a webhook changed, followed by its place.
PATCH = "patch.webhook.admission.k8s.io"
# Longer bodies are left out: the log is to be read.
MAX_BODY_BYTES = 3 * 1024 * 1024
# The parts of a refusal that may cite what was sent, or what stands there.
CITING = ("message", "details")


class Audit:
    """A policy and where its events go."""

    def __init__(self, policy: Policy, log: AuditLog) -> None:
        self._policy, self._log = policy, log

    def record_of(self, server: Server, request: Request) -> Record | None:
        """What will be written of a request; None if nothing is."""
        told = self._policy.told_of(request.user, request.verb, request.target, request.path)
        return Record(server, request, told, self._log) if told.level >= METADATA else None

    def close(self) -> None:
        """Write the rest."""
        self._log.close()


class Record:
    """One request while it is answered."""

    def __init__(self, server: Server, request: Request, told: Told, log: AuditLog) -> None:
        self._server, self._request, self._told, self._log = server, request, told, log
        self._user = request.user
        self._received = micro_time_text(server.now())
        self.id = request.audit_id
        self._body: list[bytes] = []
        self._kept_bytes = 0
        if told.level >= REQUEST:
            self._listen()

    def _listen(self) -> None:
        """Keep what the client sends while somebody reads it."""
        receive, kept = self._request.receive, self._body

        async def listened() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "http.request" and self._kept_bytes <= MAX_BODY_BYTES:
                kept.append(message.get("body", b""))
                self._kept_bytes += len(kept[-1])
            return message

        self._request.receive = listened

    def received(self) -> None:
        """The request is known and nothing has been done yet."""
        self._tell(RECEIVED)

    def answered(self, answer: Answer) -> Answer:
        """An answer is there, or begins; what is passed on tells of the end of a stream."""
        if isinstance(answer, Response):
            self._tell(COMPLETE, answer.status, b"" if answer.more else answer.body)
            return answer
        status = answer.status if isinstance(answer, Stream) else 101
        self._tell(STARTED, status)
        if isinstance(answer, Stream):
            return answer._replace(chunks=self._to_the_end(answer.chunks, status))
        serve = answer.serve

        async def served(*channel: Any) -> None:
            try:
                await serve(*channel)
            finally:
                self._tell(COMPLETE, status)

        return answer._replace(serve=served)

    async def _to_the_end(self, chunks: AsyncIterator[bytes], status: int) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self._tell(COMPLETE, status)

    def failed(self, error: Exception) -> None:
        """The request ended in an error."""
        if isinstance(error, ApiError):
            self._tell(COMPLETE, error.code, orjson.dumps(error.to_status()))
        else:
            self._tell(PANIC, 500)

    def _tell(self, stage: str, status: int = 0, body: bytes = b"") -> None:
        if stage in self._told.omitted_stages:
            return
        request, level = self._request, self._told.level
        query = request.scope.get("query_string") or b""
        event: Json = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": LEVELS[level], "auditID": self.id}
        event |= {"stage": stage, "requestURI": request.path + (f"?{query.decode('latin-1')}" if query else "")}
        event |= {"verb": request.verb, "user": user_of(self._user)}
        if request.user is not self._user:
            event["impersonatedUser"] = user_of(request.user)
        client = request.scope.get("client")
        event["sourceIPs"] = [client[0]] if client else []
        event["userAgent"] = request.header(b"user-agent")
        event |= self._about()
        if status:
            event["responseStatus"] = self._status_of(status, body)
        if stage != RECEIVED:
            event |= self._bodies(stage, body)
        event["requestReceivedTimestamp"] = self._received
        event["stageTimestamp"] = micro_time_text(self._server.now())
        if stage != RECEIVED and (annotations := self._annotations()):
            event["annotations"] = annotations
        self._log.write(event)

    def _status_of(self, code: int, body: bytes) -> Json:
        """The status of an answer: a failure's with its words, if objects may be told or it is not about a Secret."""
        target = self._request.target
        is_secret = target is not None and (target.group, target.plural) == ("", "secrets")
        told = _status_of(code, body)
        hidden = CITING if is_secret and self._told.level < REQUEST else ()
        return {key: each for key, each in told.items() if key not in hidden}

    def _annotations(self) -> dict[str, str]:
        """What was noted on the way; a webhook's patch holds parts of the object."""
        told = self._request.annotations
        hidden = () if self._told.level >= REQUEST else (PATCH,)
        return {key: text for key, text in told.items() if key.partition("/")[0] not in hidden}

    def _about(self) -> Json:
        target = self._request.target
        if target is None:
            return {}
        about = {"resource": target.plural, "namespace": target.namespace, "name": target.name}
        about |= {"apiGroup": target.group, "apiVersion": target.version, "subresource": target.subresource}
        return {"objectRef": {key: value for key, value in about.items() if value}}

    def _bodies(self, stage: str, answer: bytes) -> Json:
        """The objects that were sent and answered, as far as the level goes."""
        found: Json = {}
        if self._told.level >= REQUEST and self._body:
            sent = _object(b"".join(self._body), self._request.header(b"content-type"))
            if sent is not None:
                found["requestObject"] = self._shown(sent)
        if self._told.level >= REQUEST_RESPONSE and stage == COMPLETE and answer:
            said = _object(answer, _type_of(answer))
            if said is not None:
                found["responseObject"] = self._shown(said)
        return found

    def _shown(self, value: Any) -> Any:
        if not self._told.omits_managed_fields or not isinstance(value, dict):
            return value
        shown = {**value}
        if isinstance(value.get("metadata"), dict):
            shown["metadata"] = {key: each for key, each in value["metadata"].items() if key != "managedFields"}
        if isinstance(value.get("items"), list):
            shown["items"] = [self._shown(item) for item in value["items"]]
        return shown


def _object(body: bytes, content_type: str) -> Any:
    """A body as JSON; None for what is none, and for what is too long."""
    if not body.strip() or len(body) > MAX_BODY_BYTES:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return parse(body, content_type.replace("apply-patch+", ""))
    except ApiError:
        return None


def _type_of(answer: bytes) -> str:
    return PROTOBUF if answer.startswith(protobuf.MAGIC) else ""


def _status_of(code: int, body: bytes) -> Json:
    """The status of an answer: a failure's with its words."""
    status: Json = {"metadata": {}, "code": code}
    if code < 400 or not body:
        return status
    said = _object(body, _type_of(body))
    if isinstance(said, dict) and said.get("kind") == "Status":
        status |= {key: said[key] for key in ("status", "message", "reason", "details") if said.get(key)}
    return status
