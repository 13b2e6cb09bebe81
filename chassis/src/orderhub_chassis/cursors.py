"""List cursors: opaque to the client, signed, and bound to the list they came from.

A cursor is base64url(HMAC-SHA256 truncated to 16 bytes ‖ msgpack of the sort position).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import msgspec

from orderhub_chassis.errors import invalid_field

SIGNATURE = 16
DEFAULT_LIMIT, MAX_LIMIT = 50, 200


@dataclass(frozen=True, slots=True)
class Cursors:
    """`scope` names the list and its filters: a cursor of another list is refused."""

    key: bytes

    def encode(self, scope: str, position: list[Any]) -> str:
        return self._text(scope, msgspec.msgpack.encode(position)).decode()

    def decode(self, scope: str, cursor: str) -> list[Any]:
        """Raises Invalid that names /query/cursor."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            body = raw[SIGNATURE:]
            # Compared as text: base64 has spare bits at its end, and a cursor has one spelling only.
            if not hmac.compare_digest(cursor.encode(), self._text(scope, body)):
                raise ValueError("signature")
            return list(msgspec.msgpack.decode(body))
        except (ValueError, binascii.Error, msgspec.DecodeError, TypeError) as error:
            raise invalid_field(
                "/query/cursor", "cursor.malformed", "is not a cursor of this list"
            ) from error

    def _text(self, scope: str, body: bytes) -> bytes:
        return base64.urlsafe_b64encode(self._sign(scope, body) + body).rstrip(b"=")

    def _sign(self, scope: str, body: bytes) -> bytes:
        return hmac.digest(self.key, scope.encode() + b"\0" + body, hashlib.sha256)[:SIGNATURE]


def page_limit(limit: int) -> int:
    """0 means the default. Raises Invalid for what is out of bounds."""
    if limit == 0:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid_field("/query/limit", "limit.out_of_range", f"must be between 1 and {MAX_LIMIT}")
    return limit
