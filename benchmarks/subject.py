"""One installation under measurement: what is asked of it, every order that it accepted, and what is wrong with it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

import identity
import product as ours
import report
from orderhub import ports


@dataclass(frozen=True)
class Sizes:
    """How much of everything; `--quick` takes a tenth, which shows that it works and no more."""

    pgbench_seconds: int = 10
    dbos_orders: int = 600
    warm_up: int = 1000
    latency_orders: int = 1500
    saga_orders: int = 10_000
    in_flight: int = 2000
    burst_orders: int = 5000
    connections: int = 256
    messages: int = 200_000
    token_pairs: int = 4000
    login_rounds: int = 6


QUICK = Sizes(2, 100, 200, 200, 1000, 500, 600, messages=20_000, token_pairs=800, login_rounds=2)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Journal:
    """What is to be told beside the figures."""

    complaints: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    run: int = 0

    def complain(self, text: str) -> None:
        self.complaints.append(f"run {self.run}: {text}")
        say(f"  !! {text}")


@dataclass
class Subject:
    """`name` is what the journal calls it; the measurements return figures by name."""

    name: str
    product: ours.Product
    sizes: Sizes
    journal: Journal
    order_ids: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """The first start, which nobody is timed at: databases, demo, 5,000 products."""
        say(f"{self.name}: first start and 5,000 products")
        try:
            say(f"  ready after {self.product.start():.1f} s (cold)")
            self.product.seed()
            self.product.customers()
        finally:
            self.product.stop()

    def warm_up(self) -> None:
        self.tokens, self.products = self.product.customers(), self.product.products()
        self._load("warm-up", orders=self.sizes.warm_up, in_flight=self.sizes.in_flight)

    def _load(self, what: str, **shape: float) -> ours.Load:
        done = self.product.load(self.tokens, self.products, connections=self.sizes.connections, **shape)
        self.order_ids += done.order_ids
        for complaint in done.complaints():
            self._complain(f"{what}: {complaint}")
        if retried := done.outcome["retried"]:
            self.journal.facts.append(f"{self.name}, {what}, run {self.journal.run}: repeated {retried}")
        if what != "warm-up":
            spent = report.spent(done.cpu, len(done.order_ids) or 1)
            self.journal.spent.append(f"{self.name}, {what}, run {self.journal.run}: {spent}")
            say(f"  {self.journal.spent[-1]}")
        return done

    def latency(self) -> dict[str, float]:
        done = self._load("latency", orders=self.sizes.latency_orders, rate=100.0)
        if late := len(done.order_ids) - done.outcome["settled_at_once"]:
            self._complain(f"latency: {late} orders were not settled when their wait was over")
        return {"p50_ms": done.milliseconds(0.5), "p99_ms": done.milliseconds(0.99)}

    def sagas(self) -> dict[str, float]:
        done = self._load("sagas", orders=self.sizes.saga_orders, in_flight=self.sizes.in_flight)
        return {"sagas": done.per_second_settled}

    def burst(self) -> dict[str, float]:
        with self.product.paused():
            done = self._load("burst", orders=self.sizes.burst_orders)
            if set(found := self.product.statuses(done.order_ids)) - {"PENDING"}:
                self._complain(f"burst: the participants were to be paused, but there is {found}")
        seconds = self.product.until_settled()
        return {
            "burst": done.per_second_accepted, "burst_p50_ms": done.milliseconds(0.5),
            "burst_p99_ms": done.milliseconds(0.99), "drain": len(done.order_ids) / seconds,
        }  # fmt: skip

    def identity(self) -> dict[str, float]:
        """What a token costs at the gateway, and what logins cost others."""
        where, one = (ports.LOOPBACK, self.product.port), self.products[0]
        tokens = identity.token_us(*where, self.tokens, one, self.sizes.token_pairs)
        return asyncio.run(tokens) | asyncio.run(identity.logins(*where, one, self.sizes.login_rounds))

    # --- nothing may be lost ---

    def look_for_all(self) -> None:
        """Every order that was accepted in any run so far is there and CONFIRMED, and nothing was bought by less durability."""
        self.product.until_settled()
        if len(set(self.order_ids)) != len(self.order_ids):
            self._complain("two POSTs got the same order")
        if (found := self.product.statuses(self.order_ids)) != {"CONFIRMED": len(self.order_ids)}:
            self._complain(f"of {len(self.order_ids)} accepted orders: {found}")
        if set(settings := self.product.durability().values()) != {"on"}:
            self._complain(f"PostgreSQL runs with {settings}")

    def finish(self) -> None:
        """`orderhub check` over all that was done."""
        if not self.order_ids:
            return
        say(f"{self.name}: orderhub check")
        clean, said = self.product.check()
        if not clean:
            self._complain(f"`orderhub check` is not clean: {said}")
        verdict = "clean" if clean else "NOT CLEAN"
        self.journal.facts.append(
            f"{self.name}: {len(self.order_ids):,} orders accepted in all; `orderhub check`: {verdict}."
        )

    def _complain(self, text: str) -> None:
        self.journal.complain(f"{self.name}: {text}")
