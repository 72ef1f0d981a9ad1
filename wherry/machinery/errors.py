"""The errors a Kubernetes API answers with, and their JSON form, `Status`.

    ApiError
    ├── BadRequest 400             ├── Expired 410
    ├── Unauthorized 401           ├── TooLarge 413
    ├── Forbidden 403              ├── UnsupportedMediaType 415
    ├── NotFound 404               ├── Invalid 422
    ├── MethodNotAllowed 405       ├── TooManyRequests 429
    ├── NotAcceptable 406          ├── InternalError 500
    ├── AlreadyExists 409          ├── Unavailable 503
    └── Conflict 409               └── Timeout 504

Each class knows its HTTP code and `reason`, and when a client may try again: `Conflict` at once (after reading again),
`Unavailable`, `TooManyRequests` and `Timeout` with back-off, `Invalid` never.

Kubernetes: apimachinery `api/errors` and `metav1.Status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from wherry.machinery.field_errors import FieldError


class ApiError(Exception):
    """An answer other than success; raised by the API server to send it and by the client when it arrives."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = ""
    retry: ClassVar[str] = "never"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def retry_after_seconds(self) -> int | None:
        """What the server asked a client to wait, if it said."""
        seconds = (self.details or {}).get("retryAfterSeconds")
        return seconds if isinstance(seconds, int) else None

    @property
    def says_namespace_is_going(self) -> bool:
        """Whether something could not be created because its namespace is being deleted: nothing to try again."""
        causes = (self.details or {}).get("causes") or ()
        return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)

    def to_status(self) -> dict[str, Any]:
        """The body of the answer: a `Status` object."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class BadRequest(ApiError):
    """The request itself cannot be understood."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """Nobody knows who is asking."""

    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", details: dict[str, Any] | None = None) -> None:
        super().__init__(message, details)


class Forbidden(ApiError):
    """The caller, or an admission rule, may not."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """No such object, resource or path."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """The resource exists but does not offer this verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """None of the representations the client accepts is offered."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """A create of a name that is taken."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object changed since the caller read it, or a precondition does not hold."""

    code, reason, retry = 409, "Conflict", "now"


class Expired(ApiError):
    """The history the caller asks for is compacted; it must list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    """The body is over the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body is in a format nobody here reads."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks rules of its kind; every broken rule is a cause."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """Ask again later: an overloaded server, or a disruption budget that is used up."""

    code, reason, retry = 429, "TooManyRequests", "backoff"


class InternalError(ApiError):
    """The server failed in a way the caller cannot mend."""

    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    """The server, or what it depends on, is not there right now."""

    code, reason, retry = 503, "ServiceUnavailable", "backoff"


class Timeout(ApiError):
    """The answer did not come in time; the request may or may not have had its effect."""

    code, reason, retry = 504, "Timeout", "backoff"


_BY_REASON = {error.reason: error for error in ApiError.__subclasses__()} | {"Gone": Expired}
_BY_CODE = {error.code: error for error in reversed(ApiError.__subclasses__())}


def from_status(status: dict[str, Any], code: int = 500) -> ApiError:
    """The error a `Status` body stands for; unknown reasons fall back on the HTTP code."""
    code = status.get("code") or code
    error = _BY_REASON.get(status.get("reason") or "") or _BY_CODE.get(code, ApiError)
    raised = error(status.get("message") or f"the server answered {code}", status.get("details"))
    if error is ApiError:
        raised.code = code  # type: ignore[misc]  # an HTTP code without a class of its own keeps its number
    return raised


def _details(resource: str, name: str, **more: Any) -> dict[str, Any]:
    plural, _, group = resource.partition(".")
    details = {"name": name, "group": group, "kind": plural, **more}
    return {key: value for key, value in details.items() if value}


def not_found(resource: str, name: str) -> NotFound:
    """`resource` is `pods` or `deployments.apps`."""
    return NotFound(f'{resource} "{name}" not found', _details(resource, name))


def already_exists(resource: str, name: str) -> AlreadyExists:
    """A create of a taken name."""
    return AlreadyExists(f'{resource} "{name}" already exists', _details(resource, name))


def conflict(resource: str, name: str, why: str = "") -> Conflict:
    """A stale write; `why` replaces Kubernetes' usual explanation."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Conflict(f'Operation cannot be fulfilled on {resource} "{name}": {why}', _details(resource, name))


def forbidden(resource: str, name: str, why: str) -> Forbidden:
    """`name` may be empty for a collection."""
    subject = f'{resource} "{name}"' if name else resource
    return Forbidden(f"{subject} is forbidden: {why}", _details(resource, name))


def invalid_object(kind: str, name: str, errors: Sequence[FieldError]) -> Invalid:
    """All broken rules of one object; `kind` is `Pod` or `Deployment.apps`."""
    texts = [str(error) for error in errors]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [{"reason": error.reason, "message": error.message, "field": error.field} for error in errors]
    return Invalid(f'{kind} "{name}" is invalid: {text}', _details(kind, name, causes=causes))
