"""API keys, as auth makes them and the gateway reads them: `ohk_<public>_<secret><checksum>`, and what scopes there are.

The prefix lets secret scanners recognise a leaked key, the checksum lets them (and the gateway) tell a key from what only
looks like one without asking anybody.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Final, NamedTuple

PREFIX: Final = "ohk_"
PUBLIC_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
"""Of 62 letters: 256 bits."""
CHECKSUM_LENGTH: Final = 6
LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY: Final = re.compile(
    rf"{PREFIX}(?P<public>[0-9A-Za-z]{{{PUBLIC_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
)
SCOPES: Final = {
    "vendors:write": "change what is said of the vendor",
    "products:write": "make, import, change and archive products",
    "stock:write": "change the stock",
    "animals:write": "add animals, and release them from quarantine",
    "orders:read": "read orders of the vendor's products, and what happened to them",
    "orders:write": "cancel such orders",
    "payments:read": "read the payments of such orders",
    "payments:refund": "refund them",
    "deliveries:read": "read the deliveries of such orders",
    "deliveries:write": "ask for a quote, order a delivery anew, and call one off",
}
"""What a key may be limited to. What each opens stands in the gateway's policy."""


class Presented(NamedTuple):
    """What is passed on of a key: enough to find it and to tell whether it is the one, and not the key."""

    public_id: str
    key_hash: bytes


def checksum(body: str) -> str:
    """CRC-32 in six letters, over all that stands before it."""
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(LETTERS))
        letters = LETTERS[digit] + letters
    return letters


def assembled(public_id: str, secret: str) -> str:
    body = f"{PREFIX}{public_id}_{secret}"
    return body + checksum(body)


def hash_of(key: str) -> bytes:
    """SHA-256: random bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def read(text: str) -> Presented | None:
    """None for what cannot be a key, mistyped ones among it."""
    found = KEY.fullmatch(text)
    if found is None or checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return Presented(found["public"], hash_of(text))
