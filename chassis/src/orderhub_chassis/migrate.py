"""Schema migrations: plain SQL files, applied once and in order, each in its own transaction.

Files are named `NNNN_pre_<what>.sql` (before the new code runs: it must suit the old code too) or
`NNNN_post_<what>.sql` (when no old code runs any more). A changed file that was applied already is an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

NAME = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
LOCK = 7_301_186_410_772


class MigrationError(Exception):
    """The files and what the database has applied do not fit together."""


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


async def migrate(connection: Any, *packages: str, phase: Literal["pre", "post", "all"] = "all") -> list[str]:
    """Apply what is missing, one process at a time; returns the names applied. Each package keeps its own list.

    Nothing of it outlives a transaction, so that it may go through a pooler.
    """
    async with _alone(connection):
        await connection.execute(
            "create table if not exists schema_migrations (package text, name text, checksum text not null,"
            " applied_at timestamptz not null default now(), primary key (package, name))"
        )
        missing = [one for package in packages for one in await _missing(connection, package, phase)]
    return [migration.name for package, migration in missing if await _apply(connection, package, migration)]


@contextlib.asynccontextmanager
async def _alone(connection: Any) -> AsyncIterator[None]:
    """A transaction during which nobody else migrates this database."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
        yield


async def _missing(connection: Any, package: str, phase: str) -> list[tuple[str, Migration]]:
    """Raises MigrationError when a file that was applied is another one now."""
    rows = await connection.fetch("select name, checksum from schema_migrations where package = $1", package)
    applied = {row["name"]: row["checksum"] for row in rows}
    found = []
    for migration in migrations_of(package):
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(f"{package}: {migration.name} was changed after it had been applied")
        if migration.name not in applied and phase in ("all", migration.phase):
            found.append((package, migration))
    return found


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


async def pending(connection: Any, *packages: str) -> list[str]:
    """Names of the migrations that this code has and the database has not."""
    if not await connection.fetchval("select to_regclass('schema_migrations')::text"):
        return [m.name for package in packages for m in migrations_of(package)]
    rows = await connection.fetch("select package, name from schema_migrations")
    applied = {(row["package"], row["name"]) for row in rows}
    return [
        m.name for package in packages for m in migrations_of(package) if (package, m.name) not in applied
    ]
