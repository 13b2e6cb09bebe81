"""Refusals of the gateway itself, with stable codes; the services' own pass through unchanged."""

from __future__ import annotations

from orderhub_chassis.errors import (
    FieldError,
    Forbidden,
    HttpFailure,
    Invalid,
    Kind,
    RateLimited,
    Unauthenticated,
    Unavailable,
)


class BadRequest(HttpFailure):
    """The request itself, beside its fields: headers, encoding, framing."""


class UnsupportedContent(HttpFailure):
    kind = Kind.INVALID
    status, code = 415, "request.unsupported_content_type"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"the body must be {wanted}")


class NotAcceptable(HttpFailure):
    status, code = 406, "request.not_acceptable"

    def __init__(self) -> None:
        super().__init__("the answer would be application/json, which Accept does not allow")


class PreconditionRequired(HttpFailure):
    status, code = 428, "request.if_match_required"

    def __init__(self) -> None:
        super().__init__("this needs If-Match with the ETag of the version that you have seen")


class TooLarge(HttpFailure):
    status, code = 413, "request.too_large"

    def __init__(self) -> None:
        super().__init__("the body is larger than this route takes")


class ClientGone(HttpFailure):
    """Nobody reads this answer."""

    status, code = 400, "request.aborted"

    def __init__(self) -> None:
        super().__init__("the client went away while it sent its request")


class TooSlow(HttpFailure):
    status, code = 408, "request.too_slow"

    def __init__(self) -> None:
        super().__init__("the request's body did not arrive in time")


class TimedOut(HttpFailure, Unavailable):
    status, code = 504, "gateway.timeout"

    def __init__(self) -> None:
        super().__init__("the answer took too long", retry_after=1)


class CircuitOpen(Unavailable):
    """The service that this needs did not answer lately, so that it is not asked."""

    code = "gateway.circuit_open"

    def __init__(self, retry_after: int) -> None:
        super().__init__("a part of the system is away, and is asked again soon", retry_after=retry_after)


class UpstreamBusy(Unavailable):
    """As many calls to the service are under way as may be."""

    code = "gateway.upstream_busy"

    def __init__(self) -> None:
        super().__init__("a part of the system has more to do than it can", retry_after=1)


class Stopping(HttpFailure):
    """The end of the time that a stop leaves for what is under way."""

    kind = Kind.UNAVAILABLE
    status, code = 503, "gateway.stopping"

    def __init__(self) -> None:
        super().__init__("it is stopping, and cannot tell whether this was done: ask again", retry_after=1)


class KeyRequired(BadRequest):
    code = "idempotency.key_required"

    def __init__(self) -> None:
        super().__init__("this needs an Idempotency-Key header, so that a repetition does no harm")


class KeyMalformed(BadRequest):
    code = "idempotency.key_malformed"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key must be 1 to 255 visible ASCII characters")


class IfMatchMalformed(BadRequest):
    code = "request.if_match_malformed"

    def __init__(self) -> None:
        super().__init__('If-Match must be one ETag such as "7", or *')


class HeaderDoubled(BadRequest):
    code = "request.header_doubled"

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name} may stand in a request only once")


class Gone(HttpFailure):
    """The route's Sunset is over (RFC 8594)."""

    status, code = 410, "request.gone"

    def __init__(self) -> None:
        super().__init__("this route is not served any more: see the link of this answer")


class UnderMaintenance(Unavailable):
    """Operators have switched changes off; `message` is theirs."""

    code = "gateway.maintenance"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after=retry_after)


class MaintenanceAway(Unavailable):
    """The switch is in Redis."""

    code = "gateway.maintenance_unavailable"

    def __init__(self) -> None:
        super().__init__("the switch cannot be turned right now", retry_after=1)


class TokenRefused(Unauthenticated):
    code = "auth.token_refused"


class ApiKeyRefused(Unauthenticated):
    """Mistyped, unknown, wrong, revoked, over, or of somebody who was disabled: the caller is told the same."""

    code = "auth.api_key_refused"

    def __init__(self) -> None:
        super().__init__("the API key is not valid")


class ScopeMissing(Forbidden):
    """RFC 6750, section 3.1, calls it insufficient_scope."""

    code = "auth.insufficient_scope"

    def __init__(self) -> None:
        super().__init__("the scopes of this API key do not open this")


class TokenRevoked(Unauthenticated):
    """It was good until its session, its client or its user's rights ended."""

    code = "auth.token_revoked"

    def __init__(self) -> None:
        super().__init__(
            "the access token was revoked: log in again, or refresh it where its session goes on"
        )


class RevocationsUnknown(Unavailable):
    """Redis is away, and this must not be done by a token that may have been revoked meanwhile."""

    code = "auth.revocation_unknown"

    def __init__(self) -> None:
        super().__init__("whether the access token still counts cannot be known right now", retry_after=1)


class VendorMissing(Forbidden):
    """The issuer says vendor, and not which."""

    code = "auth.vendor_missing"

    def __init__(self, claim: str) -> None:
        super().__init__(f"the access token is a vendor's, and its claim {claim} is no vendor's id")


class IssuerAway(Unavailable):
    """`detail` says why an issuer's keys cannot be had, for the log and /readyz, and `mend` what to do, for `doctor`.

    Clients are told WORDS.
    """

    code = "auth.issuer_unavailable"
    WORDS = "the keys of the access token's issuer cannot be had right now"

    def __init__(self, detail: str, mend: str) -> None:
        super().__init__(detail)
        self.mend = mend


class LimitReached(RateLimited):
    code = "gateway.rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many requests: slow down", retry_after=retry_after)


class LimitsAway(Unavailable):
    """Redis is away, and this route must never run without its limit."""

    code = "gateway.limits_unavailable"

    def __init__(self) -> None:
        super().__init__("this cannot be done right now", retry_after=1)


def bad_field(pointer: str, code: str, detail: str) -> Invalid:
    """A 400 for one field; `pointer` is a JSON pointer, or `/query/<name>`."""
    return Invalid(
        f"{pointer}: {detail}", code=f"request.{code}", errors=(FieldError(pointer, code, detail),)
    )
