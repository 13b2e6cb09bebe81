"""Whatever a request ends with beside an answer becomes a problem: refusals of ours, of the framework, and bugs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from orderhub_chassis.errors import HTTP_STATUS, Failure, FieldError, HttpFailure, Unavailable
from orderhub_chassis.problems import MEDIA_TYPE, encoded
from orderhub_chassis.telemetry import current_traceparent, log, trace_id

from orderhub_gateway.responses import Headers, Raw

METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""Of all addresses together: a method that nobody knows was never looked up for one."""
FRAMEWORK_CODES: Final = {
    400: "request.malformed",
    404: "request.no_such_route",
    405: "request.method_not_allowed",
    413: "request.too_large",
}
FRAMEWORK_WORDS: Final = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
    413: "the body is larger than this route takes",
}


def answer(failure: Failure) -> Raw:
    """The response for a failure."""
    status = failure.status if isinstance(failure, HttpFailure) else HTTP_STATUS[failure.kind]
    headers = []
    if failure.retry_after:
        headers.append((b"retry-after", str(failure.retry_after).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="orderhub"'))
    if failure.members:  # what the client goes on with is for the client alone
        headers.append((b"cache-control", b"no-store"))
    if status == 405:
        headers.append((b"allow", METHODS))
    detail = failure.detail
    if failure.code == Unavailable.code:
        # The chassis' words name hosts and ports, which are nobody's business out there.
        log("gateway").warning("gateway.peer_away", reason=failure.detail)
        detail = "a part of the system cannot be reached right now"
    return raw(status, failure.code, detail, failure.errors, headers, failure.members)


def raw(
    status: int,
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    headers: Headers | None = None,
    members: Mapping[str, str] | None = None,
) -> Raw:
    trace = trace_id(current_traceparent.get())
    return Raw(status, encoded(status, code, detail, errors, trace, members), headers or [], MEDIA_TYPE)


def on_error(request: Request[Any, Any, Any], error: Exception) -> Raw:
    """Whatever a route ended with: a refusal of ours or of a service, one of Litestar's, or a bug."""
    if isinstance(error, Failure):
        return answer(error)
    return _on_framework(request, error) if isinstance(error, HTTPException) else _on_bug(request, error)


def _on_framework(request: Request[Any, Any, Any], error: HTTPException) -> Raw:
    """What Litestar itself refuses: routes, methods, sizes, parameters."""
    if isinstance(error, ValidationException):
        return raw(400, "request.invalid", "the request is not valid", _fields(error))
    status = error.status_code
    if status >= 500:
        return _on_bug(request, error)
    code, detail = FRAMEWORK_CODES.get(status, f"request.{status}"), FRAMEWORK_WORDS.get(status, error.detail)
    return raw(status, code, detail, headers=_headers(error))


def _headers(error: HTTPException) -> Headers:
    """The framework's `Allow` knows nothing of HEAD: the edge makes a GET of it before."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if "GET" in headers.get("allow", "").split(", "):
        headers["allow"] += ", HEAD"
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _on_bug(request: Request[Any, Any, Any], error: Exception) -> Raw:
    """Nobody meant this: the log has the trace, the client the trace id."""
    log("gateway").error("gateway.bug", path=request.scope["path"], exc_info=error)
    return raw(500, "gateway.internal", "something went wrong on our side")


def _fields(error: ValidationException) -> tuple[FieldError, ...]:
    items: Any = error.extra if isinstance(error.extra, list) else []
    return tuple(_field(item) for item in items)


def _field(item: dict[str, Any]) -> FieldError:
    key, source = item.get("key", ""), getattr(item.get("source", ""), "value", "query")
    if key == "data":
        # The one thing that the framework refuses about a body: that there is none. Its words are the parameter's name.
        return FieldError("", "required", "a JSON body is required")
    words = item.get("message", "is not valid")
    return FieldError(f"/{source}/{key}", "required" if "equired" in words else "invalid", words)
