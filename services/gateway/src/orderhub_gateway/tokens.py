"""What an access token says, and of whom: those of our own auth, and those of other issuers by their settings."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Annotated, Any, Final, NamedTuple, Protocol
from uuid import UUID, uuid5

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from msgspec import Meta
from orderhub_chassis.calls import Caller
from orderhub_contracts.revocations import Kind

from orderhub_gateway.bodies import DOUBLES
from orderhub_gateway.errors import TokenRefused, VendorMissing
from orderhub_gateway.issuers import Issuer
from orderhub_gateway.keys import Key, Keys
from orderhub_gateway.revocations import mark

LONGEST: Final = 8192
LONGEST_HEADER: Final = 2048
ACCESS_TOKEN: Final = frozenset({"at+jwt", "application/at+jwt"})
"""RFC 9068, section 2.1."""
PRINCIPALS: Final = UUID("3f1a9c52-8d0e-4b7a-9a64-6c2f5e0d7b18")
"""The namespace of other issuers' principals. It never changes: every order of theirs hangs on it."""
LONGEST_PROFILE: Final = 254
LEEWAY: Final = 30.0
"""Seconds that a token of our own may seem to come from the future: auth may run on another machine. Its end has none."""
Second = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""NumericDate up to the year 9999, so that neither Infinity nor NaN is one."""


class Head(msgspec.Struct, frozen=True):
    """Of the JOSE header, unverified: enough to know what to verify it with."""

    alg: str
    kid: str
    typ: str = ""
    crit: Any = None


class Origin(msgspec.Struct, frozen=True):
    """Of the unverified claims."""

    iss: str


class Claims(msgspec.Struct, frozen=True):
    """What an access token of our own must say."""

    iss: str
    aud: str
    sub: str
    sid: str
    exp: int
    roles: list[str]
    vendor_id: str = ""
    nbf: Second = 0
    iat: Second = 0
    jti: str = ""
    client_id: str = ""
    epoch: int = 0


class ForeignClaims(msgspec.Struct, frozen=True):
    """What every access token must say, whoever issued it. A `typ` is what Keycloak has."""

    iss: str
    aud: str | list[str]
    sub: Annotated[str, Meta(min_length=1, max_length=255)]
    exp: Second
    nbf: Second = 0
    iat: Second = 0
    typ: str = ""
    cnf: Any = None


class Profile(NamedTuple):
    """What another issuer says of a person, for GET auth/me: nobody here keeps it."""

    issuer: str
    email: str
    name: str
    email_verified: bool


class Revocable(NamedTuple):
    """By what a token of our own may be revoked."""

    marks: frozenset[str]
    user_id: str
    epoch: int


class Said(NamedTuple):
    """A verified token: until when it is good by itself, who it stands for, and what else is said of them."""

    until: float
    caller: Caller
    profile: Profile | None = None
    revocable: Revocable | None = None


class Trusted(Protocol):
    """An issuer that is believed."""

    @property
    def keys(self) -> Keys: ...

    @property
    def algorithms(self) -> Collection[str]: ...

    def read(self, token: bytes, head: Head, key: Key, now: float) -> Said:
        """Raises a Failure for a token that is not good at `now` (seconds since 1970) with that key."""
        ...


class Own:
    """Our own auth: one algorithm, one audience, and no leeway at a token's end, since its clock is ours."""

    algorithms = ("ES256",)

    def __init__(self, keys: Keys, *, issuer: str, audience: str) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience

    def read(self, token: bytes, head: Head, key: Key, now: float) -> Said:
        try:
            decoded = jwt.decode(token, key.jwk, algorithms=self.algorithms)
            claims = msgspec.convert(decoded.claims, Claims)
        except (JoseError, ValueError, RecursionError) as error:
            raise TokenRefused("the access token is not valid") from error
        if claims.iss != self._issuer or claims.aud != self._audience or head.typ != "at+jwt":
            raise TokenRefused("the access token is not for this API")
        if claims.exp <= now:
            raise TokenRefused("the access token has expired")
        if max(claims.nbf, claims.iat) - LEEWAY > now:
            raise TokenRefused("the access token is not valid yet")
        caller = Caller(claims.sub, frozenset(claims.roles), claims.vendor_id, claims.sid)
        return Said(claims.exp, caller, revocable=_revocable(claims))


class Foreign:
    """Another issuer. Its roles mean nothing here but by the map, and its subjects are nobody else's."""

    def __init__(self, keys: Keys, settings: Issuer) -> None:
        self.keys = keys
        self.algorithms = settings.algorithms
        self._settings = settings
        self._skew = settings.clock_skew.total_seconds()
        # Headers that nobody here knows are other people's business; critical ones have been refused before.
        self._registry = JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._registry.max_header_length = LONGEST_HEADER

    def read(self, token: bytes, head: Head, key: Key, now: float) -> Said:
        table, claims = self._decoded(token, key)
        if claims.iss != self._settings.issuer or self._settings.audience not in _listed(claims.aud):
            raise TokenRefused("the access token is not for this API")
        _check_kind(head, claims)
        self._check_times(claims, now)
        return Said(claims.exp + self._skew, self._caller(claims.sub, table), self._profile(table))

    def _decoded(self, token: bytes, key: Key) -> tuple[dict[str, Any], ForeignClaims]:
        try:
            table = jwt.decode(token, key.jwk, registry=self._registry).claims
            return table, msgspec.convert(table, ForeignClaims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise TokenRefused("the access token is not valid") from error

    def _check_times(self, claims: ForeignClaims, now: float) -> None:
        if claims.exp + self._skew <= now:
            raise TokenRefused("the access token has expired")
        if max(claims.nbf, claims.iat) - self._skew > now:
            raise TokenRefused("the access token is not valid yet")

    def _caller(self, subject: str, table: dict[str, Any]) -> Caller:
        given = claim_at(table, self._settings.roles_claim)
        mapped = self._settings.role_map
        roles = frozenset(mapped[role] for role in _words(given) if role in mapped)
        vendor = self._vendor(table) if "vendor" in roles else ""
        return Caller(principal_id(self._settings.issuer, subject), roles, vendor)

    def _vendor(self, table: dict[str, Any]) -> str:
        found = claim_at(table, self._settings.vendor_claim)
        try:
            return str(UUID(found))
        except (ValueError, AttributeError, TypeError):
            raise VendorMissing(self._settings.vendor_claim) from None

    def _profile(self, table: dict[str, Any]) -> Profile:
        name = _text(table.get("name")) or _text(table.get("preferred_username"))
        verified = table.get("email_verified") is True
        return Profile(self._settings.issuer, _text(table.get("email")), name, verified)


def _revocable(claims: Claims) -> Revocable:
    names = ((Kind.SESSION, claims.sid), (Kind.TOKEN, claims.jti), (Kind.CLIENT, claims.client_id))
    return Revocable(frozenset(mark(kind, value) for kind, value in names), claims.sub, claims.epoch)


def principal_id(issuer: str, subject: str) -> str:
    """The user id of somebody whom another issuer knows: a UUID of version 5, where our own users have version 7.

    An issuer has no space in it, so that no two pairs look the same.
    """
    return str(uuid5(PRINCIPALS, f"{issuer} {subject}"))


def claim_at(table: Any, path: str) -> Any:
    """What stands at a dotted path; a name may itself have dots in it. None where there is nothing."""
    if not isinstance(table, dict):
        return None
    if path in table:
        return table[path]
    for index in (i for i, letter in enumerate(path) if letter == "."):
        found = claim_at(table.get(path[:index]), path[index + 1 :])
        if found is not None:
            return found
    return None


def peek(token: bytes) -> tuple[Head, str]:
    """The header and the issuer of a token that nobody has verified. Raises TokenRefused for what is no token."""
    try:
        if len(token) > LONGEST:
            raise ValueError("too long")
        first, second, _ = token.split(b".")
        head, body = _bytes(first), _bytes(second)
        found = msgspec.json.decode(head, type=Head)
        if found.crit is not None:
            raise ValueError("no critical header is known here")
        for text in (head, body):
            # RFC 7515 and RFC 7519, section 4 of each: names are unique, or the token is refused.
            DOUBLES.decode(text.decode())
        return found, msgspec.json.decode(body, type=Origin).iss
    except (ValueError, binascii.Error, RecursionError) as error:
        raise TokenRefused("the access token is not valid") from error


def _check_kind(head: Head, claims: ForeignClaims) -> None:
    """An ID or refresh token is signed by the same keys, and is no access token (RFC 8725, section 3.11)."""
    profile = head.typ.lower() in ACCESS_TOKEN
    if not (claims.typ == "Bearer" or (profile and not claims.typ)):
        raise TokenRefused("this is no access token")
    if claims.cnf is not None:
        # Bound to a key that its holder would have to prove (RFC 7800): here it would be good for a thief too.
        raise TokenRefused("the access token is bound to a key, which is not supported")


def _bytes(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _words(value: Any) -> list[str]:
    """Names in a list, or in one text with spaces between them, as `scope` has them."""
    if isinstance(value, str):
        return value.split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value[:LONGEST_PROFILE] if isinstance(value, str) else ""
