"""The load generator: reads a plan (JSON) from stdin, sends it over kept connections, prints what happened (JSON).

A process of its own and as light as Python allows, because it shares the machine with what it measures: all requests
are bytes before the clock starts, answers are read by position, and no task or future is made per request. Each
order has its own Idempotency-Key; a 429, a 503 or a broken connection repeats it under that key.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import secrets
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop

OBSERVE_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 0.1
RETRIED: Final = frozenset({429, 502, 503, 504})
LOCATION: Final = b"/api/v1/orders/"
LENGTH: Final = b"\r\ncontent-length:"
RETRY_AFTER: Final = b"\r\nretry-after:"
ID_LENGTH: Final = 36
OPEN: Final = "select count(*) from live_runs"
SHIP_TO: Final = {
    "name": "Bench Customer", "line1": "Testweg 2", "city": "Amsterdam", "postal_code": "1012", "country": "NL",
    "lat": 52.37, "lon": 4.9,
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What to send. One of three loops:

    - `in_flight` > 0, closed: a new order as soon as fewer than that are not yet settled; ends when all are;
    - `rate` > 0, paced: each order at its due time, waited for until it is settled (`Prefer: wait`);
    - neither, burst: the next one as soon as a connection is free; ends with the last answer.
    """

    host: str
    port: int
    tokens: list[str]
    products: list[str]
    orders: int
    connections: int = 64
    in_flight: int = 0
    rate: float = 0.0
    wait_seconds: int = 20
    orders_database: str = ""
    within: float = 180.0
    path: str = "/api/v1/orders"


@dataclass
class Outcome:
    """Times in seconds; `seconds_posting` from the first POST to the last answer."""

    order_ids: list[str] = field(default_factory=list)
    settled_at_once: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    answer_seconds: list[float] = field(default_factory=list)
    seconds_posting: float = 0.0
    seconds_settling: float = 0.0
    in_time: bool = True
    cpu_seconds: float = 0.0


def requests(plan: Plan) -> list[bytes]:
    """One request per order: customers and products in turn and at random, one line, a key of its own."""
    dice = random.Random(1)
    wait = f"prefer: wait={plan.wait_seconds}\r\n" if plan.rate else ""
    heads = [
        f"POST {plan.path} HTTP/1.1\r\nhost: {plan.host}:{plan.port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\n{wait}idempotency-key: ".encode()
        for token in plan.tokens
    ]
    tails = [_tail(product) for product in plan.products]
    return [
        heads[number % len(heads)] + secrets.token_hex(16).encode() + dice.choice(tails)
        for number in range(plan.orders)
    ]


def _tail(product: str) -> bytes:
    order = {
        "lines": [{"product_id": product, "quantity": 1}],
        "ship_to": SHIP_TO,
        "payment": {"token": "tok_ok"},
    }
    body = json.dumps(order, separators=(",", ":")).encode()
    return b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class Wire(asyncio.Protocol):
    """One connection with at most one request on it."""

    __slots__ = ("_load", "_parts", "number", "transport")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parts = b""
        self.number = -1
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._load.idle.append(self)

    def data_received(self, data: bytes) -> None:
        if self._parts:
            data = self._parts + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _length(data, head):
            self._parts = data
            return
        self._parts = b""
        number, self.number = self.number, -1
        self._load.idle.append(self)
        self._load.answered(number, int(data[9:12]), data, head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._load.lost(self)


def _length(data: bytes, head: int) -> int:
    """Raises ValueError where the answer does not say its length: this client cannot read such a one."""
    return int(_header(data, head, LENGTH))


def _header(data: bytes, head: int, name: bytes) -> bytes:
    at = data.find(name, 0, head)
    if at < 0:
        at = data[:head].lower().find(name)
    if at < 0:
        raise ValueError(f"the answer has no {name.strip().decode()} {data[:head].decode('latin-1')}")
    at += len(name)
    return data[at : data.find(b"\r\n", at)].strip()


class Load:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = requests(plan)
        self._sent_at = [0.0] * plan.orders
        self._next = 0
        self._due = plan.orders if not plan.rate else 0
        self._again: deque[int] = deque()
        self._unanswered = plan.orders
        self._room = plan.in_flight or plan.orders
        self._outcome = Outcome()
        self._done = asyncio.Event()
        self._closing = False
        self.idle: list[Wire] = []

    async def run(self) -> Outcome:
        for _ in range(self._plan.connections):
            await self._connect()
        observer = asyncio.create_task(self._observe()) if self._plan.in_flight else None
        self._began, cpu = time.perf_counter(), time.process_time()
        pacing = asyncio.create_task(self._pace()) if self._plan.rate else None
        self.pump()
        try:
            async with asyncio.timeout(self._plan.within):
                await self._done.wait()
                if observer is not None:
                    await observer
        except TimeoutError:
            self._outcome.in_time = False
        self._outcome.seconds_settling = time.perf_counter() - self._began
        self._outcome.cpu_seconds = time.process_time() - cpu
        for task in filter(None, (observer, pacing)):
            task.cancel()
        self._close()
        return self._outcome

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Wire(self), self._plan.host, self._plan.port)

    def pump(self) -> None:
        """Send what may be sent on every connection that is free."""
        while self.idle and (number := self._take()) >= 0:
            wire = self.idle.pop()
            wire.number = number
            if not self._sent_at[number]:
                self._sent_at[number] = time.perf_counter()
            assert wire.transport is not None
            wire.transport.write(self._requests[number])

    def _take(self) -> int:
        """The number of the next request; -1 where none may be sent now."""
        if self._again:
            return self._again.popleft()
        if self._next >= self._due or self._room <= 0:
            return -1
        self._room -= 1
        self._next += 1
        return self._next - 1

    async def _pace(self) -> None:
        """An order is sent when it is due or as soon as a connection is free; its time counts from when it was due."""
        for number in range(self._plan.orders):
            due = self._began + number / self._plan.rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self._sent_at[number] = due
            self._due = number + 1
            self.pump()

    def answered(self, number: int, status: int, data: bytes, head: int) -> None:
        if status in RETRIED:
            self._repeat(number, str(status), data, head)
            return
        outcome = self._outcome
        outcome.answers[str(status)] += 1
        outcome.answer_seconds.append(time.perf_counter() - self._sent_at[number])
        if status in (200, 202):
            outcome.settled_at_once += status == 200
            at = data.find(LOCATION, 0, head) + len(LOCATION)
            outcome.order_ids.append(data[at : at + ID_LENGTH].decode("latin-1"))
        self._unanswered -= 1
        if not self._unanswered:
            outcome.seconds_posting = time.perf_counter() - self._began
            self._done.set()
        self.pump()

    def _repeat(self, number: int, why: str, data: bytes, head: int) -> None:
        self._outcome.retried[why] += 1
        try:
            seconds = float(_header(data, head, RETRY_AFTER))
        except ValueError:
            seconds = RETRY_SECONDS
        asyncio.get_running_loop().call_later(seconds, self._again_now, number)
        self.pump()

    def _again_now(self, number: int) -> None:
        self._again.append(number)
        self.pump()

    def lost(self, wire: Wire) -> None:
        """The other side closed: open another connection, and repeat what was on this one."""
        if self._closing:
            return
        if wire in self.idle:
            self.idle.remove(wire)
        if wire.number >= 0:
            self._outcome.retried["connection lost"] += 1
            self._again.append(wire.number)
        self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        await self._connect()
        self.pump()

    async def _observe(self) -> None:
        """How many orders are open, by one index-only count in the orders database: the lightest way to know.

        What was sent since the question was asked counts as open, so there are never more in flight than wanted.
        """
        import asyncpg

        connection = await asyncpg.connect(
            self._plan.orders_database, server_settings={"enable_seqscan": "off", "jit": "off"}
        )
        question = await connection.prepare(OPEN)
        while True:
            sent, waiting = self._next, self._next - len(self._outcome.answer_seconds)
            still_open = await question.fetchval()
            if self._done.is_set() and still_open == 0:
                break
            self._room = self._plan.in_flight - still_open - waiting - (self._next - sent)
            self.pump()
            await asyncio.sleep(OBSERVE_SECONDS)
        await connection.close()

    def _close(self) -> None:
        self._closing = True
        for wire in self.idle:
            if wire.transport is not None:
                wire.transport.abort()


async def main() -> None:
    load = Load(Plan(**json.load(sys.stdin)))
    gc.collect()
    gc.freeze()
    gc.disable()
    outcome = await load.run()
    json.dump(vars(outcome), sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
