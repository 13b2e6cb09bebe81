"""Stripe's adapter: one request per operation, side by side. Decision 0047 has the table of what means what.

Stripe forgets an idempotency key after 24 hours, and keeps what it answered until then, server errors too. So before a
key is used that it may have forgotten, and where it repeats an error that leaves the outcome open, the adapter looks
what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import msgspec
from orderhub_chassis.clock import Clock
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.telemetry import log

from orderhub_payments import metrics
from orderhub_payments.clients.currencies import from_stripe, to_stripe
from orderhub_payments.clients.provider import ProviderRecord
from orderhub_payments.model import (
    Asked,
    Authorize,
    Authorized,
    Capture,
    Captured,
    Declined,
    Operation,
    PayBack,
    Refunded,
    Rejected,
    Result,
    Transient,
    Unknown,
    Void,
    Voided,
)

VERSION: Final = "2026-08-26.dahlia"
"""Sent with every request; the version whose published schema the tests check the requests against."""
INTENTS: Final = "/v1/payment_intents"
REFUNDS: Final = "/v1/refunds"
PAGE: Final = 100
KEYS_KEPT: Final = timedelta(hours=20)
"""Stripe keeps a key for 24 hours at least; the rest is for clocks that differ."""
INDEXED: Final = timedelta(hours=1)
"""After this a search finds what was made; Stripe says under a minute, and longer in an outage."""
LONGEST_WAIT: Final = 60
NOT_NOW: Final = frozenset({"lock_timeout", "rate_limit"})
"""Codes by which Stripe says that this attempt had no effect."""
DEFINITE: Final = frozenset({400, 402, 404})
"""What else there is says nothing final: 409 and 424, servers' faults, whatever stands between us and Stripe."""
WRONG_VERSION: Final = "Invalid Stripe API version"
"""The begin of the words, since this error has no code of its own."""
AMOUNTS: Final = frozenset({"amount_too_large", "amount_too_small", "invalid_charge_amount"})
OPEN: Final = frozenset({"requires_action", "requires_payment_method", "requires_confirmation"})
"""A PaymentIntent that waits for its customer, who is not there."""
MISSING: Final = "resource_missing"
UNEXPECTED_STATE: Final = "payment_intent_unexpected_state"


class _Charge(msgspec.Struct):
    status: str = ""
    amount_refunded: int = 0


class _Intent(msgspec.Struct):
    """A PaymentIntent, in Stripe's own units; `latest_charge` is its id where it was not expanded."""

    id: str
    status: str
    amount: int
    currency: str
    amount_received: int = 0
    metadata: dict[str, str] | None = None
    latest_charge: _Charge | str | None = None


class _Refund(msgspec.Struct):
    id: str
    status: str | None
    amount: int
    metadata: dict[str, str] | None = None
    failure_reason: str | None = None


class _Error(msgspec.Struct):
    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    param: str | None = None
    payment_intent: _Intent | None = None

    @property
    def word(self) -> str:
        return self.code or self.type or "refused"


class _Failed(msgspec.Struct):
    error: _Error


class _Intents(msgspec.Struct):
    data: list[_Intent]
    has_more: bool = False


class _Refunds(msgspec.Struct):
    data: list[_Refund]
    has_more: bool = False


class _Answer(NamedTuple):
    status: int
    body: bytes
    repeated: bool
    """It is the saved answer to an earlier request under this key."""
    wait: float


class _NotDefinite(Exception):
    """The operation ends here for this time; `result` is Transient or Unknown."""

    def __init__(self, result: Transient | Unknown) -> None:
        super().__init__(result.reason)
        self.result = result


class _Missing(_NotDefinite):
    """Stripe has nothing of this id."""


T = TypeVar("T")
Form = Mapping[str, str]


class Stripe:
    """Stripe's HTTP API over keep-alive connections."""

    name = "stripe"

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, clock: Clock, timeout: timedelta, parallel: int
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._clock = clock
        self._seconds = timeout.total_seconds()
        self._room = asyncio.Semaphore(parallel)

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        deadline = asyncio.get_running_loop().time() + self._seconds
        return await asyncio.gather(*(self._in_time(operation, deadline) for operation in operations))

    async def listing(self, since: datetime) -> AsyncIterator[list[ProviderRecord]]:
        """Newest first, by the time they were created at."""
        asked = {"limit": str(PAGE), "created[gte]": str(int(since.timestamp()))}
        after: Form = {}
        while True:
            expanded = {"expand[]": "data.latest_charge"}
            page = await self._look(INTENTS, {**asked, **expanded, **after}, _Intents)
            yield [_record(intent) for intent in page.data]
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}

    async def find(self, ref: str) -> ProviderRecord | None:
        try:
            return _record(await self._look(f"{INTENTS}/{ref}", {"expand[]": "latest_charge"}, _Intent))
        except _Missing:
            return None

    async def _look(self, path: str, asked: Form, kind: type[T]) -> T:
        try:
            return _read(_succeeded(await self._send("GET", path, asked)), kind)
        except _Missing:
            raise
        except _NotDefinite as error:
            raise Unavailable(f"Stripe: {error}") from error

    # ---- one operation

    async def _in_time(self, operation: Operation, deadline: float) -> Result:
        begun = False
        try:
            async with asyncio.timeout_at(deadline), self._room:
                begun = True
                return await self._ask(operation)
        except _NotDefinite as error:
            return error.result
        except TimeoutError:
            if begun:
                return Unknown(f"Stripe has not answered within {self._seconds:g} s", away=True)
            return Transient("there was no time left to ask Stripe")

    async def _ask(self, operation: Operation) -> Result:
        match operation:
            case Authorize():
                return await self._authorize(operation)
            case Capture():
                return await self._capture(operation)
            case Void():
                return await self._void(operation)
            case PayBack():
                return await self._pay_back(operation)

    async def _authorize(self, asked: Authorize) -> Result:
        amount = to_stripe(asked.amount, asked.currency)
        if amount is None:
            return Rejected("invalid_amount")
        if self._may_be_forgotten(asked.asked) and (found := await self._made_before(asked)):
            return await self._authorization(asked, found)
        answer = await self._send("POST", INTENTS, _authorization_form(asked, amount), asked.key)
        if answer.status == 200:
            return await self._authorization(asked, _read(answer, _Intent))
        if _is_saved_fault(answer) and (found := await self._made_before(asked)):
            return await self._authorization(asked, found)
        return await self._not_authorized(asked, _refusal(answer))

    async def _not_authorized(self, asked: Authorize, error: _Error) -> Result:
        if error.type == "idempotency_error":
            return await self._asked_differently(asked, error)
        if error.payment_intent is not None:
            closed = await self._close(asked, error.payment_intent)
            if closed.status != "canceled":
                return await self._authorization(asked, closed)
        if error.type == "card_error":
            ref = error.payment_intent.id if error.payment_intent else ""
            return Declined(ref, error.decline_code or error.code or "declined")
        if error.code == MISSING and error.param == "payment_method":
            return Rejected("unknown_token")
        if error.code in AMOUNTS:
            return Rejected("invalid_amount")
        return _refused(asked, error)

    async def _asked_differently(self, asked: Authorize, error: _Error) -> Result:
        """The key was used with other words, by an older release say: what came of it has to be found."""
        if found := await self._made_before(asked):
            return await self._authorization(asked, found)
        since = asked.asked.since
        if since is not None and self._clock.now() - since < INDEXED:
            return Unknown("the key was used for another request; what came of it is not to be found yet")
        return _refused(asked, error)

    async def _authorization(self, asked: Authorize, intent: _Intent) -> Result:
        """What a PaymentIntent says of the authorization; one that waits for its customer is closed first."""
        current = intent
        if current.status == "processing":
            # The saved answer of a key stays as it was.
            current = await self._retrieve(intent.id)
        if current.status in OPEN:
            current = await self._close(asked, current)
        if current.status == "canceled":
            # Before the first answer nobody of ours could cancel it: it was closed above, now or earlier.
            return Declined(current.id, _why_closed(intent))
        wanted = (to_stripe(asked.amount, asked.currency), asked.currency)
        fits = (current.amount, current.currency.upper()) == wanted
        if fits and current.status in ("requires_capture", "succeeded"):
            return Authorized(current.id)
        return Unknown(f"{current.id} is {current.status}, {current.amount} {current.currency}")

    async def _capture(self, asked: Capture) -> Result:
        amount = to_stripe(asked.amount, asked.currency)
        if amount is None:
            return Rejected("invalid_amount")
        form = {"amount_to_capture": str(amount)}
        intent = await self._move(asked.provider_ref, "capture", form, asked.key, asked.asked)
        if isinstance(intent, _Error):
            return _refused(asked, intent)
        if intent.status == "succeeded":
            return Captured() if intent.amount_received == amount else _at_odds(asked, intent)
        if intent.status == "canceled":
            return Rejected("canceled")
        return Unknown(f"{intent.id} is {intent.status}")

    async def _void(self, asked: Void) -> Result:
        form = {"cancellation_reason": "requested_by_customer"}
        intent = await self._move(asked.provider_ref, "cancel", form, asked.key, asked.asked)
        if isinstance(intent, _Error):
            return _refused(asked, intent)
        if intent.status == "canceled":
            return Voided()
        return (
            Rejected("already_captured") if intent.status == "succeeded" else Unknown(f"is {intent.status}")
        )

    async def _pay_back(self, asked: PayBack) -> Result:
        amount = to_stripe(asked.amount, asked.currency)
        if amount is None:
            return Rejected("invalid_amount")
        if self._may_be_forgotten(asked.asked) and (made := await self._paid_back_before(asked)):
            return await self._refund(amount, made)
        answer = await self._send("POST", REFUNDS, _refund_form(asked, amount), asked.key)
        if answer.status == 200:
            return await self._refund(amount, _read(answer, _Refund))
        if _is_saved_fault(answer) and (made := await self._paid_back_before(asked)):
            return await self._refund(amount, made)
        error = _refusal(answer)
        _check_known(error)
        if error.type == "idempotency_error" and (made := await self._paid_back_before(asked)):
            return await self._refund(amount, made)
        return _refused(asked, error)

    async def _refund(self, amount: int, refund: _Refund) -> Result:
        current = refund
        if current.status in ("pending", "requires_action"):
            # The saved answer of a key stays as it was.
            current = _read(_succeeded(await self._send("GET", f"{REFUNDS}/{refund.id}", {})), _Refund)
        if current.status in ("failed", "canceled"):
            return Rejected(current.failure_reason or f"refund_{current.status}")
        if current.status == "succeeded" and current.amount == amount:
            return Refunded()
        return Unknown(f"{current.id} is {current.status}, {current.amount}")

    # ---- what several of them need

    async def _move(self, ref: str, verb: str, form: Form, key: str, asked: Asked) -> _Intent | _Error:
        """Capture or cancel. A second one meets the state that the first has left, and does nothing more: so a key
        whose saved answer is a server error may be given up, and one that was forgotten does no harm."""
        path = f"{INTENTS}/{ref}/{verb}"
        answer = await self._send("POST", path, form, key)
        if _is_saved_fault(answer):
            answer = await self._send("POST", path, form, f"{key}:{asked.times}")
        if answer.status == 200:
            return _read(answer, _Intent)
        error = _refusal(answer)
        _check_known(error)
        if error.code == UNEXPECTED_STATE:
            return await self._retrieve(ref)
        if error.type == "idempotency_error":
            return await self._moved_before(ref, error)
        return error

    async def _moved_before(self, ref: str, error: _Error) -> _Intent | _Error:
        """The key was used with other words. Where that moved the intent, its state says so."""
        current = await self._retrieve(ref)
        return error if current.status == "requires_capture" else current

    async def _close(self, asked: Authorize, intent: _Intent) -> _Intent:
        """Nothing stays open at Stripe that a customer could still confirm. Gives the intent as it is then."""
        if intent.status not in OPEN:
            return await self._retrieve(intent.id)
        form = {"cancellation_reason": "abandoned"}
        closed = await self._move(intent.id, "cancel", form, f"{asked.key}:close", asked.asked)
        if isinstance(closed, _Error):
            raise _NotDefinite(Unknown(f"{intent.id} could not be closed: {closed.word}"))
        return closed

    async def _retrieve(self, ref: str) -> _Intent:
        asked = {"expand[]": "latest_charge"}
        return _read(_succeeded(await self._send("GET", f"{INTENTS}/{ref}", asked)), _Intent)

    async def _made_before(self, asked: Authorize) -> _Intent | None:
        """The intent of this payment, one that holds money before one that does not."""
        query = {"query": f"metadata['payment_id']:'{asked.payment_id}'", "limit": "10"}
        found = _read(_succeeded(await self._send("GET", f"{INTENTS}/search", query)), _Intents).data
        return min(found, key=lambda intent: intent.status in OPEN | {"canceled"}, default=None)

    async def _paid_back_before(self, asked: PayBack) -> _Refund | None:
        after: Form = {}
        while True:
            query = {"payment_intent": asked.provider_ref, "limit": str(PAGE), **after}
            page = _read(_succeeded(await self._send("GET", REFUNDS, query)), _Refunds)
            for refund in page.data:
                if (refund.metadata or {}).get("refund_id") == asked.reference:
                    return refund
            if not page.has_more or not page.data:
                return None
            after = {"starting_after": page.data[-1].id}

    def _may_be_forgotten(self, asked: Asked) -> bool:
        return asked.since is not None and self._clock.now() - asked.since > KEYS_KEPT

    async def _send(self, method: str, path: str, asked: Form, key: str = "") -> _Answer:
        """Raises _NotDefinite where there is no whole answer."""
        sent: dict[str, Any] = (
            {"data": asked, "headers": {"Idempotency-Key": key}} if key else {"params": asked}
        )
        try:
            async with self._session.request(
                method, f"{self._url}{path}", allow_redirects=False, **sent
            ) as response:
                repeated = response.headers.get("Idempotent-Replayed") == "true"
                body = await response.read()
                return _Answer(response.status, body, repeated, _wait(response.headers))
        except aiohttp.ClientConnectorError as error:
            reason = f"Stripe cannot be reached: {error}"
            # What changes something did not leave. What only looks is asked where something may have changed before.
            result = Transient(reason, away=True) if key else Unknown(reason, away=True)
            raise _NotDefinite(result) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = f"no answer from Stripe: {type(error).__name__} {error}".rstrip()
            raise _NotDefinite(Unknown(reason, away=True)) from error


@asynccontextmanager
async def stripe(
    url: str, api_key: str, *, clock: Clock, timeout: timedelta, parallel: int
) -> AsyncIterator[Stripe]:
    headers = {"Authorization": f"Bearer {api_key}", "Stripe-Version": VERSION, "User-Agent": "OrderHub"}
    limits = aiohttp.ClientTimeout(total=timeout.total_seconds())
    connector = aiohttp.TCPConnector(limit=parallel + 2, keepalive_timeout=30, use_dns_cache=True)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        headers=headers, timeout=limits, connector=connector, cookie_jar=jar
    ) as session:
        yield Stripe(session, url, clock=clock, timeout=timeout, parallel=parallel)


def _authorization_form(asked: Authorize, amount: int) -> Form:
    return {
        "amount": str(amount),
        "currency": asked.currency.lower(),
        "payment_method": asked.token,
        "capture_method": "manual",
        "confirm": "true",
        "off_session": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[order_id]": asked.reference,
        "metadata[payment_id]": asked.payment_id,
    }


def _refund_form(asked: PayBack, amount: int) -> Form:
    return {
        "payment_intent": asked.provider_ref,
        "amount": str(amount),
        "metadata[refund_id]": asked.reference,
        "metadata[payment_id]": asked.payment_id,
    }


def _is_saved_fault(answer: _Answer) -> bool:
    """Stripe answers so until it forgets the key; only a look tells what has happened."""
    return answer.repeated and answer.status >= 500


def _succeeded(answer: _Answer) -> _Answer:
    """Raises _NotDefinite for whatever is not 200: this was a look, which changes nothing."""
    if answer.status != 200:
        error = _refusal(answer)
        kind = _Missing if error.code == MISSING else _NotDefinite
        raise kind(Unknown(f"a look at Stripe was answered with {answer.status} {error.word}"))
    return answer


def _refusal(answer: _Answer) -> _Error:
    """The definite error of an answer that is not 200. Raises _NotDefinite for every other."""
    status = answer.status
    if status in (401, 403):
        raise _misconfigured(f"Stripe refuses our API key ({status})")
    if status >= 500:
        raise _NotDefinite(Unknown(f"Stripe answered {status}", away=status in (502, 503, 504)))
    try:
        error = msgspec.json.decode(answer.body, type=_Failed).error
    except ValueError as broken:
        if status == 429:
            raise _NotDefinite(Transient("rate_limit", wait=answer.wait)) from broken
        raise _NotDefinite(Unknown(f"Stripe answered {status}, unreadable: {broken}")) from broken
    if status == 429 or error.code in NOT_NOW:
        raise _NotDefinite(Transient(error.code or "rate_limit", wait=answer.wait))
    if status not in DEFINITE:
        raise _NotDefinite(Unknown(f"Stripe answered {status} {error.word}"))
    if status == 404 and error.code != MISSING:
        raise _misconfigured("Stripe has no such address (404): look at ORDERHUB_PAYMENTS_STRIPE_URL")
    if (error.message or "").startswith(WRONG_VERSION):
        raise _misconfigured(f"Stripe does not speak {VERSION}: another release of OrderHub is needed")
    return error


def _misconfigured(reason: str) -> _NotDefinite:
    """The payment is not to blame: it waits until somebody has mended what is."""
    metrics.REFUSALS.labels("stripe").inc()
    return _NotDefinite(Transient(reason, away=True))


def _check_known(error: _Error) -> None:
    """What Stripe gave us an id for is there: a key that does not see it is another account's or mode's, and to give
    the payment up for that would be wrong."""
    if error.code == MISSING:
        metrics.REFUSALS.labels("stripe").inc()
        log("stripe").error("stripe.not_its_account", reason=error.message)
        raise _NotDefinite(Transient("this API key's account does not know the payment: is it another's?"))


def _refused(asked: Operation, error: _Error) -> Rejected:
    """Definite. Unless it is the card's fault, it is ours: somebody has to look."""
    if error.type != "card_error":
        metrics.REFUSALS.labels("stripe").inc()
        log("stripe").error(
            "stripe.refused", operation=type(asked).__name__, key=asked.key, type=error.type, code=error.code,
            param=error.param, reason=error.message,
        )  # fmt: skip
    return Rejected(error.word)


def _at_odds(asked: Capture, intent: _Intent) -> Rejected:
    """Somebody captured another amount at Stripe; reconcile shows both sides."""
    metrics.REFUSALS.labels("stripe").inc()
    log("stripe").error("stripe.captured_differently", ref=intent.id, captured=intent.amount_received)
    return Rejected("captured_differently")


def _why_closed(intent: _Intent) -> str:
    return "authentication_required" if intent.status == "requires_action" else "declined"


def _read(answer: _Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except ValueError as error:
        raise _NotDefinite(Unknown(f"unreadable answer of Stripe: {error}")) from error


def _wait(headers: Mapping[str, str]) -> float:
    """Whole seconds of Retry-After, a minute at most; 0 without, and for a date."""
    try:
        return min(max(int(headers.get("Retry-After", "0")), 0), LONGEST_WAIT)
    except ValueError:
        return 0.0


def _record(intent: _Intent) -> ProviderRecord:
    currency, charge = intent.currency.upper(), intent.latest_charge
    charge = charge if isinstance(charge, _Charge) else _Charge()
    # What was authorized and then let go is a charge with all of it "refunded": no money had come.
    refunded = charge.amount_refunded if intent.amount_received else 0
    return ProviderRecord(
        intent.id,
        (intent.metadata or {}).get("order_id", ""),
        _status(intent.status, charge),
        currency,
        from_stripe(intent.amount, currency),
        from_stripe(intent.amount_received, currency),
        from_stripe(refunded, currency),
    )


def _status(status: str, charge: _Charge) -> str:
    """Of a canceled one the charge tells whether it ever held anything."""
    if status == "canceled":
        return "voided" if charge.status == "succeeded" else "declined"
    return {"requires_capture": "authorized", "succeeded": "captured"}.get(status, status)
