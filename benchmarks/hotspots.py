"""Where the time goes: one load on the product, with Python's functions by samples and SQL by PostgreSQL's own log.

    hotspots.py [--load sagas|burst|latency] [--orders 3000] [--in-flight 2000] [--rate 100] [--top 25] [--no-sql]

Figures of such a run are slower than the benchmark's; only their shares mean something.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import product as ours
import report
from orderhub import topology

HERE = Path(__file__).resolve().parent

WATCHED = {topology.SIMULATOR, *(process for groups in topology.GROUPS.values() for process in groups)}
DURATION = re.compile(
    r" \[(?P<pid>\d+)\] \S*@(?P<db>\S+) LOG:  duration: (?P<ms>[\d.]+) ms(?:  (?P<what>parse|bind|execute|statement)"
    r"[^:]*: (?P<sql>.*))?"
)


def main() -> int:
    wanted = options()
    folder = Path(tempfile.mkdtemp(prefix="orderhub-hotspots-"))
    samples = folder / "samples"
    samples.mkdir()
    path = os.pathsep.join(filter(None, [str(HERE / "sampling"), os.environ.get("PYTHONPATH", "")]))
    arguments = ("--processes", wanted.processes) if wanted.processes else ()
    product = ours.Product(folder, arguments, {"PYTHONPATH": path, "BENCH_SAMPLES": str(samples)})
    try:
        product.start()
        product.seed()
        tokens, products = product.customers(), product.products()
        product.load(tokens, products, orders=500, in_flight=500)
        with sampled(product, samples), logged(product, wanted.sql) as statements:
            done = run(product, wanted, tokens, products)
        show_load(done)
        show_python(product, samples, done, wanted.top)
        if wanted.sql:
            show_sql(statements, len(done.order_ids), wanted.top)
        return 0
    finally:
        product.stop()
        shutil.rmtree(folder, ignore_errors=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--load", choices=("sagas", "burst", "latency"), default="sagas")
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--in-flight", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--processes", choices=get_args(topology.Processes))
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--no-sql", dest="sql", action="store_false", help="leave the SQL log off")
    return parser.parse_args()


def run(
    product: ours.Product, wanted: argparse.Namespace, tokens: list[str], products: list[str]
) -> ours.Load:
    if wanted.load == "sagas":
        return product.load(tokens, products, orders=wanted.orders, in_flight=wanted.in_flight)
    if wanted.load == "latency":
        return product.load(tokens, products, orders=wanted.orders, rate=wanted.rate)
    with product.paused():
        return product.load(tokens, products, orders=wanted.orders)


def show_load(done: ours.Load) -> None:
    orders = len(done.order_ids) or 1
    print(f"{orders} orders, {done.per_second_settled:.0f}/s, answer p50 {done.milliseconds(0.5):.1f} ms")
    print(f"CPU, ms per order: {report.spent(done.cpu, orders)}")


# --- Python ---


@contextlib.contextmanager
def sampled(product: ours.Product, samples: Path) -> Iterator[None]:
    pids = watched(product)
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    until = time.monotonic() + 10
    while len(list(samples.glob("*.json"))) < len(pids) and time.monotonic() < until:
        time.sleep(0.05)


def watched(product: ours.Product) -> dict[int, str]:
    return {pid: name for name, pid in product.runtime.pids.items() if name in WATCHED}


def show_python(product: ours.Product, samples: Path, done: ours.Load, top: int) -> None:
    for pid, name in watched(product).items():
        path = samples / f"{pid}.json"
        if path.exists():
            cpu_ms = 1000 * done.cpu.get(name, 0) / (len(done.order_ids) or 1)
            show_process(name, json.loads(path.read_text()), cpu_ms, top)


def show_process(name: str, stacks: list[Any], cpu_ms: float, top: int) -> None:
    """Shares by samples, milliseconds by those shares of the CPU that the process really used per order."""
    own: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for stack, count in stacks:
        own[place(stack[0])] += count
        packages[package(stack[0])] += count
        for entry in {place(one) for one in stack}:
            with_callees[entry] += count
    total = sum(own.values()) or 1
    print(f"\n== {name}: {cpu_ms:.2f} ms of CPU per order, {total} samples")
    print(
        "   by package: " + ", ".join(f"{key} {100 * n / total:.0f} %" for key, n in packages.most_common(14))
    )
    for title, counts in (("itself", own), ("with what it calls", with_callees)):
        print(f"   -- {title}")
        shown = [(entry, count) for entry, count in counts.most_common(top + 20) if count < 0.99 * total][
            :top
        ]
        for entry, count in shown:
            print(f"   {100 * count / total:5.1f} %  {cpu_ms * count / total:6.3f} ms  {entry}")


def place(entry: str) -> str:
    """`orderhub_chassis/db.py:121 Database.run`."""
    file, line, name = entry.rsplit(":", 2)
    return f"{'/'.join(Path(file).parts[-2:])}:{line} {name}"


def package(entry: str) -> str:
    parts = Path(entry.rsplit(":", 2)[0]).parts
    for above in ("site-packages", "src"):
        if above in parts:
            return parts[parts.index(above) + 1]
    return "standard library"


# --- SQL ---


@contextlib.contextmanager
def logged(product: ours.Product, wanted: bool) -> Iterator[Counter[tuple[str, str, str]]]:
    """Fills the counter with the milliseconds and the number of each statement, from the server's log."""
    found: Counter[tuple[str, str, str]] = Counter()
    if not wanted:
        yield found
        return
    log = product.place.postgres / "postgres.log"
    begin = log.stat().st_size
    set_logging(product, 0)
    yield found
    set_logging(product, -1)
    with log.open(errors="replace") as file:
        file.seek(begin)
        read_log(file.read(), found)


def set_logging(product: ours.Product, least_ms: int) -> None:
    product.sql("orderhub_orders", f"alter system set log_min_duration_statement = {least_ms}")
    product.sql("orderhub_orders", "alter system set log_parameter_max_length = 0")
    product.sql("orderhub_orders", "select pg_reload_conf()")
    time.sleep(0.3)


def read_log(text: str, found: Counter[tuple[str, str, str]]) -> None:
    """Continuation lines of a statement begin with a tab; our own checkpoint is none of the product's."""
    for line in re.sub(r"\n\t[ \t]*", " ", text).splitlines():
        if (seen := DURATION.search(line)) and seen["sql"] and seen["sql"] != "checkpoint":
            sql = re.sub(r"\s+", " ", seen["sql"]).strip()
            sql = re.sub(r"savepoint \S+", "savepoint …", sql)
            found[seen["db"], sql, "us"] += round(float(seen["ms"]) * 1000)
            found[seen["db"], sql, "count"] += seen["what"] in ("execute", "statement")


def show_sql(found: Counter[tuple[str, str, str]], orders: int, top: int) -> None:
    total = sum(n for (_, _, what), n in found.items() if what == "us")
    count = sum(n for (_, _, what), n in found.items() if what == "count")
    print(f"\n== SQL: {total / 1000 / orders:.2f} ms per order, {count / orders:.2f} statements per order")
    for database in sorted({key[0] for key in found}):
        own = sum(n for (db, _, what), n in found.items() if db == database and what == "us")
        said = sum(n for (db, _, what), n in found.items() if db == database and what == "count")
        print(f"   {database}: {own / 1000 / orders:.3f} ms, {said / orders:.2f} statements per order")
    worst = Counter({(db, sql): n for (db, sql, what), n in found.items() if what == "us"})
    for (database, sql), us in worst.most_common(top):
        times = found[database, sql, "count"]
        print(
            f"   {100 * us / (total or 1):5.1f} %  {us / 1000 / orders:6.3f} ms  {times:6d} ×"
            f" {us / 1000 / (times or 1):7.2f} ms  {database.removeprefix('orderhub_')}: {sql[:150]}"
        )


if __name__ == "__main__":
    sys.exit(main())
