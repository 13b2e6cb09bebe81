"""The public keys of one issuer: asked for together, at most so often, kept fresh, and kept only so long."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from orderhub_chassis import hints
from orderhub_chassis.clock import Clock
from orderhub_chassis.errors import Failure, Unavailable
from orderhub_chassis.telemetry import log

from orderhub_gateway import metrics
from orderhub_gateway.errors import IssuerAway, TokenRefused

PAUSE: Final = 5.0
"""Seconds between two questions that clients cause, whatever they send."""
ABSENT_SECONDS: Final = 30.0
ABSENT_AT_MOST: Final = 1000
LONGEST_KID: Final = 256
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries of the background, which begin at PAUSE and double."""
SMALLEST_RSA: Final = 2048
"""Bits: NIST SP 800-131A, and RFC 7518, section 3.3."""

FetchKeys = Callable[[], Awaitable[str | bytes]]
Told = Callable[[str], None]
Forget = Callable[[Collection["Key"]], None]


@dataclass(frozen=True, eq=False, slots=True)
class Key:
    """A public key. `public` is the JWK as it came, to see whether it is still the same."""

    kid: str
    alg: str
    public: Mapping[str, Any]
    jwk: RSAKey | ECKey

    def signs(self, alg: str) -> bool:
        """Whether a token that names this algorithm can be signed by this key (RFC 7517, section 4.4)."""
        families = ("RS", "PS") if isinstance(self.jwk, RSAKey) else ("ES",)
        return self.alg in ("", alg) and alg.startswith(families)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. Without `refresh` nothing is asked in the background, without `keep` keys never grow too old."""

    refresh: float = 0
    keep: float = math.inf
    pause_after_failure: float = PAUSE


class Keys:
    """`fetch` gives the JWKS or raises a Failure. `told` hears why keys cannot be had, and "" when they can again.
    `woken` is set when the keys have changed and should be asked for before their time.

    `forget`, which a verifier sets, hears of keys that are no longer published: what they signed is worth nothing.
    """

    def __init__(
        self,
        issuer: str,
        fetch: FetchKeys,
        clock: Clock,
        times: Times,
        told: Told = lambda reason: None,
        woken: asyncio.Event | None = None,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._times = times
        self._told = told
        self._woken = woken or asyncio.Event()
        self.forget: Forget = lambda keys: None
        self._keys: dict[str, list[Key]] = {}
        self._fetched_at = self._asked_at = -math.inf
        self._failure: Failure | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._absent: OrderedDict[str, float] = OrderedDict()

    @property
    def good_for(self) -> float:
        """Seconds until the keys are too old to be believed."""
        return self._fetched_at + self._times.keep - self._clock.monotonic()

    async def find(self, kid: str, alg: str) -> Key:
        """Raises TokenRefused for a key that the issuer does not have, Unavailable where that cannot be known."""
        if not self._known(kid):
            await self._look_for(kid)
        for key in self._known(kid):
            if key.signs(alg):
                return key
        raise TokenRefused("the access token is signed with an unknown key")

    def _known(self, kid: str) -> list[Key]:
        return self._keys.get(kid, []) if self.good_for > 0 else []

    async def _look_for(self, kid: str) -> None:
        if len(kid) > LONGEST_KID or self._absent.get(kid, -math.inf) > self._clock.monotonic():
            raise TokenRefused("the access token is signed with an unknown key")
        asked = self._may_ask()
        if asked:
            self._asked_at = self._clock.monotonic()
        if asked or self._under_way:
            await self.refresh()
        if self._known(kid):
            return
        if self._failure:
            raise self._away(self._failure)
        if asked:
            self._note_absent(kid)

    def _may_ask(self) -> bool:
        """Whether a client's token may make us ask now. Counted from the last question of that kind, whatever came of
        it; not from those of the background, or a key that is new would be refused for as long after each of them."""
        pause = self._times.pause_after_failure if self._failure else PAUSE
        return self._under_way is None and self._clock.monotonic() - self._asked_at >= pause

    def _away(self, failure: Failure) -> Unavailable:
        wait = self._asked_at + self._times.pause_after_failure - self._clock.monotonic()
        detail = failure.detail if failure.code == Unavailable.code else IssuerAway.WORDS
        return Unavailable(detail, code=failure.code, retry_after=max(1, math.ceil(wait)))

    def _note_absent(self, kid: str) -> None:
        """So that one client with an old token does not make us ask for ever; so many that memory is bounded."""
        self._absent[kid] = self._clock.monotonic() + ABSENT_SECONDS
        if len(self._absent) > ABSENT_AT_MOST:
            self._absent.popitem(last=False)

    async def refresh(self) -> None:
        """Asks now, or waits for the question that is under way: many who wait are one question."""
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._ask())
        # A client that goes away does not end what others wait for.
        await asyncio.shield(self._under_way)

    async def _ask(self) -> None:
        try:
            found = public_keys(await self._fetch())
        except Failure as failure:
            self._failed(failure)
        else:
            self._fetched(found)
        finally:
            self._under_way = None

    def _failed(self, failure: Failure) -> None:
        metrics.JWKS_REFRESHES.labels(self._issuer, "failed").inc()
        metrics.ISSUER_AWAY.labels(self._issuer).set(1)
        if self._failure is None:
            log("gateway").warning("gateway.issuer_away", issuer=self._issuer, reason=failure.detail)
        self._failure = failure
        self._told(failure.detail)

    def _fetched(self, found: dict[str, list[Key]]) -> None:
        metrics.JWKS_REFRESHES.labels(self._issuer, "fetched").inc()
        metrics.ISSUER_AWAY.labels(self._issuer).set(0)
        if self._failure is not None:
            log("gateway").info("gateway.issuer_back", issuer=self._issuer)
        self._failure = None
        self._fetched_at = self._clock.monotonic()
        before = [key for keys in self._keys.values() for key in keys]
        self._keys = {kid: [_same(key, before) for key in keys] for kid, keys in found.items()}
        kept = [key for keys in self._keys.values() for key in keys]
        if gone := [key for key in before if key not in kept]:
            self.forget(gone)
        self._told("")

    @contextlib.asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Asks at once and then every `refresh` seconds, long before the keys are too old."""
        keeper = asyncio.create_task(self._keep_fresh()) if self._times.refresh else None
        try:
            yield
        finally:
            left = [task for task in (keeper, self._under_way) if task]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _keep_fresh(self) -> None:
        pause = PAUSE
        while True:
            self._woken.clear()
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - a bug, which must not be the last time that keys are asked for
                log("gateway").error("gateway.bug", issuer=self._issuer, exc_info=error)
            wait = min(pause, self._times.refresh) if self._failure else self._times.refresh
            pause = min(2 * pause, LONGEST_PAUSE) if self._failure else PAUSE
            # Replicas that started together do not go on asking together.
            await hints.wait(self._woken, wait * random.uniform(0.8, 1.0))


def _same(key: Key, before: list[Key]) -> Key:
    """The key as it was known before, where it is still that one."""
    return next((old for old in before if old.kid == key.kid and old.public == key.public), key)


def public_keys(text: str | bytes) -> dict[str, list[Key]]:
    """The usable keys of a JWKS by their id. Raises IssuerAway for a text that is none, or has no such key."""
    try:
        entries = msgspec.json.decode(text)["keys"]
        found = [key for entry in entries if (key := _key(entry))]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError) as error:
        raise IssuerAway("its answer is no JWKS", "see what is at its jwks_url or jwks_uri") from error
    if not found:
        raise IssuerAway(
            "its JWKS has no key to check tokens with",
            f"let it sign with an RSA key of {SMALLEST_RSA} bits or more, or an EC key, that has a kid",
        )
    by_id: dict[str, list[Key]] = {}
    for key in found:
        by_id.setdefault(key.kid, []).append(key)
    return by_id


def _key(entry: Any) -> Key | None:
    """None for what is not for us: other types of keys (RFC 7517, section 5), secret ones, those that encrypt."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey}
    kind, alg = kinds.get(str(entry.get("kty"))), entry.get("alg", "")
    if kind is None or not isinstance(alg, str):
        return None
    public = {name: entry[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in entry}
    try:
        if kind is RSAKey and _bits(public["n"]) < SMALLEST_RSA:
            return None
        jwk = kind.import_key(public)
        jwk.public_key  # noqa: B018 - made, and so checked, when it is first looked at
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Key(entry["kid"], alg, {**public, "alg": alg}, jwk)


def _bits(number: str) -> int:
    """The length of a Base64urlUInt (RFC 7518, section 2)."""
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
