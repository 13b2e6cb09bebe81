"""`make bench`: the peers and the product in turn on one machine, the ratios, and benchmarks/RESULTS.md.

    run.py [--quick] [--runs 3] [--only pgbench,dbos,start,latency,sagas,burst,memory] …

Exit code 0 when everything was measured and nothing was lost, whether or not a target is reached; 1 otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import product as ours
import report
from orderhub import embedded, topology
from peers import measure as peers

HERE = Path(__file__).resolve().parent

PARTS = ("pgbench", "dbos", "start", "latency", "sagas", "burst", "memory")
RESULTS = HERE / "RESULTS.md"
BUSY = 0.7
"""Load average over one minute above which somebody else is at work here."""


IDLE_SECONDS = 4.0


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


QUICK = Sizes(2, 100, 200, 200, 1000, 500, 600)


@dataclass
class Bench:
    """All rounds so far."""

    folder: Path
    parts: Sequence[str]
    sizes: Sizes
    product: ours.Product
    rounds: list[dict[str, float]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)

    def wants(self, *parts: str) -> bool:
        return bool(set(parts) & set(self.parts))

    def round(self) -> None:
        """The peers before the product and after it, never both at once: a machine that grows slower meanwhile, or
        quicker, does so for both."""
        self.rounds.append({})
        self._look_at_the_load()
        if not self._wants_product:
            self._peers()
        else:
            before = self._peers()
            self._product()
            after = self._peers()
            self.rounds[-1] |= {name: (rate + after[name]) / 2 for name, rate in before.items()}

    @property
    def _wants_product(self) -> bool:
        return self.wants("start", "latency", "sagas", "burst", "memory")

    def prepare(self) -> None:
        """The first start, which nobody is timed at: databases, demo, 5,000 products."""
        if self._wants_product:
            say("first start and 5,000 products")
            try:
                say(f"  ready after {self.product.start():.1f} s (cold)")
                self.product.seed()
                self.product.customers()
            finally:
                self.product.stop()

    def _look_at_the_load(self) -> None:
        busy = os.getloadavg()[0]
        if busy > BUSY and len(self.rounds) == 1:
            fact = f"The machine was not idle when this began (load average {busy:.1f}): take it for a rehearsal."
            self.facts.append(fact)
            say(f"  {fact}")

    def _note(self, **found: float) -> None:
        self.rounds[-1] |= found
        say("  " + ", ".join(f"{name} {report.shown(value)}" for name, value in found.items()))

    # --- peers ---

    def _peers(self) -> dict[str, float]:
        """Their sagas per second."""
        if not self.wants("pgbench", "dbos"):
            return {}
        found = {}
        with embedded.postgres(self.folder / "peers") as server:
            if self.wants("pgbench"):
                found["pgbench"] = peers.pgbench(server, self.sizes.pgbench_seconds).per_second
            if self.wants("dbos"):
                found["dbos"] = peers.dbos(server, self.sizes.dbos_orders).per_second
        self._note(**found)
        return found

    # --- the product ---

    def _product(self) -> None:
        try:
            self._note(start_seconds=self.product.start())
            if self.wants("start"):
                self._idle()
            self._under_load()
            if self.wants("memory"):
                self._memory()
        finally:
            self.product.stop()

    def _idle(self) -> None:
        """What it costs when nobody orders anything."""
        time.sleep(IDLE_SECONDS / 2)
        before = self.product.cpu()
        time.sleep(IDLE_SECONDS)
        spent = {
            part: (seconds - before.get(part, 0)) / IDLE_SECONDS
            for part, seconds in self.product.cpu().items()
        }
        self._note(idle_percent=100 * sum(spent.values()))

    def _under_load(self) -> None:
        if not self.wants("latency", "sagas", "burst"):
            return
        tokens, products = self.product.customers(), self.product.products()
        self._load("warm-up", tokens, products, orders=self.sizes.warm_up, in_flight=self.sizes.in_flight)
        if self.wants("sagas"):
            self._sagas(tokens, products)
        if self.wants("burst"):
            self._burst(tokens, products)
        if self.wants("latency"):
            self._latency(tokens, products)
        self._look_for_all()

    def _load(self, name: str, tokens: list[str], products: list[str], **shape: float) -> ours.Load:
        done = self.product.load(tokens, products, connections=self.sizes.connections, **shape)
        self.order_ids += done.order_ids
        for complaint in done.complaints():
            self._complain(f"{name}: {complaint}")
        if retried := done.outcome["retried"]:
            self.facts.append(f"{name}, run {len(self.rounds)}: repeated {retried}")
        if name != "warm-up":
            self.spent.append(
                f"{name}, run {len(self.rounds)}: {report.spent(done.cpu, len(done.order_ids) or 1)}"
            )
            say(f"  {self.spent[-1]}")
        return done

    def _latency(self, tokens: list[str], products: list[str]) -> None:
        done = self._load("latency", tokens, products, orders=self.sizes.latency_orders, rate=100.0)
        if late := len(done.order_ids) - done.outcome["settled_at_once"]:
            self._complain(f"latency: {late} orders were not settled when their wait was over")
        self._note(p50_ms=done.milliseconds(0.5), p99_ms=done.milliseconds(0.99))

    def _sagas(self, tokens: list[str], products: list[str]) -> None:
        done = self._load(
            "sagas", tokens, products, orders=self.sizes.saga_orders, in_flight=self.sizes.in_flight
        )
        self._note(sagas=done.per_second_settled)

    def _burst(self, tokens: list[str], products: list[str]) -> None:
        with self.product.paused():
            done = self._load("burst", tokens, products, orders=self.sizes.burst_orders)
            if set(found := self.product.statuses(done.order_ids)) - {"PENDING"}:
                self._complain(f"burst: the participants were to be paused, but there is {found}")
        seconds = self.product.until_settled()
        self._note(
            burst=done.per_second_accepted, burst_p50_ms=done.milliseconds(0.5), burst_p99_ms=done.milliseconds(0.99),
            drain=len(done.order_ids) / seconds,
        )  # fmt: skip

    def _memory(self) -> None:
        used = self.product.memory()
        self._note(memory_mb=sum(used.values()))
        parts = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(used.items(), key=lambda one: -one[1]))
        self.facts.append(f"Memory in MB, run {len(self.rounds)}: {parts}.")

    # --- nothing may be lost ---

    def _look_for_all(self) -> None:
        """Every order that was accepted in any run so far is there and CONFIRMED, and nothing was bought by less durability."""
        self.product.until_settled()
        if len(set(self.order_ids)) != len(self.order_ids):
            self._complain("two POSTs got the same order")
        if (found := self.product.statuses(self.order_ids)) != {"CONFIRMED": len(self.order_ids)}:
            self._complain(f"of {len(self.order_ids)} accepted orders: {found}")
        if set(settings := self.product.durability().values()) != {"on"}:
            self._complain(f"the product's PostgreSQL runs with {settings}")

    def finish(self) -> None:
        """`orderhub check` over all that was done."""
        if not self.order_ids:
            return
        say("orderhub check")
        clean, said = self.product.check()
        if not clean:
            self._complain(f"`orderhub check` is not clean: {said}")
        self.facts.append(
            f"{len(self.order_ids):,} orders accepted in all; `orderhub check`: {'clean' if clean else 'NOT CLEAN'}."
        )

    def _complain(self, text: str) -> None:
        self.complaints.append(f"run {len(self.rounds)}: {text}")
        say(f"  !! {text}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of everything, once; writes no RESULTS.md"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often (3); the table shows medians")
    parser.add_argument("--in-flight", type=int, help="orders not yet settled at once in the saga run")
    parser.add_argument("--orders", type=int, help="orders of the saga run")
    parser.add_argument("--processes", choices=get_args(topology.Processes), help="as of `orderhub up`")
    parser.add_argument("--folder", type=Path, help="where the data folders go; they are removed afterwards")
    parser.add_argument("--keep", action="store_true", help="keep them")
    found = parser.parse_args()
    found.only = [part.strip() for part in found.only.split(",") if part.strip()]
    if unknown := set(found.only) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    if "dbos" in found.only and importlib.util.find_spec("dbos") is None:
        parser.error("DBOS is not installed: run `make bench`, or `sh tools/venv.sh --group bench` first")
    return found


def sizes(wanted: argparse.Namespace) -> Sizes:
    chosen = QUICK if wanted.quick else Sizes()
    given = {"in_flight": wanted.in_flight, "saga_orders": wanted.orders}
    return Sizes(**{**vars(chosen), **{name: value for name, value in given.items() if value}})


def main() -> int:
    wanted = options()
    folder = Path(tempfile.mkdtemp(prefix="orderhub-bench-", dir=wanted.folder))
    arguments = ("--processes", wanted.processes) if wanted.processes else ()
    bench = Bench(folder, wanted.only, sizes(wanted), ours.Product(folder, arguments))
    try:
        return measured(bench, 1 if wanted.quick else wanted.runs, to_file=not wanted.quick)
    except (ours.ProductFailed, peers.PeerFailed, embedded.StartRefused) as error:
        say(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if wanted.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def measured(bench: Bench, runs: int, *, to_file: bool) -> int:
    kind, sync = report.file_system(bench.folder), report.fdatasync_us(bench.folder)
    bench.facts += [f"Code: {report.commit()}.", f"Data on {kind}; one fdatasync takes {sync:.0f} µs."]
    say(f"{report.machine()}; data on {kind}, fdatasync {sync:.0f} µs")
    if kind == "tmpfs":
        bench.complaints.append(
            "the data folder is on tmpfs, where nothing is durable: give another with --folder"
        )
    bench.prepare()
    for number in range(1, runs + 1):
        say(f"run {number} of {runs}")
        bench.round()
    bench.finish()
    print("\n".join(["", *report.table(bench.rounds), ""]))
    for complaint in bench.complaints:
        print(f"!! {complaint}")
    if to_file and set(bench.parts) == set(PARTS) and not bench.complaints:
        RESULTS.write_text(report.document(bench.rounds, bench.facts, bench.spent))
        print(f"written to {RESULTS.relative_to(HERE.parent)}")
    return 1 if bench.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
