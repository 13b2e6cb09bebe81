"""The simulator's adapter: a whole batch of operations in one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from orderhub_chassis.errors import Unavailable

from orderhub_payments.clients.provider import ProviderRecord
from orderhub_payments.model import (
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

PAGE: Final = 200
NOTHING_DONE: Final = frozenset({"temporarily_unavailable", "internal_error", "rate_limited"})
"""Codes by which the provider says that this attempt had no effect."""


class _Error(msgspec.Struct):
    code: str
    message: str = ""


class _Body(msgspec.Struct):
    """What any answer may carry: an authorization, or an error."""

    id: str = ""
    reference: str = ""
    status: str = ""
    decline_code: str | None = None
    currency: str = ""
    amount_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    error: _Error | None = None


class _Slot(msgspec.Struct):
    http_status: int
    body: _Body


class _Results(msgspec.Struct):
    results: list[_Slot]


class _Page(msgspec.Struct):
    items: list[_Body]
    next_cursor: str | None


RESULTS: Final = msgspec.json.Decoder(_Results)
LISTING: Final = msgspec.json.Decoder(_Page)
BODY: Final = msgspec.json.Decoder(_Body)
T = TypeVar("T")


class Simulator:
    """The simulator's HTTP API over one keep-alive session."""

    name = "simulator"

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        body = msgspec.json.encode({"operations": [_asked(operation) for operation in operations]})
        try:
            async with self._session.post(f"{self._url}/v1/batch", data=body) as response:
                answer = await response.read()
        except aiohttp.ClientConnectorError as error:
            return [Transient(f"the provider cannot be reached: {error}", away=True)] * len(operations)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"no answer from the provider: {type(error).__name__} {error}".rstrip()
            return [Unknown(reason, away=True)] * len(operations)
        return _results(operations, response.status, answer)

    async def listing(self, since: datetime) -> AsyncIterator[list[ProviderRecord]]:
        """All of them, whenever they were made."""
        cursor = ""
        while True:
            parameters = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            page = await self._look("/v1/authorizations", parameters, LISTING)
            yield [_record(item) for item in page.items]
            if not page.next_cursor:
                return
            cursor = page.next_cursor

    async def find(self, ref: str) -> ProviderRecord | None:
        body = await self._look(f"/v1/authorizations/{ref}", {}, BODY)
        return None if body.error else _record(body)

    async def examine(self) -> str:
        await self._look("/v1/authorizations", {"limit": "1"}, LISTING)
        return "takes our API key"

    async def _look(self, path: str, parameters: dict[str, str], shape: msgspec.json.Decoder[T]) -> T:
        try:
            async with self._session.get(f"{self._url}{path}", params=parameters) as response:
                if response.status in (401, 403):
                    raise Unavailable(
                        f"the provider refuses our API key ({response.status}):"
                        " look at ORDERHUB_PAYMENTS_SIMULATOR_API_KEY"
                    )
                if response.status not in (200, 404):
                    raise Unavailable(f"the provider answered {response.status} to GET {path}")
                return shape.decode(await response.read())
        except ValueError as error:
            raise Unavailable(f"unreadable answer of the provider to GET {path}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the provider cannot be reached: {error}") from error


@asynccontextmanager
async def simulator(url: str, api_key: str, *, timeout: timedelta, parallel: int) -> AsyncIterator[Simulator]:
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    limits = aiohttp.ClientTimeout(total=timeout.total_seconds())
    connector = aiohttp.TCPConnector(limit=parallel + 2, keepalive_timeout=30, use_dns_cache=True)
    async with aiohttp.ClientSession(headers=headers, timeout=limits, connector=connector) as session:
        yield Simulator(session, url)


def _asked(operation: Operation) -> dict[str, Any]:
    match operation:
        case Authorize(key, amount, currency, token, reference):
            asked = {"op": "authorize", "amount_minor": amount, "currency": currency, "token": token}
            return {"key": key, **asked, "reference": reference}
        case Capture(key, ref, amount):
            return {"key": key, "op": "capture", "authorization_id": ref, "amount_minor": amount}
        case Void(key, ref):
            return {"key": key, "op": "void", "authorization_id": ref}
        case PayBack(key, ref, amount, reference):
            asked = {"op": "refund", "authorization_id": ref, "amount_minor": amount}
            return {"key": key, **asked, "reference": reference}


def _results(operations: Sequence[Operation], status: int, answer: bytes) -> list[Result]:
    """Never fewer than was asked: an answer that makes no sense leaves everything unknown."""
    if status in (401, 403):
        refused = Transient(f"the provider refuses our API key ({status})", away=True)
        return [refused] * len(operations)
    if status != 200:
        return [Unknown(f"the provider answered {status}", away=True)] * len(operations)
    try:
        slots = RESULTS.decode(answer).results
    except ValueError as error:
        return [Unknown(f"unreadable answer: {error}")] * len(operations)
    if len(slots) != len(operations):
        return [Unknown(f"{len(slots)} answers to {len(operations)} operations")] * len(operations)
    return [_result(operation, slot) for operation, slot in zip(operations, slots, strict=True)]


def _result(operation: Operation, slot: _Slot) -> Result:
    if slot.http_status == 200:
        return _success(operation, slot.body)
    code = slot.body.error.code if slot.body.error else f"http_{slot.http_status}"
    if code in NOTHING_DONE:
        return Transient(code)
    if slot.http_status >= 500 or slot.http_status in (408, 429):
        return Unknown(code)
    if isinstance(operation, Void) and code == "already_voided":
        return Voided()
    return Rejected(code)


def _success(operation: Operation, body: _Body) -> Result:
    """Taken for what it says only when it says what was asked."""
    match operation, body.status:
        case Authorize(), "declined":
            return Declined(body.id, body.decline_code or "declined")
        case Authorize(_, amount, currency), "authorized" | "captured" | "voided" if body.id and (
            (body.amount_minor, body.currency) == (amount, currency)
        ):
            return Authorized(body.id)
        case Capture(_, ref, amount), "captured" if (body.id, body.captured_minor) == (ref, amount):
            return Captured()
        case Void(_, ref), "voided" if body.id == ref:
            return Voided()
        case PayBack(_, ref, amount), "captured" if body.id == ref and body.refunded_minor >= amount:
            return Refunded()
    return Unknown(f"{type(operation).__name__} was answered with {body.status} {body.id}")


def _record(body: _Body) -> ProviderRecord:
    return ProviderRecord(
        body.id,
        body.reference,
        body.status,
        body.currency,
        body.amount_minor,
        body.captured_minor,
        body.refunded_minor,
    )
