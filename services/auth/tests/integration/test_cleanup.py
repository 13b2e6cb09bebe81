"""What is over goes: by a job of one replica, or once by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from orderhub_auth import cleanup
from orderhub_auth.app import Service, build
from orderhub_auth.cleanup import Cleanup, Kind
from orderhub_auth.settings import Settings
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2 as pb

ADA, PASSWORD = "ada@example.org", "a password for tests"
MONTH = timedelta(days=30)


class Past:
    """A user with all that is over some day: a session, spent and live tokens, codes, guesses."""

    def __init__(self, opened: Any) -> None:
        self.opened, self.db = opened, opened.db
        self.cleanup = Cleanup(self.db, MONTH)

    async def __call__(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await self.opened.peer.call(getattr(self.opened.stub, method), request)

    async def happens(self) -> pb.TokenPair:
        await self("Register", email=ADA, password=PASSWORD)
        await self.db.execute("update codes set spent_at = $1", self.opened.clock.now())
        await self("RequestPasswordReset", email=ADA)
        with pytest.raises(Failure):
            await self("Login", email=ADA, password="a wrong password")
        pair = await self("Login", email=ADA, password=PASSWORD)
        return await self("Refresh", refresh_token=pair.refresh_token)

    async def left(self) -> dict[str, int]:
        tables = ("codes", "sessions", "refresh_tokens", "guesses")
        return {table: await self.db.fetchval(f"select count(*) from {table}") for table in tables}


@pytest.fixture
async def past(opened: Any) -> Past:
    return Past(opened)


def deleted(done: dict[str, int]) -> dict[str, int]:
    return {what: count for what, count in done.items() if count}


async def test_nothing_that_lives_goes(past: Past) -> None:
    await past.happens()
    before = await past.left()
    assert deleted(await past.cleanup.run()) == {}
    assert await past.left() == before == {"codes": 2, "sessions": 1, "refresh_tokens": 2, "guesses": 4}


@pytest.mark.parametrize(
    ("kind", "after", "done"),
    [
        (Kind.CONSUMED, timedelta(minutes=61), {"used codes": 1}),
        (Kind.EXPIRED, timedelta(minutes=61), {"codes": 1}),
        (Kind.EXPIRED, timedelta(days=2), {"codes": 2, "guesses": 3}),
        (Kind.EXPIRED, timedelta(days=91), {"codes": 2, "guesses": 4}),
        (Kind.CONSUMED, MONTH + timedelta(seconds=1), {"refresh tokens": 1, "used codes": 1}),
        (Kind.SESSIONS, MONTH + timedelta(seconds=1), {"sessions": 1}),
    ],
    ids=["used code", "late code", "guesses", "known place", "spent token", "session"],
)
async def test_each_kind_goes_when_it_is_over_and_nothing_else_with_it(
    past: Past, kind: Kind, after: timedelta, done: dict[str, int]
) -> None:
    await past.happens()
    past.opened.clock.advance(after)
    assert deleted(await past.cleanup.run([kind])) == done
    assert await past.cleanup.run([kind]) == dict.fromkeys(await past.cleanup.run([kind]), 0)


async def test_more_than_a_batch_goes_in_one_run(past: Past) -> None:
    await past.happens()
    await past.db.execute(
        "insert into guesses (key, failures, failed_at) select int8send(n), 1, $1 from generate_series(1, 2500) n",
        past.opened.clock.now() - timedelta(days=2),
    )
    assert deleted(await past.cleanup.run()) == {"guesses": 2500}


@asynccontextmanager
async def replica(settings: Settings, clock: ManualClock) -> AsyncIterator[Service]:
    async with build(settings, Surroundings(clock=clock)) as service:
        yield service


async def test_of_two_replicas_one_cleans_up_per_period(
    settings: Settings, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, runs, run = ManualClock(), 0, Cleanup.run

    async def counted(job: Cleanup) -> dict[str, int]:
        nonlocal runs
        runs += 1
        return await run(job)

    monkeypatch.setattr(Cleanup, "run", counted)
    async with replica(settings, clock) as one, replica(settings, clock) as other:

        async def ran() -> bool:
            return runs > 0

        assert await eventually(ran), "by itself at the start"
        jobs = [Cleanup(service.chassis.db, MONTH) for service in (one, other)]
        for period in (1, 2, 3):
            for _ in range(3):
                await asyncio.gather(*(job.if_due() for job in jobs))
            assert runs == period
            clock.advance(cleanup.EVERY)


async def test_the_command_line_runs_the_same_on_the_database_itself(past: Past, settings: Settings) -> None:
    """By the clock of the machine, years after that of the test."""
    await past.happens()
    assert deleted(await cleanup.run_once(settings, [Kind.SESSIONS])) == {"sessions": 1}
    assert await past.left() == {"codes": 2, "sessions": 0, "refresh_tokens": 0, "guesses": 4}
    assert deleted(await cleanup.run_once(settings, list(Kind))) == {"codes": 2, "guesses": 4}
