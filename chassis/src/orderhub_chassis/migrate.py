"""Schema migrations: plain SQL files, applied once and in order, each in its own transaction.

Files are named `NNNN_pre_<what>.sql` (before the new code runs: it must suit the old code too) or
`NNNN_post_<what>.sql` (when no old code runs any more). A changed file that was applied already is an error.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

NAME = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")
LOCK = 7_301_186_410_772


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


def migrations_of(package: str) -> list[Migration]:
    """The files of `<package>/migrations`, in order."""
    found = []
    for entry in sorted(resources.files(package).joinpath("migrations").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            match = NAME.match(entry.name)
            if not match:
                raise MigrationError(f"{package}: {entry.name} is not named NNNN_pre|post_<what>.sql")
            found.append(Migration(entry.name, "pre" if match[2] == "pre" else "post", entry.read_text()))
    return found


async def migrate(connection: Any, *packages: str, phase: Literal["pre", "post", "all"] = "all") -> list[str]:
    """Apply what is missing, one process at a time; returns the names applied. Each package keeps its own list."""
    await connection.execute("select pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(
            "create table if not exists schema_migrations (package text, name text, checksum text not null,"
            " applied_at timestamptz not null default now(), primary key (package, name))"
        )
        return [name for package in packages for name in await _apply(connection, package, phase)]
    finally:
        await connection.execute("select pg_advisory_unlock($1)", LOCK)


async def _apply(connection: Any, package: str, phase: str) -> list[str]:
    rows = await connection.fetch("select name, checksum from schema_migrations where package = $1", package)
    applied = {row["name"]: row["checksum"] for row in rows}
    done = []
    for migration in migrations_of(package):
        if migration.name in applied:
            if applied[migration.name] != migration.checksum:
                raise MigrationError(f"{package}: {migration.name} was changed after it had been applied")
        elif phase in ("all", migration.phase):
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into schema_migrations (package, name, checksum) values ($1, $2, $3)",
                    package, migration.name, migration.checksum,
                )  # fmt: skip
            done.append(migration.name)
    return done


async def pending(connection: Any, *packages: str) -> list[str]:
    """Names of the migrations that this code has and the database has not."""
    if not await connection.fetchval("select to_regclass('schema_migrations')::text"):
        return [m.name for package in packages for m in migrations_of(package)]
    rows = await connection.fetch("select package, name from schema_migrations")
    applied = {(row["package"], row["name"]) for row in rows}
    return [
        m.name for package in packages for m in migrations_of(package) if (package, m.name) not in applied
    ]
