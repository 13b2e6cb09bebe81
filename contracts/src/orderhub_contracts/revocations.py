"""What is revoked before its time, as it stands in Redis between auth, which writes it, and the gateways, which ask it.

One stream per installation. An entry says a kind of thing, which one, and until when that matters; it is gone from
Redis by itself when no token that it is about can be alive any more. A second key, the lease, says that the stream holds
everything that auth's database does: without it the stream may have lost something, and is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

LONGEST_ACCESS: Final = timedelta(minutes=15)
"""No access token lives longer, and nobody remembers longer that an API key is good."""
KEPT: Final = LONGEST_ACCESS + timedelta(minutes=1)
"""How long a revocation matters: a minute more, for clocks that differ."""
LEASE: Final = timedelta(seconds=30)
"""How long what auth said last is believed while nothing is heard of it."""


class Kind(StrEnum):
    """What a revocation names."""

    TOKEN = "jti"
    SESSION = "sid"
    CLIENT = "client"
    API_KEY = "key"
    # Its tokens of a smaller epoch than the revocation's: those that are issued afterwards are good.
    USER = "user"


class Revocation(NamedTuple):
    """`until` is in seconds since 1970. `epoch` is that of a user, and 0 for all other kinds."""

    kind: Kind
    value: str
    until: int
    epoch: int = 0


def stream_of(issuer: str) -> str:
    return f"orderhub:revoked:{issuer}"


def lease_of(issuer: str) -> str:
    """Holds `server_of` the Redis that auth wrote everything to: one that came back from an older state is another."""
    return f"orderhub:revoked-lease:{issuer}"


def server_of(info: Mapping[str, object]) -> str:
    """One start of a Redis, of what it says of itself (`INFO server`)."""
    return str(info.get("run_id") or "unnamed")


def fields(revocation: Revocation) -> dict[Any, Any]:
    """Of an entry, as Redis' client takes them."""
    return {"k": revocation.kind, "v": revocation.value, "u": revocation.until, "e": revocation.epoch}


def revocation(fields: Mapping[bytes, bytes]) -> Revocation | None:
    """None for an entry of a later version, which this one does not know."""
    try:
        return Revocation(
            Kind(fields[b"k"].decode()), fields[b"v"].decode(), int(fields[b"u"]), int(fields[b"e"])
        )
    except (KeyError, ValueError):
        return None
