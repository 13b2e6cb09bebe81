"""Tokens that are looked at or given back: userinfo, introspection (RFC 7662), revocation (RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from orderhub_chassis.db import Database, Transaction
from orderhub_contracts.revocations import Kind

from orderhub_auth import queries, tokens
from orderhub_auth.keyring import KeyRing
from orderhub_auth.keys import ES256
from orderhub_auth.model import can_come_in
from orderhub_auth.provider import model
from orderhub_auth.provider.authentication import ClientDoor
from orderhub_auth.provider.errors import OAuthError, invalid_request
from orderhub_auth.provider.model import Parameters, RelyingParty
from orderhub_auth.store import revocations, sessions
from orderhub_auth.store.browsers import LiveSession
from orderhub_auth.tokens import OWN_CLIENT

INACTIVE: Final[dict[str, Any]] = {"active": False}
"""All that anybody learns of a token that is not good, or not theirs (RFC 7662, section 2.2)."""
BEARER: Final = 'Bearer realm="orderhub"'


@dataclass(frozen=True, slots=True)
class Inspecting:
    db: Database
    door: ClientDoor
    ring: KeyRing
    issuer: str
    audience: str

    async def userinfo(self, token: str) -> dict[str, Any]:
        """OpenID Connect Core 1.0, section 5.3. Raises OAuthError as RFC 6750, section 3.1 has it."""
        if not token:
            raise OAuthError("invalid_request", "an access token is needed", status=401, challenge=BEARER)
        claims = self._claims(token)
        session = await self._live(claims) if claims else None
        if claims is None or session is None:
            raise _bearer_error("invalid_token", "the access token is not valid any more", 401)
        # The token's own: a refresh may have asked for less than the session has.
        scopes = claims["scope"].split()
        if "openid" not in scopes:
            raise _bearer_error("insufficient_scope", "the access token was not granted for openid", 403)
        user = await queries.user_by_id(self.db, session.user_id)
        if user is None or not can_come_in(user, now=self.db.clock.now()):
            raise _bearer_error("invalid_token", "the access token is not valid any more", 401)
        names = model.names_of(scopes) | set(session.claims)
        return {"sub": str(user.id), **model.claims_of(user, names)}

    async def introspect(self, parameters: Parameters, authorization: str) -> dict[str, Any]:
        """A client learns of its own tokens; one of ours (first party) of all, for it may be a server that is called
        with them. Raises OAuthError.
        """
        party, given = await self.door.admit(parameters, authorization)
        if party.is_public:
            raise OAuthError("invalid_client", "only clients that can prove who they are may ask", status=401)
        token = _token(given)
        found = await self._access(token) or await self._refresh(token)
        if found is None or not (party.first_party or found["client_id"] == str(party.id)):
            return INACTIVE
        return {"active": True, **found}

    async def revoke(self, parameters: Parameters, authorization: str) -> None:
        """An unknown token is as good as revoked (RFC 7009, section 2.2); another client's stays. Raises OAuthError."""
        party, given = await self.door.admit(parameters, authorization)
        token = _token(given)
        if not await self._revoked_refresh(party, token):
            await self._revoked_access(party, token)

    async def _revoked_refresh(self, party: RelyingParty, token: str) -> bool:
        async def work(tx: Transaction) -> bool:
            presented = await sessions.load_presented(tx, tokens.hash_of(token))
            if presented is None:
                return False
            if presented.use.client_id == party.id:
                now = self.db.clock.now()
                await sessions.revoke_session(tx, presented.session_id, "revoked by its client", now=now)
            return True

        return await self.db.run(work)

    async def _revoked_access(self, party: RelyingParty, token: str) -> None:
        claims = self._claims(token)
        if claims is None or claims["client_id"] != str(party.id):
            return
        jti, now = claims["jti"], self.db.clock.now()
        await self.db.run(lambda tx: revocations.revoke(tx, Kind.TOKEN, jti, now=now))

    async def _access(self, token: str) -> dict[str, Any] | None:
        claims = self._claims(token)
        if claims is None or not (claims["client_id"] == claims["sub"] or await self._live(claims)):
            return None
        if await revocations.stands(self.db, claims):
            return None
        names = ("iss", "aud", "sub", "jti", "iat", "exp", "client_id", "scope")
        return {name: claims[name] for name in names} | {"token_type": "Bearer"}

    async def _refresh(self, token: str) -> dict[str, Any] | None:
        found = await queries.refresh_token(self.db, tokens.hash_of(token))
        if found is None:
            return None
        return {
            "iss": self.issuer,
            "sub": str(found.user_id),
            "client_id": str(found.client_id or OWN_CLIENT),
            "scope": " ".join(found.scopes),
            "exp": int(found.expires_at.timestamp()),
            "token_type": "refresh_token",
        }

    async def _live(self, claims: dict[str, Any]) -> LiveSession | None:
        try:
            session_id = UUID(claims["sid"])
        except ValueError:
            return None
        if await revocations.stands(self.db, claims):
            return None
        return await queries.live_session(self.db, session_id)

    def _claims(self, token: str) -> dict[str, Any] | None:
        """Of an access token of ours that has not run out; None for any other text."""
        try:
            key = self.ring.public(tokens.kid_of(token))
            if key is None or key.alg != ES256:
                return None
            decoded = jwt.decode(token, key.jwk, algorithms=[ES256])
        except (JoseError, ValueError):
            return None
        claims = decoded.claims
        right = decoded.header.get("typ") == "at+jwt" and claims.get("iss") == self.issuer
        alive = claims.get("exp", 0) > self.db.clock.now().timestamp()
        return claims if right and alive and claims.get("aud") == self.audience else None


def _bearer_error(error: str, description: str, status: int) -> OAuthError:
    challenge = f'{BEARER}, error="{error}", error_description="{description}"'
    return OAuthError(error, description, status=status, challenge=challenge)


def _token(given: dict[str, str]) -> str:
    """`token_type_hint` only says where to look first, and both places are looked at."""
    if "token" not in given:
        raise invalid_request("token is missing")
    return given["token"]
