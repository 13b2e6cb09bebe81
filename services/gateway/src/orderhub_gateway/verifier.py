"""Access tokens: verified once against the keys of the one who issued them, then known until they expire."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from orderhub_chassis.calls import Caller
from orderhub_chassis.clock import Clock
from orderhub_chassis.errors import Failure

from orderhub_gateway import discovery, metrics
from orderhub_gateway.errors import TokenRefused
from orderhub_gateway.issuers import Issuer
from orderhub_gateway.keys import FetchKeys, Key, Keys, Times
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.revocations import Revocations
from orderhub_gateway.settings import Settings
from orderhub_gateway.tokens import Foreign, Own, Profile, Revocable, Trusted, peek

KNOWN: Final = 20_000
OWN_KEPT_SECONDS: Final = 3600.0
"""How long our auth may be away before its keys are believed no more: longer than any of its tokens lives, and not so
long that a key taken back meanwhile is good for ever."""


class Known(NamedTuple):
    """A verified token. `until` counts seconds since 1970."""

    until: float
    caller: Caller
    profile: Profile | None
    key: Key
    revocable: Revocable | None


class Verifier:
    """`trusted` are the issuers that are believed, by the `iss` of their tokens."""

    def __init__(self, clock: Clock, trusted: Mapping[str, Trusted], revocations: Revocations) -> None:
        self.revocations = revocations
        self._clock = clock
        self._trusted = trusted
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        for one in trusted.values():
            one.keys.forget = self._forget

    def known(self, token: bytes) -> Caller | None:
        """The caller of a token that was verified before and still lives. Raises TokenRevoked, RevocationsUnknown."""
        found = self._known.get(token)
        if found and found[0] > self._clock.now().timestamp():
            if found[4] is not None:
                self.revocations.check(*found[4])
            return found[1]
        return None

    async def verify(self, token: bytes) -> Caller:
        """Raises TokenRefused, TokenRevoked, VendorMissing, or Unavailable while the issuer's keys cannot be had."""
        found = await self._verified(token)
        if found.revocable is not None:
            await self.revocations.first_list()
            self.revocations.check(*found.revocable)
        return found.caller

    async def profile(self, token: bytes) -> Profile | None:
        """What another issuer says of its user in this token; None for a user of our own auth."""
        found = self._known[token] if self.known(token) else await self._verified(token)
        return found.profile

    async def _verified(self, token: bytes) -> Known:
        head, issuer = peek(token)
        one = self._trusted.get(issuer)
        if one is None:
            raise TokenRefused("the access token is from an issuer that is not believed here")
        if head.alg not in one.algorithms:
            raise TokenRefused("the access token is signed in a way that is not allowed")
        key = await one.keys.find(head.kid, head.alg)
        try:
            said = one.read(token, head, key, now := self._clock.now().timestamp())
        except Failure as failure:
            metrics.TOKENS.labels(issuer, failure.code).inc()
            raise
        metrics.TOKENS.labels(issuer, "good").inc()
        # A token is believed no longer than the key that it was verified with.
        known = Known(
            min(said.until, now + one.keys.good_for), said.caller, said.profile, key, said.revocable
        )
        self._known[token] = known
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return known

    def _forget(self, keys: Collection[Key]) -> None:
        """What was signed with keys that their issuer took back."""
        for token in [token for token, known in self._known.items() if known.key in keys]:
            del self._known[token]


@asynccontextmanager
async def opened(
    settings: Settings,
    clock: Clock,
    own: FetchKeys,
    readiness: GatedReadiness,
    revocations: Revocations,
    *,
    rotated: asyncio.Event | None = None,
) -> AsyncIterator[Verifier]:
    """The verifier of an installation: `own` asks our auth for its JWKS, also whenever `rotated` is set; other issuers
    are asked over HTTP.
    """
    times = Times(settings.own_keys_refresh.total_seconds(), OWN_KEPT_SECONDS, pause_after_failure=0)
    keys = Keys(settings.public_url, own, clock, times, woken=rotated)
    trusted: dict[str, Trusted] = {
        settings.public_url: Own(keys, issuer=settings.public_url, audience=settings.audience)
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(keys.kept_fresh())
        if settings.oidc_issuers:
            http = await stack.enter_async_context(discovery.session())
            for one in settings.oidc_issuers:
                foreign = Foreign(_keys(one, discovery.Fetch(http, one), clock, readiness), one)
                await stack.enter_async_context(foreign.keys.kept_fresh())
                trusted[one.issuer] = foreign
        yield Verifier(clock, trusted, revocations)


def _keys(one: Issuer, fetch: FetchKeys, clock: Clock, readiness: GatedReadiness) -> Keys:
    def told(reason: str) -> None:
        readiness.note(f"issuer {one.issuer}", reason and f"its keys cannot be had: {reason}")

    times = Times(one.jwks_refresh.total_seconds(), one.jwks_keep.total_seconds())
    return Keys(one.issuer, fetch, clock, times, told)
