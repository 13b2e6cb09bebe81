"""`orderhub check`: passes over all databases, and what they find.

The databases are read a moment apart while orders may move, so a difference counts only when the next pass, a few seconds
later, sees the very same one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from orderhub_chassis import driver
from orderhub_chassis.errors import Unavailable

from orderhub import databases, home, settings, topology
from orderhub.checks import inside, messages, people, stories
from orderhub.checks.log import EmbeddedLog
from orderhub.checks.model import Check, Finding, Log, View, finding
from orderhub.exits import Exit, Refused
from orderhub.output import Output
from orderhub.reach import Reach

PAUSE_SECONDS: Final = 3.0
SHOWN: Final = 20

CHECKS: Final[tuple[Check, ...]] = (*inside.CHECKS, *messages.CHECKS, *people.CHECKS)
NAMES: Final = (*(check.name for check in CHECKS), *(name for name, _, _ in stories.JUDGES))


def run(place: home.Home, out: Output, *, only: Sequence[str] = ()) -> Exit:
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        raise Refused(f"there is no check {', '.join(unknown)}, but: {', '.join(NAMES)}", Exit.USAGE)
    with databases.reachable(place) as reach:
        found = asyncio.run(confirmed(reach, only=only))
    _report(out, found, len(only) or len(NAMES))
    return Exit.FOUND if found else Exit.DONE


async def confirmed(reach: Reach, *, only: Sequence[str] = ()) -> list[Finding]:
    """What two passes find. Whether a system on servers runs is not known here, so it is taken for one that does."""
    found = await one_pass(reach, only=only)
    if not found:
        return found
    await asyncio.sleep(PAUSE_SECONDS)
    again = set(await one_pass(reach, only=sorted({f.check for f in found})))
    return [f for f in found if f in again]


async def one_pass(reach: Reach, *, only: Sequence[str] = ()) -> list[Finding]:
    names = topology.databases(reach.kafka)
    async with contextlib.AsyncExitStack() as stack:
        opened = await asyncio.gather(*(_snapshot(reach.dsn(name)) for name in names))
        for connection in opened:
            stack.push_async_callback(connection.close, timeout=5)
        connections = dict(zip(names, opened, strict=True))
        view = View(connections, _log(reach, connections), datetime.now(UTC), reach.live)
        try:
            return [f async for f in findings(view, only)]
        except Unavailable as error:
            raise Refused(str(error)) from error


def _log(reach: Reach, connections: Mapping[str, Any]) -> Log:
    if not reach.kafka:
        return EmbeddedLog(connections[topology.BUS_DATABASE])
    from orderhub_chassis.bus.kafka.cluster import Cluster

    from orderhub.checks.brokers import BrokersLog

    return BrokersLog(Cluster.of(reach.kafka, settings.loaded()))


async def _snapshot(dsn: str) -> Any:
    """A connection whose every read sees the moment of its first."""
    try:
        connection = await driver.connect(dsn, {})
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Refused(f"the database cannot be reached: {error or type(error).__name__}") from error
    await connection.execute("begin isolation level repeatable read read only; set local jit = off; select 1")
    return connection


async def findings(view: View, only: Sequence[str] = ()) -> AsyncIterator[Finding]:
    """What all checks (or `only` those) find in one view."""
    for check in CHECKS:
        if (not only or check.name in only) and (view.live or not check.live_only):
            for row in await check.find(view):
                yield finding(check.name, row)
    judges = [(name, judge) for name, _, judge in stories.JUDGES if not only or name in only]
    if judges:
        async for story in stories.stories(view):
            for name, judge in judges:
                for row in judge(story):
                    yield finding(name, row)


def sentences() -> Mapping[str, str]:
    """Name → what has to be true."""
    return {check.name: check.says for check in CHECKS} | {name: says for name, says, _ in stories.JUDGES}


def _report(out: Output, found: Sequence[Finding], count: int) -> None:
    if out.as_json:
        rows = [{"check": f.check, **f.shown} for f in found]
        out.result({"clean": not found, "checks": count, "findings": rows})
        return
    said = sentences()
    for name in dict.fromkeys(f.check for f in found):
        same = [f for f in found if f.check == name]
        out.say(f"✗ {name}: {said[name]}")
        for row in same[:SHOWN]:
            out.say("    " + "  ".join(f"{column}={value}" for column, value in row.row))
        if len(same) > SHOWN:
            out.say(f"    and {len(same) - SHOWN} more (all of them with --json)")
    out.say(f"{len(found)} rows break what has to be true." if found else f"✓ {count} checks, all clean.")
