"""One run of `orderhub load`: place, cancel, deliver, wait until all is settled, and look whether all of it is there."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import uvloop

from orderhub import bench_data, control, home, inside
from orderhub.exits import Exit, Refused
from orderhub.load import customers, mix, tally, wire
from orderhub.load.client import Client, GaveUp
from orderhub.load.couriers import Couriers, hired
from orderhub.load.tally import Placed, Tally
from orderhub.output import Output

WAIT_SECONDS: Final = 20
LATEST_CANCEL: Final = 0.3
POLL_SECONDS: Final = 0.05
SHOW_SECONDS: Final = 0.5
NOTHING: Final = "~"
"""Above every order id."""


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for. `orders` wins over `seconds`; `rate` 0 is as fast as it goes."""

    mix: mix.Mix
    rate: float = 0.0
    seconds: float = 30.0
    orders: int = 0
    customers: int = 50
    connections: int = 64
    deliver: bool = False
    burst: bool = False
    wait_share: float = 0.25
    settle_within: float = 120.0
    patience: float = 60.0
    record: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("--rate", 0 <= self.rate < float("inf"), "has to be 0 or more")
        self._require("--orders", self.orders >= 0, "has to be 0 or more")
        self._require("--customers", 1 <= self.customers <= 10_000, "has to be between 1 and 10000")
        self._require("--connections", 1 <= self.connections <= 10_000, "has to be between 1 and 10000")
        self._require("--wait-share", 0 <= self.wait_share <= 1, "has to be between 0 and 1")

    @staticmethod
    def _require(option: str, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Refused(f"{option}: {otherwise}", Exit.USAGE)

    @property
    def count(self) -> int:
        """How many orders at most."""
        return self.orders or (int(self.rate * self.seconds) if self.rate else 0)

    @property
    def run_seconds(self) -> float:
        """About how long tokens have to last."""
        placing = self.seconds if not self.orders else self.orders / (self.rate or 500)
        return min(placing + self.settle_within, 600.0)


def run(place: home.Home, out: Output, wanted: Wanted) -> Exit:
    found = uvloop.run(_run(place, out, wanted))
    _report(out, found)
    return Exit.DONE if found.is_good else Exit.FOUND


async def _run(place: home.Home, out: Output, wanted: Wanted) -> Tally:
    runtime = control.required(place)
    url = runtime.gateways[0]
    async with inside.connected(place, runtime.addresses) as doors:
        products = await bench_data.product_ids(doors)
        couriers = await hired(doors, url) if wanted.deliver else []
    tokens = await customers.pool(place, url, wanted.customers, run_seconds=wanted.run_seconds)
    async with _opened(out, wanted, runtime.gateways, tokens, products) as load:
        return await load.run(couriers)


@contextlib.asynccontextmanager
async def _opened(
    out: Output, wanted: Wanted, gateways: list[str], tokens: list[str], products: list[str]
) -> AsyncIterator[Load]:
    with contextlib.ExitStack() as stack:
        record = stack.enter_context(_recording(wanted.record)) if wanted.record else None
        load = Load(out, wanted, gateways, tokens, products, record)
        stack.callback(load.close)
        yield load


def _recording(path: Path) -> IO[str]:
    try:
        return path.open("a")
    except OSError as error:
        raise Refused(f"--record: {path} cannot be written: {error.strerror}", Exit.USAGE) from error


class Load:
    """The state of a run."""

    def __init__(
        self,
        out: Output,
        wanted: Wanted,
        gateways: list[str],
        tokens: list[str],
        products: list[str],
        record: IO[str] | None,
    ) -> None:
        self._out = out
        self._wanted = wanted
        self._products = products
        self._record = record
        self._tally = Tally()
        self._dice = random.Random(wanted.seed or None)
        self._client = Client(gateways, tokens, patience=wanted.patience, retries=self._tally.retries)
        self._side = wire.Connections(gateways, 8)
        self._cancels: set[asyncio.Task[None]] = set()
        self._began = time.monotonic()
        self._number = 0

    def close(self) -> None:
        self._side.close()

    async def run(self, couriers: list[str]) -> Tally:
        """Everything, in order; the tally tells the rest."""
        showing = asyncio.create_task(self._show())
        touring = asyncio.create_task(self._tour(couriers)) if couriers else None
        try:
            await self._place_all()
            if self._cancels:
                await asyncio.wait(set(self._cancels))
            await self._until_settled()
            if touring:
                await self._until_delivered()
        finally:
            for task in filter(None, (showing, touring)):
                task.cancel()
            await asyncio.gather(showing, *filter(None, [touring]), return_exceptions=True)
        return self._tally

    async def _tour(self, tokens: list[str]) -> None:
        client = Client(
            self._client.gateways, tokens, patience=self._wanted.patience, retries=self._tally.retries
        )
        await Couriers(client, self._tally.placed.__contains__).work()

    # --- placing ---

    async def _place_all(self) -> None:
        self._began = time.monotonic()
        workers = [asyncio.create_task(self._worker(i)) for i in range(self._wanted.connections)]
        await asyncio.gather(*workers)
        self._tally.seconds_accepting = time.monotonic() - self._began

    def _next_due(self) -> float | None:
        """When the next order is due; None when there are enough.

        Waiting for a free connection counts into its time, as it would for its customer.
        """
        wanted, number, now = self._wanted, self._number, time.monotonic()
        if number >= wanted.count if wanted.count else now >= self._began + wanted.seconds:
            return None
        self._number += 1
        return self._began + number / wanted.rate if wanted.rate else now

    async def _worker(self, number: int) -> None:
        first = number % len(self._client.gateways)
        gateways = self._client.gateways[first:] + self._client.gateways[:first]
        connection = wire.Connection(*gateways, timeout=WAIT_SECONDS + 20)
        try:
            while (due := self._next_due()) is not None:
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                await self._place(connection, due)
        finally:
            connection.close()

    async def _place(self, connection: wire.Connection, due: float) -> None:
        dice = self._dice
        kind, who = self._wanted.mix.draw(dice), dice.randrange(len(self._client.tokens))
        waits = kind != "cancel" and not self._wanted.burst and dice.random() < self._wanted.wait_share
        request = self._client.placing(
            who, mix.body(kind, self._products, dice), wait=WAIT_SECONDS if waits else 0
        )
        self._tally.asked += 1
        try:
            reply = await self._client.definite(connection.send, request)
        except GaveUp as error:
            self._tally.refused[f"gave up: {error}"] += 1
            return
        if reply.status not in (200, 202):
            self._tally.refused[f"{reply.status} {reply.code}"] += 1
            return
        self._accepted(reply, kind, who, time.monotonic() - due, waits=waits)

    def _accepted(self, reply: wire.Reply, kind: str, who: int, seconds: float, *, waits: bool) -> None:
        order = reply.json()
        placed = Placed(order["id"], kind, who, seconds)
        if waits and order["status"] in tally.SETTLED:
            placed.settled_after = seconds
        self._tally.placed[placed.id] = placed
        if self._record:
            self._record.write(f"{placed.id} {kind}\n")
            self._record.flush()
        if kind == "cancel":
            task = asyncio.create_task(self._cancel(placed, self._dice.uniform(0, LATEST_CANCEL)))
            self._cancels.add(task)
            task.add_done_callback(self._cancels.discard)

    async def _cancel(self, placed: Placed, after: float) -> None:
        await asyncio.sleep(after)
        try:
            path = f"orders/{placed.id}/cancel"
            reply = await self._client.post(self._side.send, path, placed.customer, {"reason": "load"})
        except GaveUp as error:
            self._tally.refused[f"cancel gave up: {error}"] += 1
            return
        if reply.status == 409:
            placed.cancel_refused = True
        elif reply.status >= 400:
            self._tally.refused[f"cancel {reply.status} {reply.code}"] += 1

    # --- settling ---

    async def _until_settled(self) -> None:
        """Cheap: one customer is asked until its newest open order is older than the run, then the next one."""
        until = time.monotonic() + self._wanted.settle_within
        since = min(self._tally.placed, default=NOTHING)
        with contextlib.suppress(GaveUp, TimeoutError):
            async with asyncio.timeout(self._wanted.settle_within):
                for who in {order.customer for order in self._tally.placed.values()}:
                    await self._until_none_open(who, since)
        self._tally.seconds_settling = time.monotonic() - self._began
        await self._look_again(since)
        while (self._tally.unsettled() or self._tally.missing()) and time.monotonic() < until:
            await asyncio.sleep(0.5)
            await self._look_again(since)

    async def _until_none_open(self, who: int, since: str) -> None:
        for status in ("PENDING", "CANCELLING"):
            while await self._client.newest(self._side.send, who, status) >= since:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(POLL_SECONDS)

    async def _look_again(self, since: str) -> None:
        """The states of all orders as their customers' lists show them."""
        self._tally.forget_statuses()
        who = sorted({order.customer for order in self._tally.placed.values()})
        await asyncio.gather(*(self._look_at(customer, since) for customer in who))

    async def _look_at(self, customer: int, since: str) -> None:
        with contextlib.suppress(GaveUp):
            async for statuses in self._client.statuses(self._side.send, customer, since=since):
                self._tally.take_over(statuses)

    async def _until_delivered(self) -> None:
        until = time.monotonic() + self._wanted.settle_within
        since = min(self._tally.placed, default=NOTHING)
        while self._tally.undelivered() and time.monotonic() < until:
            await asyncio.sleep(0.5)
            await self._look_again(since)

    # --- showing ---

    async def _show(self) -> None:
        """A live line on a terminal."""
        if self._out.as_json or not self._out.console.is_terminal:
            return
        with self._out.console.status("") as line:
            while True:
                line.update(self._line())
                await asyncio.sleep(SHOW_SECONDS)

    def _line(self) -> str:
        placed, seconds = self._tally.placed, time.monotonic() - self._began
        recent = [
            order.accepted_after for order in list(placed.values())[-500:] if order.settled_after is None
        ]
        times = tally.percentiles(recent)
        shown = f", accept p50 {times[0] * 1000:.0f} ms, p99 {times[2] * 1000:.0f} ms" if times else ""
        retries = sum(self._tally.retries.values())
        return f"{seconds:.0f} s: {len(placed):,} accepted, {retries} retries{shown}"


def _report(out: Output, found: Tally) -> None:
    data = tally.summary(found)
    out.result(data, out.table("", tally.COLUMNS, tally.rows(found)))
    if out.as_json:
        return
    out.say(
        f"\n{data['accepted']} of {found.asked} accepted in {found.seconds_accepting:.1f} s"
        f" ({data['accepted_per_second']}/s), all settled after {found.seconds_settling:.1f} s"
        f" ({data['settled_per_second']}/s)"
    )
    for what, orders in (
        ("missing", found.missing()),
        ("not settled", found.unsettled()),
        ("astray", found.astray()),
    ):
        for order in orders[:10]:
            out.warn(f"{what}: order {order.id} ({order.kind}) {order.status}")
        if len(orders) > 10:
            out.warn(f"{what}: and {len(orders) - 10} more")
    for reason, count in (*found.refused.items(), *((f"retried: {r}", n) for r, n in found.retries.items())):
        out.warn(f"{count} × {reason}")
