"""Schema migrations: plain SQL files, applied once and in order, each in its own transaction.

Files are named `NNNN_pre_<what>.sql` (before the new code runs: it must suit the old code too) or
`NNNN_post_<what>.sql` (when no old code runs any more). A changed file that was applied already is an error.

A roll-out is `pre`, then new code beside the old, then `post`. So code starts when all `pre` files of its own are
applied, does with and without its `post` files, and does not mind files that only newer code knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

NAME = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
LOCK = 7_301_186_410_772
Phase = Literal["pre", "post", "all"]


class MigrationError(Exception):
    """The files and what the database has applied do not fit together."""


class Behind(MigrationError):
    """The database waits for `orderhub migrate`."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    phase: Literal["pre", "post"]
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(package: str, folder: str = "migrations") -> list[Migration]:
    """The files of `<package>/<folder>`, in order. Raises MigrationError."""
    found = []
    for entry in sorted(resources.files(package).joinpath(folder).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            match = NAME.match(entry.name)
            if not match:
                raise MigrationError(f"{package}: {entry.name} is not named NNNN_pre|post_<what>.sql")
            found.append(Migration(entry.name, "pre" if match[2] == "pre" else "post", entry.read_text()))
    return found


async def migrate(connection: Any, *packages: str, phase: Phase = "all") -> list[str]:
    """Apply what is missing, one process at a time; returns the names applied. Each package keeps its own list.

    Raises MigrationError where the phase would break what runs: `pre` while an earlier roll-out still waits for its
    `post`, `post` before all of `pre`. Nothing of it outlives a transaction, so that it may go through a pooler.
    """
    async with _alone(connection):
        await connection.execute(
            "create table if not exists schema_migrations (package text, name text, checksum text not null,"
            " applied_at timestamptz not null default now(), primary key (package, name))"
        )
        missing = [one for package in packages for one in await _wanted(connection, package, phase)]
    return [migration.name for package, migration in missing if await _apply(connection, package, migration)]


@contextlib.asynccontextmanager
async def _alone(connection: Any) -> AsyncIterator[None]:
    """A transaction during which nobody else migrates this database."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
        yield


async def _wanted(connection: Any, package: str, phase: Phase) -> list[tuple[str, Migration]]:
    rows = await connection.fetch("select name, checksum from schema_migrations where package = $1", package)
    applied = {row["name"]: row["checksum"] for row in rows}
    missing = _missing(package, applied)
    return [(package, one) for one in _of_phase(package, missing, phase, is_new=not applied)]


async def _apply(connection: Any, package: str, migration: Migration) -> bool:
    """In one transaction with its row; False where another process was quicker."""
    async with _alone(connection):
        there = "select from schema_migrations where package = $1 and name = $2"
        if await connection.fetchrow(there, package, migration.name) is not None:
            return False
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migrations (package, name, checksum) values ($1, $2, $3)",
            package, migration.name, migration.checksum,
        )  # fmt: skip
    return True


def _missing(package: str, applied: Mapping[str, str]) -> list[Migration]:
    """Raises MigrationError when a file that was applied is another one now."""
    missing = []
    for migration in migrations_of(package):
        if migration.name not in applied:
            missing.append(migration)
        elif applied[migration.name] != migration.checksum:
            raise MigrationError(f"{package}: {migration.name} was changed after it had been applied")
    return missing


def _of_phase(package: str, missing: list[Migration], phase: Phase, *, is_new: bool) -> list[Migration]:
    """Those to apply now. In a new database no old code runs, so that an old `post` may go before a later `pre`."""
    before = [number for number, migration in enumerate(missing) if migration.phase == "pre"]
    if phase == "all":
        return missing
    if phase == "post":
        if before:
            raise MigrationError(
                f"{package}: {missing[before[0]].name} comes first: `orderhub migrate --pre`"
            )
        return missing
    chosen = missing[: before[-1] + 1] if before else []
    early = [migration.name for migration in chosen if migration.phase == "post"]
    if early and not is_new:
        raise MigrationError(
            f"{package}: {early[0]} belongs to an earlier roll-out: once none of the code before it runs, finish"
            " that with its release (`orderhub migrate --post`)"
        )
    return chosen


async def pending(connection: Any, *packages: str, phase: Phase = "all") -> list[str]:
    """Names of the migrations that this code has and the database has not."""
    wanted = [
        (package, m.name) for package in packages for m in migrations_of(package) if phase in ("all", m.phase)
    ]
    if not await connection.fetchval("select to_regclass('schema_migrations')::text"):
        return [name for _, name in wanted]
    rows = await connection.fetch("select package, name from schema_migrations")
    applied = {(row["package"], row["name"]) for row in rows}
    return [name for package, name in wanted if (package, name) not in applied]
