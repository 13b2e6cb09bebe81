"""From the rounds' figures to a table: medians, ratios within a round, targets, and whether they are reached."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

Round = Mapping[str, float]


@dataclass(frozen=True)
class Figure:
    """A row. `of` gives its value in one round, None where the round did not measure it.

    `targets`: what has to be reached now, next, and one day; empty for a figure that only informs.
    """

    title: str
    of: Callable[[Round], float | None]
    targets: tuple[float, ...] = ()
    unit: str = ""
    less_is_better: bool = False

    def reaches(self, value: float, target: float) -> bool:
        return value <= target if self.less_is_better else value >= target


def plain(name: str) -> Callable[[Round], float | None]:
    return lambda found: found.get(name)


def ratio(above: str, below: str) -> Callable[[Round], float | None]:
    return lambda found: found[above] / found[below] if above in found and below in found else None


FIGURES: Final = (
    Figure("our sagas ÷ pgbench's", ratio("sagas", "pgbench"), (1.0, 1.5, 2.5)),
    Figure("our sagas ÷ DBOS's", ratio("sagas", "dbos"), (12, 15, 30)),
    Figure("accepted in a burst ÷ pgbench's sagas", ratio("burst", "pgbench"), (2.5, 3.5, 6)),
    Figure("POST → CONFIRMED at 100 orders/s, p50", plain("p50_ms"), (50, 50, 20), "ms", True),
    Figure("POST → CONFIRMED at 100 orders/s, p99", plain("p99_ms"), (150, 150, 60), "ms", True),
    Figure("warm start of `orderhub up` to ready", plain("start_seconds"), (6, 6, 3), "s", True),
    Figure(
        "proportional memory of everything after the load", plain("memory_mb"), (900, 900, 500), "MB", True
    ),
    Figure("our sagas over one broker ÷ embedded", ratio("sagas_over_one", "sagas"), (0.7,)),
    Figure("our sagas over three brokers ÷ embedded", ratio("sagas_over_three", "sagas"), (0.45,)),
    Figure("relay to three brokers, one process", plain("relay_over_three"), (20_000,), "/s"),
    Figure("consumer from three brokers, inbox and handler", plain("consumer_over_three"), (20_000,), "/s"),
    Figure(
        "POST → CONFIRMED at 100 orders/s over one broker, p99", plain("p99_ms_over_one"), (200,), "ms", True
    ),
    Figure("… p50", plain("p50_ms_over_one"), unit="ms"),
    Figure("a request with a known token, over an anonymous one", plain("token_us"), (50,), "µs", True),
    Figure(
        "p99 of other requests: 20 logins at once ÷ idle", plain("login_ratio"), (3,), less_is_better=True
    ),
    Figure("… idle", plain("login_idle_p99_ms"), unit="ms"),
    Figure("… 20 logins at once", plain("login_busy_p99_ms"), unit="ms"),
    Figure("CPU while nobody orders, of one core", plain("idle_percent"), unit="%"),
    Figure("our sagas, HTTP in → CONFIRMED", plain("sagas"), unit="/s"),
    Figure("pgbench, the saga one at a time in C", plain("pgbench"), unit="/s"),
    Figure("DBOS, the saga in four steps", plain("dbos"), unit="/s"),
    Figure("POST /orders in a burst, participants paused", plain("burst"), unit="/s"),
    Figure("… p50 of the answer", plain("burst_p50_ms"), unit="ms"),
    Figure("… p99 of the answer", plain("burst_p99_ms"), unit="ms"),
    Figure("… and drained afterwards", plain("drain"), unit="/s"),
)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def table(rounds: Sequence[Round]) -> list[str]:
    """The lines of a Markdown table, as good on a terminal."""
    rows = [("figure", "median", "each run", "to reach", "next", "one day", "reached")]
    for figure in FIGURES:
        values = [value for found in rounds if (value := figure.of(found)) is not None]
        if values:
            rows.append(_row(figure, values))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _row(figure: Figure, values: list[float]) -> tuple[str, ...]:
    median = statistics.median(values)
    sign = "≤" if figure.less_is_better else "≥"
    targets = [f"{sign} {target:g}" for target in figure.targets] + [""] * (3 - len(figure.targets))
    unit = f" {figure.unit}" if figure.unit else ""
    each = ", ".join(map(shown, values))
    return (figure.title, f"{shown(median)}{unit}", each, *targets, _verdict(figure, median))


def _verdict(figure: Figure, median: float) -> str:
    if not figure.targets:
        return ""
    names = ("yes", "yes, and the next", "yes, all")
    reached = [
        name for name, target in zip(names, figure.targets, strict=False) if figure.reaches(median, target)
    ]
    return reached[-1] if reached else "NO"


def spent(cpu: Mapping[str, float], orders: int) -> str:
    """Where the time of a run went: milliseconds of CPU per order, the most expensive part first."""
    parts = sorted(cpu.items(), key=lambda item: -item[1])
    return ", ".join(f"{part} {1000 * seconds / orders:.2f}" for part, seconds in parts if seconds > 0)


# --- the machine ---


def fdatasync_us(folder: Path, times: int = 200) -> float:
    """What a durable write costs in this folder: it decides how fast anything that commits can be."""
    path = folder / "fdatasync"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        seconds = []
        for _ in range(times):
            os.pwrite(descriptor, b"x" * 8192, 0)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            seconds.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(seconds) * 1e6


def file_system(folder: Path) -> str:
    """The kind of file system a folder is on; `tmpfs` makes every figure worthless, as nothing is durable there."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        if (str(folder) + "/").startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def machine() -> str:
    """Cores, memory, processor and system, without a name of the machine."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in facts if line.startswith("model name")), platform.machine()
    )
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model}, {gib:.0f} GiB, Python {platform.python_version()}"
    )


def commit() -> str:
    """Which state of the code was measured."""

    def git(*arguments: str) -> str:
        here = Path(__file__).resolve().parent
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = (
        " with changes that are not committed" if git("status", "--porcelain", "--untracked-files=no") else ""
    )
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def document(rounds: Sequence[Round], facts: Sequence[str], notes: Sequence[str]) -> str:
    """RESULTS.md."""
    return "\n".join([
        "# Results of the last `make bench`", "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.", "",
        *(f"- {fact}" for fact in facts), "",
        f"Medians of {len(rounds)} runs, each with the peers beside it; a ratio is taken within a run. `README.md` says "
        "what is measured and how.", "",
        *table(rounds), "",
        "CPU of a run, in milliseconds per order:", "",
        *(f"- {note}" for note in notes), "",
    ])  # fmt: skip
