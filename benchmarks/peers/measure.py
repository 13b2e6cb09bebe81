"""The peers' figures: pgbench and DBOS against one embedded PostgreSQL, started like the product's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orderhub import embedded

HERE = Path(__file__).resolve().parent
CLIENTS, THREADS, IN_FLIGHT = 16, 2, 32
WITHIN_SECONDS = 300.0


class PeerFailed(Exception):
    """A peer did not run; the message says why."""


@dataclass(frozen=True)
class Sagas:
    """Completed sagas per second, and how long one took."""

    per_second: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def fresh_database(server: embedded.Postgres, name: str) -> None:
    """New tables each time: a peer shall not pay for what its last run left behind."""
    server.sql(f"drop database if exists {name} with (force)")
    server.ensure_database(name)
    server.sql((HERE / "tables.sql").read_text(), name)
    server.sql("vacuum analyze; checkpoint", name)


def pgbench(server: embedded.Postgres, seconds: int) -> Sagas:
    fresh_database(server, "bench_pgbench")
    argv = [
        str(server.bin / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--jobs={THREADS}",
        f"--time={seconds}", f"--file={HERE / 'saga.pgbench.sql'}", "bench_pgbench",
    ]  # fmt: skip
    said = _run(argv, server.environment)
    if failed := re.search(r"number of failed transactions: ([1-9]\d*)", said):
        raise PeerFailed(f"pgbench: {failed.group(1)} failed transactions")
    return Sagas(_number(r"^tps = ([\d.]+)", said), p50_ms=_number(r"^latency average = ([\d.]+) ms", said))


def dbos(server: embedded.Postgres, orders: int) -> Sagas:
    fresh_database(server, "bench_dbos")
    script = str(HERE / "dbos_saga.py")
    said = json.loads(
        _run(
            [sys.executable, script, server.dsn("bench_dbos"), str(orders), str(IN_FLIGHT)], {}
        ).splitlines()[-1]
    )
    if said["unconfirmed"]:
        raise PeerFailed(f"DBOS: {said['unconfirmed']} orders are not confirmed")
    return Sagas(said["per_second"], said["p50_ms"], said["p99_ms"])


def _run(argv: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        argv,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_SECONDS,
    )
    if done.returncode != 0:
        raise PeerFailed(f"{Path(argv[0]).name}: {(done.stderr.strip() or done.stdout.strip())[-2000:]}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise PeerFailed(f"the answer has no {pattern!r}: {text[-500:]}")
    return float(found.group(1))
