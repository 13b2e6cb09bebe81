"""Access tokens (JWT profile of RFC 9068, ES256) and the opaque refresh tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from base64 import b32encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.calls import UNVERIFIED

from orderhub_auth.keyring import KeyRing
from orderhub_auth.keys import ES256
from orderhub_auth.model import API, Authentication, Use, User

OWN_CLIENT: Final = "orderhub"
"""`client_id` of a token that nobody's client asked for (RFC 9068, section 2.2)."""
REFRESH_PREFIX: Final = "ohr_"
MFA_PREFIX: Final = "ohm_"
"""Prefixes let secret scanners recognise a leaked token."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs, for whom and how long."""

    ring: KeyRing
    issuer: str
    audience: str
    lifetime: timedelta
    require_verified: bool = False

    def access_token(
        self, user: User, session_id: UUID, how: Authentication, use: Use, *, jti: UUID, now: datetime
    ) -> str:
        """Without the scope `api` it carries no role: it opens userinfo, and nothing else."""
        issued = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(user.id),
            "sid": str(session_id),
            "jti": str(jti),
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "client_id": str(use.client_id or OWN_CLIENT),
            "scope": " ".join(use.scopes),
            "roles": self._roles(user) if API in use.scopes else [],
            "vendor_id": str(user.vendor_id or "") if API in use.scopes else "",
            "email_verified": user.email_verified,
            "epoch": user.epoch,
            "amr": list(how.amr),
            "auth_time": int(how.at.timestamp()),
        }
        return self.ring.sign(ES256, claims, typ="at+jwt", now=now)

    def _roles(self, user: User) -> list[str]:
        """Of who has yet to prove its address, where that is demanded, with a word that says so."""
        waits = self.require_verified and not user.email_verified
        return [*user.roles, UNVERIFIED] if waits else list(user.roles)

    def client_token(
        self,
        client_id: UUID,
        scopes: Collection[str],
        roles: Collection[str],
        vendor_id: str,
        *,
        jti: UUID,
        now: datetime,
    ) -> str:
        """Of a client that acts as itself (RFC 6749, section 4.4): it is its own subject, and in no session."""
        issued = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(client_id),
            "sid": "",
            "jti": str(jti),
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "client_id": str(client_id),
            "scope": " ".join(scopes),
            "roles": list(roles),
            "vendor_id": vendor_id,
        }
        return self.ring.sign(ES256, claims, typ="at+jwt", now=now)


def kid_of(token: str) -> str:
    """Of the header of a JWT that nobody has verified. Raises ValueError for what is none."""
    part = token.split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(header, dict) or not isinstance(header.get("kid"), str):
        raise ValueError("the header names no key")
    return str(header["kid"])


def new_refresh_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def new_code() -> str:
    """For a mail: 192 random bits, in letters that a URL takes as they are."""
    return secrets.token_urlsafe(24)


def new_mfa_token() -> str:
    return MFA_PREFIX + secrets.token_urlsafe(32)


def new_recovery_code() -> str:
    """80 random bits in Base32, in groups that people can copy: `k3vq-…`. Nobody guesses one, so its hash may be fast."""
    return _grouped(b32encode(secrets.token_bytes(10)).decode().lower())


def plain_recovery_code(code: str) -> str:
    """As it was made, however its user has typed it."""
    return _grouped("".join(code.lower().replace("-", " ").split()))


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def hash_of(secret: str) -> bytes:
    """Of a token or a code: random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
