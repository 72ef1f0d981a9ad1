"""First step: every error becomes an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from apiserver.reading.answering import status_response
from apiserver.request import Answer, Request, too_large, warning_headers
from apiserver.storage.store import Compacted, FutureRevision, StoreUnavailable
from apiserver.storage.store import TooLarge as ValueTooLarge
from wherry.machinery.errors import ApiError, Expired, InternalError, Unavailable

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

log = structlog.get_logger()


async def panics_become_500(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Turn API errors into their Status, store errors into the API error they mean, and bugs into a logged 500."""
    try:
        return await proceed(server, request)
    except ApiError as error:
        answer = status_response(request, error)
        return answer._replace(headers=(*answer.headers, *warning_headers(request.warnings)))
    except Compacted:
        return status_response(request, Expired("The resourceVersion for the provided list is too old."))
    except ValueTooLarge:
        return status_response(request, too_large())
    except (StoreUnavailable, FutureRevision) as error:
        return status_response(request, Unavailable(f"the store did not answer: {error}"))
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return status_response(request, InternalError("Internal error occurred: see the API server's log"))
