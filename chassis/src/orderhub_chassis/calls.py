"""Who calls, and on whose behalf: the caller, the internal token that carries them, and the call's context.

The internal token is a JWT (RFC 7519, HS256) of at most 60 s, signed with ORDERHUB_INTERNAL_KEY: a gRPC call that
goes past the gateway gains nothing. Every call carries one: for a service that acts for itself, for a user, or, where
nobody is logged in, for nobody; the last says that a part of this product calls, and no more.
"""

from __future__ import annotations

from collections import OrderedDict
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from orderhub_chassis.clock import Clock
from orderhub_chassis.errors import Forbidden, Unauthenticated

AUDIENCE: Final = "orderhub-internal"
LIFETIME: Final = timedelta(seconds=60)
CACHE = 20_000
UNVERIFIED: Final = "unverified"
"""Stands among the roles of a user whose e-mail address has yet to be proved, where auth demands that; it allows nothing."""


# Tuples, since they are made, hashed and compared several times for each request, at a third of a dataclass' cost.
class Caller(NamedTuple):
    """The principal of a request. `roles` holds any of customer, vendor, courier, operator, service.

    `scopes` is what an API key is limited to at the door, which has looked at them; no internal token carries them.
    """

    user_id: str = ""
    roles: frozenset[str] = frozenset()
    vendor_id: str = ""
    session_id: str = ""
    scopes: frozenset[str] | None = None

    @property
    def principal(self) -> str:
        return self.user_id or "anonymous"

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)

    def need(self, *roles: str) -> None:
        """Raises Forbidden unless the caller has one of the roles, Unauthenticated when nobody is there."""
        if not self.user_id:
            raise Unauthenticated("a token is needed")
        if not self.has(*roles):
            raise Forbidden(f"this needs one of the roles {', '.join(sorted(roles))}")


ANONYMOUS: Final = Caller()


def service_caller(service: str) -> Caller:
    """A service acting for itself."""
    return Caller(user_id=f"service:{service}", roles=frozenset({"service"}))


class Call(NamedTuple):
    """What travels with a call beside its request.

    `deadline` is when whoever asked stops waiting, on this process' `time.monotonic()`; 0 for nobody in particular.
    """

    caller: Caller = ANONYMOUS
    request_id: str = ""
    traceparent: str = ""
    idempotency_key: str = ""
    fingerprint: bytes = b""
    if_match: str = ""
    deadline: float = 0.0


NO_CALL: Final = Call()
current_call: ContextVar[Call] = ContextVar("call", default=NO_CALL)


class InternalTokens:
    """Signs and verifies internal tokens; both are cached, since a principal's token is used many times."""

    def __init__(self, key: str, clock: Clock) -> None:
        self._key = OctKey.import_key(key.encode())
        self._clock = clock
        self._signed: OrderedDict[Caller, tuple[float, str]] = OrderedDict()
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def sign(self, caller: Caller) -> str:
        now = self._clock.now().timestamp()
        cached = self._signed.get(caller)
        if cached and cached[0] > now:
            return cached[1]
        claims = {
            "aud": AUDIENCE,
            "sub": caller.user_id,
            "roles": sorted(caller.roles),
            "vendor_id": caller.vendor_id,
            "sid": caller.session_id,
            "exp": int(now + LIFETIME.total_seconds()),
        }
        token = jwt.encode({"alg": "HS256"}, claims, self._key)
        _remember(self._signed, caller, (now + LIFETIME.total_seconds() / 2, token))
        return token

    def verify(self, token: str) -> Caller:
        """The caller, who may be nobody. Raises Unauthenticated for no token, a bad or an expired one."""
        if not token:
            raise Unauthenticated("there is no internal token")
        now = self._clock.now().timestamp()
        cached = self._verified.get(token)
        if cached and cached[0] > now:
            return cached[1]
        caller, expires = self._decode(token, now)
        _remember(self._verified, token, (expires, caller))
        return caller

    def _decode(self, token: str, now: float) -> tuple[Caller, float]:
        try:
            claims: dict[str, Any] = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            audience, expires = claims["aud"], float(claims["exp"])
            caller = Caller(claims["sub"], frozenset(claims["roles"]), claims["vendor_id"], claims["sid"])
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthenticated("the internal token is not valid") from error
        if audience != AUDIENCE or expires <= now:
            raise Unauthenticated("the internal token is not for here or has expired")
        return caller, expires


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    if len(cache) > CACHE:
        cache.popitem(last=False)
