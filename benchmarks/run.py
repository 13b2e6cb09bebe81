"""`make bench`: the peers and the product in turn on one machine, the ratios, and benchmarks/RESULTS.md.

    run.py [--quick] [--runs 3] [--only pgbench,dbos,start,latency,sagas,burst,identity,memory,kafka] …

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
from brokers import CLUSTERS, OverKafka, Refused
from identity import Unexpected
from orderhub import embedded, topology
from peers import measure as peers
from subject import QUICK, Journal, Sizes, Subject, say

HERE = Path(__file__).resolve().parent

PARTS = ("pgbench", "dbos", "start", "latency", "sagas", "burst", "identity", "memory", "kafka")
RESULTS = HERE / "RESULTS.md"
BUSY = 0.7
"""Load average over one minute above which somebody else is at work here."""


IDLE_SECONDS = 4.0


@dataclass
class Bench:
    """All rounds so far."""

    folder: Path
    parts: Sequence[str]
    sizes: Sizes
    arguments: tuple[str, ...] = ()
    journal: Journal = field(default_factory=Journal)
    rounds: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        product = ours.Product(self.folder, self.arguments)
        self.embedded = Subject("embedded", product, self.sizes, self.journal)
        self.over_kafka = [
            OverKafka(clusters, self.folder / clusters.part, self.arguments, self.sizes, self.journal)
            for clusters in (CLUSTERS if self.wants("kafka") else ())
        ]

    def wants(self, *parts: str) -> bool:
        return bool(set(parts) & set(self.parts))

    def round(self) -> None:
        """The peers before the product and after it, never both at once: a machine that grows slower meanwhile, or
        quicker, does so for both. What runs over brokers is between the product's own runs for the same reason."""
        self.rounds.append({})
        self.journal.run = len(self.rounds)
        self._look_at_the_load()
        if not self._wants_product:
            self._peers()
        else:
            before = self._peers()
            self._product()
            after = self._peers()
            self.rounds[-1] |= {name: (rate + after[name]) / 2 for name, rate in before.items()}
        for over in self.over_kafka:
            self._note(**over.measure())

    @property
    def _wants_product(self) -> bool:
        return self.wants("start", "latency", "sagas", "burst", "identity", "memory", "kafka")

    def prepare(self) -> None:
        if self._wants_product:
            self.embedded.prepare()
        for over in self.over_kafka:
            over.prepare()

    def _look_at_the_load(self) -> None:
        busy = os.getloadavg()[0]
        if busy > BUSY and len(self.rounds) == 1:
            fact = f"The machine was not idle when this began (load average {busy:.1f}): take it for a rehearsal."
            self.journal.facts.append(fact)
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
        product = self.embedded.product
        try:
            self._note(start_seconds=product.start())
            if self.wants("start"):
                self._idle(product)
            self._under_load()
            if self.wants("memory"):
                self._memory(product)
        finally:
            product.stop()

    def _idle(self, product: ours.Product) -> None:
        """What it costs when nobody orders anything."""
        time.sleep(IDLE_SECONDS / 2)
        before = product.cpu()
        time.sleep(IDLE_SECONDS)
        spent = {
            part: (seconds - before.get(part, 0)) / IDLE_SECONDS for part, seconds in product.cpu().items()
        }
        self._note(idle_percent=100 * sum(spent.values()))

    def _under_load(self) -> None:
        if not self.wants("latency", "sagas", "burst", "identity", "kafka"):
            return
        self.embedded.warm_up()
        if self.wants("sagas", "kafka"):
            self._note(**self.embedded.sagas())
        if self.wants("burst"):
            self._note(**self.embedded.burst())
        if self.wants("latency"):
            self._note(**self.embedded.latency())
        if self.wants("identity"):
            self._note(**self.embedded.identity())
        self.embedded.look_for_all()

    def _memory(self, product: ours.Product) -> None:
        used = product.memory()
        self._note(memory_mb=sum(used.values()))
        parts = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(used.items(), key=lambda one: -one[1]))
        self.journal.facts.append(f"Memory in MB, run {len(self.rounds)}: {parts}.")

    def finish(self) -> None:
        self.embedded.finish()
        for over in self.over_kafka:
            over.finish()


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
    bench = Bench(folder, wanted.only, sizes(wanted), arguments)
    try:
        return measured(bench, 1 if wanted.quick else wanted.runs, to_file=not wanted.quick)
    except (ours.ProductFailed, Unexpected, peers.PeerFailed, embedded.StartRefused, Refused) as error:
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
    bench.journal.facts += [
        f"Code: {report.commit()}.",
        f"Data on {kind}; one fdatasync takes {sync:.0f} µs.",
    ]
    say(f"{report.machine()}; data on {kind}, fdatasync {sync:.0f} µs")
    if kind == "tmpfs":
        bench.journal.complaints.append(
            "the data folder is on tmpfs, where nothing is durable: give another with --folder"
        )
    bench.prepare()
    for number in range(1, runs + 1):
        say(f"run {number} of {runs}")
        bench.round()
    bench.finish()
    print("\n".join(["", *report.table(bench.rounds), ""]))
    for complaint in bench.journal.complaints:
        print(f"!! {complaint}")
    if to_file and set(bench.parts) == set(PARTS) and not bench.journal.complaints:
        RESULTS.write_text(report.document(bench.rounds, bench.journal.facts, bench.journal.spent))
        print(f"written to {RESULTS.relative_to(HERE.parent)}")
    return 1 if bench.journal.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
