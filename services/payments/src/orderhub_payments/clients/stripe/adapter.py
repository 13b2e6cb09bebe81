"""The provider that the worker and reconcile see: operations side by side within their time, listing and looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import aiohttp
from orderhub_chassis.clock import Clock
from orderhub_chassis.errors import Unavailable

from orderhub_payments.clients.provider import ProviderRecord
from orderhub_payments.clients.stripe.authorizations import authorize
from orderhub_payments.clients.stripe.moves import capture, retrieve, void
from orderhub_payments.clients.stripe.refunds import pay_back
from orderhub_payments.clients.stripe.transport import VERSION, KeyRefused, Missing, NotDefinite, Transport
from orderhub_payments.clients.stripe.wire import INTENTS, PAGE, REFUNDS, Form, Intents, Refunds, record
from orderhub_payments.model import Authorize, Capture, Operation, PayBack, Result, Transient, Unknown, Void

KEY_WANTED: Final = (
    "set ORDERHUB_PAYMENTS_STRIPE_API_KEY to a key of this account that may write PaymentIntents and Refunds and read"
    " Charges"
)


class Stripe:
    """`timeout` is for all that one operation asks; at most `parallel` of them are under way."""

    name = "stripe"

    def __init__(self, transport: Transport, *, clock: Clock, timeout: timedelta, parallel: int) -> None:
        self.transport = transport
        self._clock = clock
        self._seconds = timeout.total_seconds()
        self._room = asyncio.Semaphore(parallel)

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        deadline = asyncio.get_running_loop().time() + self._seconds
        return await asyncio.gather(*(self._in_time(operation, deadline) for operation in operations))

    async def listing(self, since: datetime) -> AsyncIterator[list[ProviderRecord]]:
        """Newest first, by the time they were created at."""
        asked = {"limit": str(PAGE), "created[gte]": str(int(since.timestamp()))}
        expanded = {"expand[]": "data.latest_charge"}
        after: Form = {}
        while True:
            try:
                page = await self.transport.look(INTENTS, {**asked, **expanded, **after}, Intents)
            except NotDefinite as error:
                raise _unavailable(error) from error
            yield [record(intent) for intent in page.data]
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}

    async def find(self, ref: str) -> ProviderRecord | None:
        try:
            return record(await retrieve(self.transport, ref))
        except Missing:
            return None
        except NotDefinite as error:
            raise _unavailable(error) from error

    async def examine(self) -> str:
        """Reads what the operations read; whether the key may write shows with the first payment alone."""
        try:
            await self.transport.look(INTENTS, {"limit": "1", "expand[]": "data.latest_charge"}, Intents)
            await self.transport.look(REFUNDS, {"limit": "1"}, Refunds)
        except KeyRefused as error:
            raise Unavailable(f"{error}: {KEY_WANTED}") from error
        except NotDefinite as error:
            raise _unavailable(error) from error
        return f"takes our API key and speaks {VERSION}"

    async def _in_time(self, operation: Operation, deadline: float) -> Result:
        begun = False
        try:
            async with asyncio.timeout_at(deadline), self._room:
                begun = True
                return await self._ask(operation)
        except NotDefinite as error:
            return error.result
        except TimeoutError:
            if begun:
                return Unknown(f"Stripe has not answered within {self._seconds:g} s", away=True)
            return Transient("there was no time left to ask Stripe")

    async def _ask(self, operation: Operation) -> Result:
        match operation:
            case Authorize():
                return await authorize(self.transport, operation, self._clock.now())
            case Capture():
                return await capture(self.transport, operation)
            case Void():
                return await void(self.transport, operation)
            case PayBack():
                return await pay_back(self.transport, operation, self._clock.now())


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
        yield Stripe(Transport(session, url), clock=clock, timeout=timeout, parallel=parallel)


def _unavailable(error: NotDefinite) -> Unavailable:
    return Unavailable(f"Stripe: {error}")
