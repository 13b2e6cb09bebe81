"""Which client calls an endpoint, and whether it is that client (OpenID Connect Core 1.0, section 9; RFC 6749, 2.3)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from orderhub_chassis.db import Database

from orderhub_auth import tokens
from orderhub_auth.provider import model, store
from orderhub_auth.provider.errors import OAuthError, invalid_request
from orderhub_auth.provider.model import Parameters, RelyingParty

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGS: Final = ("RS256", "PS256", "ES256")
LONGEST_ASSERTION: Final = 8192
ASSERTION_LIFETIME: Final = timedelta(hours=1)
"""What libraries of clients give an assertion, and the longest that `exp` may lie ahead: so long is an assertion remembered, that it is taken once."""
SKEW: Final = timedelta(seconds=30)
BASIC: Final = 'Basic realm="orderhub"'


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says of its client. Exactly one way of proving it, or none."""

    client_id: str
    method: str
    secret: str = ""
    assertion: str = ""


def presented(parameters: dict[str, str], authorization: str) -> Presented:
    """Raises OAuthError."""
    asserted = "client_assertion" in parameters or "client_assertion_type" in parameters
    ways = [bool(authorization), "client_secret" in parameters, asserted]
    if sum(ways) > 1:
        # RFC 6749, section 2.3
        raise invalid_request("the client is authenticated in more than one way")
    if authorization:
        id, secret = _basic(authorization)
        if parameters.get("client_id", id) != id:
            raise invalid_request("client_id is another one than that of the Authorization header")
        return Presented(id, "client_secret_basic", secret)
    if asserted:
        return _asserted(parameters)
    if secret := parameters.get("client_secret", ""):
        return Presented(parameters.get("client_id", ""), "client_secret_post", secret)
    return Presented(parameters.get("client_id", ""), "none")


def _basic(authorization: str) -> tuple[str, str]:
    """Both parts are form-urlencoded before they are joined (RFC 6749, section 2.3.1)."""
    scheme, _, given = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        id, colon, secret = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        raise _refused("the Authorization header is not HTTP Basic", basic=True) from None
    if not colon:
        raise _refused("the Authorization header is not HTTP Basic", basic=True)
    return unquote_plus(id), unquote_plus(secret)


def _asserted(parameters: dict[str, str]) -> Presented:
    """The client's id is in the assertion: `sub` (RFC 7523, section 3)."""
    token = parameters.get("client_assertion", "")
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise invalid_request(f"client_assertion_type must be {ASSERTION_TYPE}")
    if not token or len(token) > LONGEST_ASSERTION:
        raise _refused("client_assertion is missing or too long")
    subject = str(_unverified(token).get("sub", ""))
    if parameters.get("client_id", subject) != subject:
        raise _refused("client_id is another one than that of the assertion")
    return Presented(subject, "private_key_jwt", assertion=token)


def _unverified(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, RecursionError):
        raise _refused("client_assertion is no JWT") from None
    return found if isinstance(found, dict) else {}


def _refused(description: str, *, basic: bool = False) -> OAuthError:
    """RFC 6749, section 5.2: who came with the header is told which scheme there is."""
    return OAuthError("invalid_client", description, status=401, challenge=BASIC if basic else "")


@dataclass(frozen=True, slots=True)
class ClientDoor:
    """`audiences` are the names that an assertion may call us by: the issuer and the token endpoint."""

    db: Database
    audiences: frozenset[str]

    async def admit(self, parameters: Parameters, authorization: str) -> tuple[RelyingParty, dict[str, str]]:
        """The client and its parameters by name. Raises OAuthError.

        An unknown client and a wrong secret are told the same.
        """
        try:
            given = model.single(parameters)
        except ValueError as error:
            raise invalid_request(f"{error} stands twice") from None
        who = presented(given, authorization)
        client = await self._client(who.client_id)
        if client is None or not await self._proved(client, who):
            raise _refused(
                "the client is unknown, or it did not prove who it is in the way that it is registered for",
                basic=bool(authorization),
            )
        return client, given

    async def _client(self, id: str) -> RelyingParty | None:
        try:
            return await store.client(self.db, UUID(id))
        except ValueError:
            return None

    async def _proved(self, client: RelyingParty, who: Presented) -> bool:
        if client.disabled or client.auth_method != who.method:
            return False
        if who.method in model.WITH_SECRET:
            return hmac.compare_digest(tokens.hash_of(who.secret), client.secret_hash or b"")
        return who.method == "none" or await self._assertion_is_good(client, who.assertion)

    async def _assertion_is_good(self, client: RelyingParty, token: str) -> bool:
        """RFC 7523, section 3, and each `jti` once."""
        try:
            keys = KeySet.import_key_set(json.loads(client.jwks))
            claims = jwt.decode(token, keys, algorithms=list(ASSERTION_ALGS)).claims
            ends, begins = float(claims["exp"]), float(claims.get("nbf") or claims.get("iat") or 0)
            jti = str(claims["jti"])
        except (JoseError, ValueError, TypeError, KeyError):
            return False
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        now = self.db.clock.now().timestamp()
        skew = SKEW.total_seconds()
        if not now - skew < ends <= now + ASSERTION_LIFETIME.total_seconds() + skew or begins > now + skew:
            return False
        if claims.get("iss") != str(client.id) or claims.get("sub") != str(client.id) or not jti:
            return False
        if not self.audiences & {name for name in named if isinstance(name, str)}:
            return False
        until = datetime.fromtimestamp(ends, UTC) + SKEW
        return await self.db.run(lambda tx: store.take_assertion(tx, client.id, tokens.hash_of(jti), until))
