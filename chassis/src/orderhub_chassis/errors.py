"""Failures: what can go wrong on purpose, and how it looks in gRPC and HTTP.

A business outcome of a saga step is a reply, not a Failure. An exception that is not a Failure is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

import grpc


class Kind(StrEnum):
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    UNPROCESSABLE = "unprocessable"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class FieldError:
    """`pointer` is a JSON pointer (RFC 6901) into the request body, or `/query/<name>`."""

    pointer: str
    code: str
    detail: str


class Failure(Exception):
    """A refusal with a kind, a stable code such as `orders.too_late_to_cancel`, and words for people.

    `members` are what a client needs to go on, and become members of the problem (RFC 9457, section 3.2).
    """

    kind: Kind = Kind.INVALID
    code: str = "invalid"

    def __init__(
        self,
        detail: str,
        *,
        kind: Kind | None = None,
        code: str | None = None,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        members: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind or self.kind
        self.code = code or self.code
        self.errors = errors
        self.retry_after = retry_after
        self.members = dict(members or {})


class HttpFailure(Failure):
    """A refusal whose HTTP status no Kind names."""

    status: int = 400


class Invalid(Failure):
    kind = Kind.INVALID


class Unauthenticated(Failure):
    kind = Kind.UNAUTHENTICATED
    code = "auth.unauthenticated"


class Forbidden(Failure):
    kind = Kind.FORBIDDEN
    code = "auth.forbidden"


class NotFound(Failure):
    kind = Kind.NOT_FOUND
    code = "not_found"


class Conflict(Failure):
    kind = Kind.CONFLICT
    code = "conflict"


class PreconditionFailed(Failure):
    """The caller's If-Match names another version."""

    kind = Kind.PRECONDITION
    code = "version_mismatch"


class Unprocessable(Failure):
    """Well formed, yet it cannot be done as asked."""

    kind = Kind.UNPROCESSABLE
    code = "unprocessable"


class RateLimited(Failure):
    kind = Kind.RATE_LIMITED
    code = "rate_limited"


class Unavailable(Failure):
    """Infrastructure is away; the same request may succeed later."""

    kind = Kind.UNAVAILABLE
    code = "unavailable"


def invalid_field(pointer: str, code: str, detail: str) -> Invalid:
    """The usual 400: one field, one reason. An empty pointer is the whole body."""
    words = f"{pointer}: {detail}" if pointer else detail
    return Invalid(words, code=code, errors=(FieldError(pointer, code, detail),))


def uuid_field(pointer: str, text: str) -> UUID:
    """The field as an id. Raises Invalid that names it."""
    try:
        return UUID(text)
    except ValueError as error:
        raise invalid_field(pointer, "uuid", "is not a UUID") from error


GRPC_STATUS: Final[dict[Kind, grpc.StatusCode]] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.UNPROCESSABLE: grpc.StatusCode.OUT_OF_RANGE,
    Kind.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}

HTTP_STATUS: Final[dict[Kind, int]] = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 412,
    Kind.UNPROCESSABLE: 422,
    Kind.RATE_LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}
