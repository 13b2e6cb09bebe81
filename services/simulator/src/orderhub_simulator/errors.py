"""What the provider refuses and why: an HTTP status, a stable code and words for people each.

The simulator is a party of its own, so these are its own errors and not the chassis' failures.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from orderhub_chassis import wire
from orderhub_chassis.errors import HttpFailure


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    field: str | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    error: Detail


class ProviderError(Exception):
    """Base of every answer that is not a success."""

    http_status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def body(self) -> bytes:
        return msgspec.json.encode(ErrorBody(Detail(self.code, self.message, self.field)))


class InvalidBody(ProviderError):
    http_status, code = 400, "invalid_body"


class InvalidParameter(ProviderError):
    http_status, code = 400, "invalid_parameter"


class KeyRequired(ProviderError):
    http_status, code = 400, "idempotency_key_required"

    def __init__(self) -> None:
        super().__init__("this call needs an Idempotency-Key", field="Idempotency-Key")


class KeyInvalid(ProviderError):
    http_status, code = 400, "idempotency_key_invalid"

    def __init__(self) -> None:
        super().__init__("an idempotency key is 1 to 255 visible ASCII characters", field="Idempotency-Key")


class Unauthorized(ProviderError):
    http_status, code = 401, "unauthorized"

    def __init__(self) -> None:
        super().__init__("a valid API key is needed: Authorization: Bearer <key>")


class RouteNotFound(ProviderError):
    http_status, code = 404, "route_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such route")


class AuthorizationNotFound(ProviderError):
    http_status, code = 404, "authorization_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such authorization")


class OperationUnknown(ProviderError):
    """Nothing has happened under this key, as far as this moment."""

    http_status, code = 404, "operation_unknown"

    def __init__(self) -> None:
        super().__init__("no operation was carried out under this key")


class MethodNotAllowed(ProviderError):
    http_status, code = 405, "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this route allows {allowed}")
        self.allowed = allowed


class Malformed(ProviderError):
    http_status, code = 400, "malformed"


class TargetTooLong(ProviderError):
    http_status, code = 414, "target_too_long"


class HeadersTooLarge(ProviderError):
    http_status, code = 431, "headers_too_large"


def unreadable(refused: HttpFailure) -> ProviderError:
    """What is no HTTP that can be read, in this party's own words."""
    match refused:
        case wire.MethodUnknown():
            return MethodNotAllowed("GET, HEAD, POST")
        case wire.TargetTooLong():
            return TargetTooLong(refused.detail)
        case wire.HeadersTooLarge():
            return HeadersTooLarge(refused.detail)
        case _:
            return Malformed(refused.detail)


class BodyTooLarge(ProviderError):
    http_status, code = 413, "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a body may have {limit} bytes")


class UnsupportedMediaType(ProviderError):
    http_status, code = 415, "unsupported_media_type"

    def __init__(self) -> None:
        super().__init__("the body must be application/json", field="Content-Type")


class AuthorizationDeclined(ProviderError):
    http_status, code = 409, "authorization_declined"

    def __init__(self) -> None:
        super().__init__("the authorization was declined")


class AlreadyCaptured(ProviderError):
    http_status, code = 409, "already_captured"

    def __init__(self) -> None:
        super().__init__("the authorization has been captured")


class AlreadyVoided(ProviderError):
    http_status, code = 409, "already_voided"

    def __init__(self) -> None:
        super().__init__("the authorization has been voided")


class NotCaptured(ProviderError):
    http_status, code = 409, "not_captured"

    def __init__(self) -> None:
        super().__init__("only captured money can be refunded")


class CaptureExceedsAuthorized(ProviderError):
    http_status, code = 409, "capture_exceeds_authorized"

    def __init__(self, asked: int, authorized: int) -> None:
        super().__init__(f"{asked} is more than the authorized {authorized}", field="amount_minor")


class RefundExceedsCaptured(ProviderError):
    http_status, code = 409, "refund_exceeds_captured"

    def __init__(self, asked: int, left: int) -> None:
        super().__init__(f"{asked} is more than the {left} that can still be refunded", field="amount_minor")


class UnknownToken(ProviderError):
    http_status, code = 422, "unknown_token"

    def __init__(self) -> None:
        super().__init__("there is no such card token", field="token")


class KeyReused(ProviderError):
    http_status, code = 422, "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key was used for another request", field="Idempotency-Key")


class InternalError(ProviderError):
    http_status, code = 500, "internal_error"

    def __init__(self) -> None:
        super().__init__("the provider failed; nothing was done for this operation")


class SimulatedOutage(ProviderError):
    """Transient on purpose (the flaky tokens): without effect, the same key may be tried again."""

    http_status, code = 503, "temporarily_unavailable"

    def __init__(self) -> None:
        super().__init__("try again with the same key")


class Unavailable(ProviderError):
    """The provider's own infrastructure is away; the same key finds out what happened."""

    http_status, code = 503, "unavailable"

    def __init__(self, message: str = "the provider cannot answer now; try again with the same key") -> None:
        super().__init__(message)


class TimedOut(ProviderError):
    """Simulated (the time-out tokens): the effect is durable, only this answer is lost."""

    http_status, code = 504, "timeout"

    def __init__(self) -> None:
        super().__init__("the card network did not answer in time; the same key tells the outcome")
