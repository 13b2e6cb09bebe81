"""What a client is answered: tokens (RFC 6749, section 5.1) and ID tokens (OpenID Connect Core 1.0, section 2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from orderhub_chassis.clock import Clock

from orderhub_auth.issuing import Granted
from orderhub_auth.keyring import KeyRing
from orderhub_auth.model import Authentication, User
from orderhub_auth.provider import model
from orderhub_auth.provider.model import RelyingParty


@dataclass(frozen=True, slots=True)
class Context:
    """What an ID token says beside its user. `login_id` is its `sid`."""

    login_id: UUID | None
    how: Authentication
    nonce: str = ""
    claims: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    ring: KeyRing
    issuer: str
    lifetime: timedelta
    clock: Clock

    def tokens(
        self, client: RelyingParty, granted: Granted, scopes: Collection[str], context: Context
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": granted.access_token,
            "token_type": "Bearer",
            "expires_in": int(self.lifetime.total_seconds()),
            "scope": " ".join(scopes),
        }
        if granted.refresh_token:
            answer["refresh_token"] = granted.refresh_token
        if "openid" in scopes:
            answer["id_token"] = self.id_token(client, granted.user, granted.access_token, context)
        return answer

    def id_token(self, client: RelyingParty, user: User, access_token: str, context: Context) -> str:
        now = self.clock.now()
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": str(user.id),
            "aud": str(client.id),
            "exp": issued + int(self.lifetime.total_seconds()),
            "iat": issued,
            "auth_time": int(context.how.at.timestamp()),
            "acr": model.acr_of(context.how.amr),
            "amr": list(context.how.amr),
            "at_hash": model.half_hash(access_token),
        }
        if context.login_id:
            claims["sid"] = str(context.login_id)
        if context.nonce:
            claims["nonce"] = context.nonce
        claims |= model.claims_of(user, context.claims)
        return self.ring.sign(client.id_token_alg, claims, typ="JWT", now=now)
