"""Problems (RFC 9457): how every refusal over HTTP looks, whoever refuses.

`code` is stable; `type` is the same as a URN. `errors` names fields by JSON pointer (RFC 6901), query parameters
as `/query/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from orderhub_chassis.errors import FieldError

MEDIA_TYPE: Final = b"application/problem+json"
URN: Final = "urn:orderhub:problem:"


class FieldProblem(msgspec.Struct, frozen=True):
    """One field, and what is wrong with it."""

    pointer: str
    code: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every refusal."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    trace_id: str
    errors: list[FieldProblem] = []


def encoded(
    status: int,
    code: str,
    detail: str,
    errors: Iterable[FieldError] = (),
    trace_id: str = "",
    members: Mapping[str, str] | None = None,
) -> bytes:
    """The document; `trace_id` is empty outside of any trace. `members` stand beside those that every problem has."""
    problem = Problem(
        type=URN + code,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        trace_id=trace_id,
        errors=[FieldProblem(e.pointer, e.code, e.detail) for e in errors],
    )
    return msgspec.json.encode({**members, **msgspec.to_builtins(problem)} if members else problem)
