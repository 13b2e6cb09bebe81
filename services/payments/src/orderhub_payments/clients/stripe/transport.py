"""One request to Stripe, and what its answer is worth: definite, or to be asked again. Knows no operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import msgspec

from orderhub_payments import metrics
from orderhub_payments.clients.stripe.wire import Error, Failed, Form
from orderhub_payments.model import Transient, Unknown

VERSION: Final = "2026-08-26.dahlia"
"""Sent with every request; the version whose published schema the tests check the requests against."""
LONGEST_WAIT: Final = 60
NOT_NOW: Final = frozenset({"lock_timeout", "rate_limit"})
"""Codes by which Stripe says that this attempt had no effect."""
DEFINITE: Final = frozenset({400, 402, 404})
"""What else there is says nothing final: 409 and 424, servers' faults, whatever stands between us and Stripe."""
MISSING: Final = "resource_missing"
WRONG_VERSION: Final = "Invalid Stripe API version"
"""The begin of the words, since this error has no code of its own."""
T = TypeVar("T")


class NotDefinite(Exception):
    """The operation ends here for this time; `result` is Transient or Unknown."""

    def __init__(self, result: Transient | Unknown) -> None:
        super().__init__(result.reason)
        self.result = result


class Missing(NotDefinite):
    """Stripe has nothing of the id that was looked for."""


class KeyRefused(NotDefinite):
    """Stripe does not know our API key, or does not let it do this."""


class Answer(NamedTuple):
    status: int
    body: bytes
    repeated: bool
    """It is the saved answer to an earlier request under this key."""
    wait: float

    @property
    def is_saved_fault(self) -> bool:
        """Stripe answers so until it forgets the key; only a look tells what has happened."""
        return self.repeated and self.status >= 500


class Transport:
    """Stripe's HTTP API over keep-alive connections."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def look(self, path: str, asked: Form, shape: type[T]) -> T:
        """Changes nothing. Raises Missing, and NotDefinite for whatever else is no success."""
        answer = await self.send("GET", path, asked)
        if answer.status == 200:
            return read(answer, shape)
        error = refusal(answer)
        kind = Missing if error.code == MISSING else NotDefinite
        raise kind(Unknown(f"a look at Stripe was answered with {answer.status} {error.word}"))

    async def change(self, path: str, form: Form, key: str) -> Answer:
        return await self.send("POST", path, form, key)

    async def send(self, method: str, path: str, asked: Form, key: str = "") -> Answer:
        """Raises NotDefinite where there is no whole answer."""
        sent: dict[str, Any] = (
            {"data": asked, "headers": {"Idempotency-Key": key}} if key else {"params": asked}
        )
        try:
            async with self._session.request(
                method, f"{self._url}{path}", allow_redirects=False, **sent
            ) as response:
                repeated = response.headers.get("Idempotent-Replayed") == "true"
                body = await response.read()
                return Answer(response.status, body, repeated, _wait(response.headers))
        except aiohttp.ClientConnectorError as error:
            reason = f"Stripe cannot be reached: {error}"
            # What changes something did not leave. What only looks is asked where something may have changed before.
            result = Transient(reason, away=True) if key else Unknown(reason, away=True)
            raise NotDefinite(result) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = f"no answer from Stripe: {type(error).__name__} {error}".rstrip()
            raise NotDefinite(Unknown(reason, away=True)) from error


def read(answer: Answer, shape: type[T]) -> T:
    """Raises NotDefinite."""
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except ValueError as error:
        raise NotDefinite(Unknown(f"unreadable answer of Stripe: {error}")) from error


def refusal(answer: Answer) -> Error:
    """The definite error of an answer that is not 200. Raises NotDefinite for every other."""
    status = answer.status
    if status in (401, 403):
        raise misconfigured(f"Stripe refuses our API key ({status})", KeyRefused)
    if status >= 500:
        raise NotDefinite(Unknown(f"Stripe answered {status}", away=status in (502, 503, 504)))
    try:
        error = msgspec.json.decode(answer.body, type=Failed).error
    except ValueError as broken:
        if status == 429:
            raise NotDefinite(Transient("rate_limit", wait=answer.wait)) from broken
        raise NotDefinite(Unknown(f"Stripe answered {status}, unreadable: {broken}")) from broken
    if status == 429 or error.code in NOT_NOW:
        raise NotDefinite(Transient(error.code or "rate_limit", wait=answer.wait))
    if status not in DEFINITE:
        raise NotDefinite(Unknown(f"Stripe answered {status} {error.word}"))
    if status == 404 and error.code != MISSING:
        raise misconfigured("Stripe has no such address (404): look at ORDERHUB_PAYMENTS_STRIPE_URL")
    if (error.message or "").startswith(WRONG_VERSION):
        raise misconfigured(f"Stripe does not speak {VERSION}: another release of OrderHub is needed")
    return error


def misconfigured(reason: str, kind: type[NotDefinite] = NotDefinite, *, away: bool = True) -> NotDefinite:
    """The payment is not to blame: it waits until somebody has mended what is."""
    metrics.REFUSALS.labels("stripe").inc()
    return kind(Transient(reason, away=away))


def _wait(headers: Mapping[str, str]) -> float:
    """Whole seconds of Retry-After, a minute at most; 0 without, and for a date."""
    try:
        return min(max(int(headers.get("Retry-After", "0")), 0), LONGEST_WAIT)
    except ValueError:
        return 0
