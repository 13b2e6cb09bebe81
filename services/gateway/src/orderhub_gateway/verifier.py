"""Access tokens: verified once against auth's public keys, then known until they expire."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from orderhub_chassis.calls import Caller
from orderhub_chassis.clock import Clock

from orderhub_gateway import metrics
from orderhub_gateway.errors import TokenRefused

KNOWN: Final = 20_000
LONGEST: Final = 4096
REFRESH_AT_MOST_EVERY: Final = 5.0
LEEWAY: Final = 0

FetchKeys = Callable[[], Awaitable[str]]


class Claims(msgspec.Struct, frozen=True):
    """What an access token must say."""

    iss: str
    aud: str
    sub: str
    sid: str
    exp: int
    roles: list[str]
    vendor_id: str = ""


class Verifier:
    """`fetch_keys` asks auth for its JWKS; it is asked again for a key id that is not known."""

    def __init__(self, fetch_keys: FetchKeys, clock: Clock, *, issuer: str, audience: str) -> None:
        self._fetch_keys = fetch_keys
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._keys: KeySet | None = None
        self._kids: frozenset[str] = frozenset()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def known(self, token: bytes) -> Caller | None:
        """The caller of a token that was verified before and still lives."""
        found = self._known.get(token)
        if found and found[0] > self._clock.now().timestamp():
            return found[1]
        return None

    async def verify(self, token: bytes) -> Caller:
        """Raises TokenRefused, or Unavailable when the keys are not known and auth is away."""
        kid = _kid(token)
        if kid not in self._kids:
            await self._refresh()
        if self._keys is None or kid not in self._kids:
            raise TokenRefused("the access token is signed with an unknown key")
        claims = self._claims(token, self._keys)
        caller = Caller(claims.sub, frozenset(claims.roles), claims.vendor_id, claims.sid)
        self._known[token] = (claims.exp, caller)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return caller

    def _claims(self, token: bytes, keys: KeySet) -> Claims:
        try:
            decoded = jwt.decode(token, keys, algorithms=["ES256"])
            claims = msgspec.convert(decoded.claims, Claims)
        except (JoseError, ValueError, msgspec.ValidationError) as error:
            raise TokenRefused("the access token is not valid") from error
        if (
            claims.iss != self._issuer
            or claims.aud != self._audience
            or decoded.header.get("typ") != "at+jwt"
        ):
            raise TokenRefused("the access token is not for this API")
        if claims.exp + LEEWAY <= self._clock.now().timestamp():
            raise TokenRefused("the access token has expired")
        return claims

    async def _refresh(self) -> None:
        """One question at a time, and no more than one every few seconds, whatever clients send."""
        async with self._asking:
            if self._clock.monotonic() - self._asked_at < REFRESH_AT_MOST_EVERY:
                return
            keys = KeySet.import_key_set(json.loads(await self._fetch_keys()))
            metrics.JWKS_REFRESHES.inc()
            self._asked_at = self._clock.monotonic()
            self._keys, self._kids = keys, frozenset(key.kid for key in keys.keys if key.kid)


def _kid(token: bytes) -> str:
    """The key id of the unverified header: only to know which key to have."""
    try:
        if len(token) > LONGEST:
            raise ValueError("too long")
        head = token.split(b".", 1)[0]
        header: Any = msgspec.json.decode(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
        return str(header["kid"])
    except (ValueError, KeyError, TypeError, binascii.Error, msgspec.DecodeError) as error:
        raise TokenRefused("the access token is not valid") from error
