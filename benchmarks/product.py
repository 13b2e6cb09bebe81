"""Our side: the product as a user runs it (`orderhub up` with its defaults), driven and watched from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from loadgen import OPEN, Plan
from orderhub import bench_data, children, home, inside, ports
from orderhub.load import customers

LOADGEN = Path(__file__).with_name("loadgen.py")
PARTICIPANTS = ("orderhub_inventory", "orderhub_payments", "orderhub_delivery")
CUSTOMERS = 100
"""Enough that no customer meets its rate limit (100 requests/s), which stays on."""

START_WITHIN = 120.0
STOP_WITHIN = 90.0
TICKS = os.sysconf("SC_CLK_TCK")


class ProductFailed(Exception):
    """The product did not do what it has to; the message says what."""


@dataclass(frozen=True)
class Load:
    """What the load generator saw, and what the product's processes spent meanwhile (seconds of CPU by part)."""

    outcome: dict[str, Any]
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def order_ids(self) -> list[str]:
        return list(self.outcome["order_ids"])

    @property
    def per_second_accepted(self) -> float:
        return len(self.order_ids) / self.outcome["seconds_posting"]

    @property
    def per_second_settled(self) -> float:
        return len(self.order_ids) / self.outcome["seconds_settling"]

    def milliseconds(self, share: float) -> float:
        """A percentile of the time to the answer."""
        seconds = sorted(self.outcome["answer_seconds"])
        return 1000 * seconds[min(len(seconds) - 1, int(len(seconds) * share))]

    def complaints(self) -> list[str]:
        """Why this run does not count, if so."""
        found = [
            f"{n} answers {status}"
            for status, n in self.outcome["answers"].items()
            if status not in "200 202"
        ]
        return found if self.outcome["in_time"] else [*found, "it did not end in time"]


class Product:
    """One installation in a folder of its own."""

    def __init__(
        self, folder: Path, arguments: tuple[str, ...] = (), environment: dict[str, str] | None = None
    ) -> None:
        self.place = home.at(folder / "home")
        self.port = ports.free_port()
        self._folder = folder
        self._arguments = arguments
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("ORDERHUB_")}
        self._environment |= environment or {}
        self._child: children.Child | None = None

    # --- life ---

    def start(self) -> float:
        """Seconds until the gateway is ready."""
        argv = [sys.executable, *self._command("up", "--port", str(self.port), *self._arguments)]
        began = time.monotonic()
        self._child = children.start(
            children.Program(
                "up", argv, self._log, env=self._environment, cwd=self._folder,
                at_launcher_death=signal.SIGTERM, stops=((signal.SIGTERM, STOP_WITHIN), (signal.SIGKILL, 5.0)),
            )
        )  # fmt: skip
        self._until(self._is_ready, began + START_WITHIN)
        seconds = time.monotonic() - began
        self._until(lambda: self.place.runtime() is not None, began + START_WITHIN)
        return seconds

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    @property
    def _log(self) -> Path:
        return self._folder / "up.log"

    def _until(self, true: Any, until: float) -> None:
        while not true():
            if self._child is None or self._child.exit_code() is not None or time.monotonic() > until:
                raise ProductFailed("`orderhub up`: " + " / ".join(children.last_lines(self._log)))
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        url = f"http://{ports.LOOPBACK}:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # urllib's own errors are OSErrors too, a 503 among them
            return False

    def _command(self, *arguments: str) -> list[str]:
        return ["-m", "orderhub", *arguments, "--home", str(self.place.path)]

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """An `orderhub` command in this installation."""
        return subprocess.run(
            [sys.executable, *self._command(*arguments)],
            env=self._environment, cwd=self._folder, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip

    def seed(self) -> None:
        done = self.cli("seed", "--bench")
        if done.returncode != 0:
            raise ProductFailed(f"`orderhub seed --bench`: {(done.stderr or done.stdout).strip()[-1000:]}")

    @property
    def runtime(self) -> home.Runtime:
        found = self.place.runtime()
        if found is None:
            raise ProductFailed(
                "the product does not run any more: " + " / ".join(children.last_lines(self._log))
            )
        return found

    # --- load ---

    def customers(self) -> list[str]:
        """Access tokens of customers who registered through the gateway."""
        url = self.runtime.addresses["gateway"]
        return asyncio.run(customers.pool(self.place, url, CUSTOMERS, run_seconds=240))

    def products(self) -> list[str]:
        return asyncio.run(self._products())

    async def _products(self) -> list[str]:
        async with inside.connected(self.place, self.runtime.addresses) as doors:
            return await bench_data.product_ids(doors)

    def load(self, tokens: list[str], products: list[str], **shape: Any) -> Load:
        """Run the load generator to its end."""
        plan = Plan(
            ports.LOOPBACK,
            self.port,
            tokens,
            products,
            orders_database=self.runtime.urls["orderhub_orders"],
            **shape,
        )
        self.sql("orderhub_orders", "checkpoint")
        before = self.cpu()
        done = subprocess.run(
            [sys.executable, str(LOADGEN)],
            input=json.dumps(asdict(plan)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProductFailed(f"the load generator: {done.stderr.strip()[-1000:]}")
        outcome = json.loads(done.stdout)
        spent = {part: seconds - before.get(part, 0) for part, seconds in self.cpu().items()}
        return Load(outcome, spent | {"load generator": outcome["cpu_seconds"]})

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Inventory, payments and delivery wait for the length of the block, whatever process they are in.

        A session of ours holds their inbox tables, so their consumers wait at the first statement of their next
        batch, as they would for a twin: they spend nothing, lose nothing, and go on at once.
        """
        with asyncio.Runner() as runner:
            connections = [runner.run(asyncpg.connect(self.runtime.urls[name])) for name in PARTICIPANTS]
            try:
                for connection in connections:
                    runner.run(connection.execute("begin; lock table inbox in exclusive mode"))
                yield
            finally:
                for connection in connections:
                    runner.run(connection.close())

    # --- what became of it ---

    def sql(self, database: str, query: str, *arguments: Any) -> list[Any]:
        async def asked() -> list[Any]:
            connection = await asyncpg.connect(self.runtime.urls[database])
            try:
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()

        return asyncio.run(asked())

    def until_settled(self, within: float = 180.0) -> float:
        """Seconds until no order is open."""
        return asyncio.run(self._until_settled(within))

    async def _until_settled(self, within: float) -> float:
        connection = await asyncpg.connect(self.runtime.urls["orderhub_orders"])
        began = time.monotonic()
        try:
            while still_open := await connection.fetchval(OPEN):
                if time.monotonic() - began > within:
                    raise ProductFailed(f"{still_open} orders are not settled after {within:.0f} s")
                await asyncio.sleep(0.05)
        finally:
            await connection.close()
        return time.monotonic() - began

    def statuses(self, order_ids: list[str]) -> dict[str, int]:
        """How many of these orders are there in which state; `missing` those that are not there."""
        rows = self.sql(
            "orderhub_orders",
            "select status, count(*) from orders where id = any($1::uuid[]) group by 1",
            order_ids,
        )
        found = {str(status): int(count) for status, count in rows}
        missing = len(order_ids) - sum(found.values())
        return found | ({"missing": missing} if missing else {})

    def durability(self) -> dict[str, str]:
        """The settings of the product's own PostgreSQL that must never be off."""
        names = ["fsync", "synchronous_commit", "full_page_writes"]
        rows = self.sql(
            "orderhub_orders", "select name, setting from pg_settings where name = any($1)", names
        )
        return {str(name): str(value) for name, value in rows}

    def check(self) -> tuple[bool, str]:
        """`orderhub check`: whether it is clean, and the end of what it said."""
        done = self.cli("check")
        return done.returncode == 0, (done.stdout + done.stderr).strip()[-2000:]

    # --- what it costs ---

    def processes(self) -> dict[int, str]:
        """pid → part, of all processes of the installation: what the launcher started, and their children."""
        runtime = self.runtime
        named = {pid: name for name, pid in runtime.pids.items()} | {runtime.launcher: "launcher"}
        parents = _parents()
        found = {}
        for pid in parents:
            above = pid
            while above and above not in named:
                above = parents.get(above, 0)
            if above:
                found[pid] = named[above]
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU by part since they began, with what ended children spent."""
        spent: Counter[str] = Counter()
        for pid, part in self.processes().items():
            with contextlib.suppress(OSError):
                spent[part] += sum(map(int, _stat(pid)[11:15])) / TICKS
        return dict(spent)

    def memory(self) -> dict[str, float]:
        """Proportional set size in MB by part: shared pages are counted once, whoever shares them."""
        used: Counter[str] = Counter()
        for pid, part in self.processes().items():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                used[part] += (
                    sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1000
                )
        return dict(used)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (the second may hold spaces): state, ppid, …"""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _parents() -> dict[int, int]:
    """pid → parent of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry)] = int(_stat(int(entry))[1])
    return found
