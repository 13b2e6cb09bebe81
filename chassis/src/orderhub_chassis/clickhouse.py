"""The only way to ClickHouse: numbered migrations, batches that count once, queries. One client for a server and for chdb.

The driver blocks and has no asynchronous form for chdb, so each client has a thread of its own: the loop is never held,
and its calls run one after another. Whoever must not wait behind a long query opens a second client.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from orderhub_chassis.errors import Unavailable
from orderhub_chassis.migrate import Migration, MigrationError, migrations_of

T = TypeVar("T")
FOLDER: Final = "clickhouse"
"""Where a package keeps its migrations; those of PostgreSQL are in `migrations`."""
CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 30
SHOWN: Final = 200
"""Characters of a statement and of a reason that an error repeats."""
AWAY: Final = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        319,  # UNKNOWN_STATUS_OF_INSERT
        516,  # AUTHENTICATION_FAILED: mended at the server, as in PostgreSQL
        999,  # KEEPER_EXCEPTION
    }
)
"""Codes of errors that time or an operator mends; all others are the statement's fault."""

LIST: Final = """
create table if not exists schema_migrations (
    package String, name String, checksum String, applied_at DateTime64(3, 'UTC') default now64(3)
) engine = ReplacingMergeTree order by (package, name)
"""
APPLIED: Final = "select name, checksum from schema_migrations final where package = {package:String}"
COLUMNS: Final = ("package", "name", "checksum")


class StatementFailed(Exception):
    """A statement that ClickHouse refuses: a bug of ours, so no `Failure`. `code` is ClickHouse's own, or None."""

    def __init__(self, statement: str, reason: str, code: int | None) -> None:
        super().__init__(f"{_short(statement)}: {_short(reason)}")
        self.statement = statement
        self.code = code


class ClickHouse:
    """Open it with `ClickHouse.open`. Every method raises Unavailable while there is no server, and StatementFailed."""

    def __init__(self, url: str) -> None:
        self._open = functools.partial(_client, url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clickhouse")
        self._client: Any = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[ClickHouse]:
        """Connects at the first call, so a service may start before its server.

        `chdb:///folder` or `http(s)://user:password@host:port/database`. One process may have one chdb folder open.
        """
        opened = cls(url)
        try:
            yield opened
        finally:
            await asyncio.get_running_loop().run_in_executor(opened._thread, opened._close)
            opened._thread.shutdown(wait=False)

    async def migrate(self, *packages: str) -> list[str]:
        """Apply what is missing, in order; returns the names applied. Raises MigrationError.

        A file of `<package>/clickhouse` is one statement, and one that may run twice (`if not exists`): ClickHouse
        has no transaction that would take it back, and no lock that would keep two processes apart.
        """
        await self.execute(LIST)
        return [name for package in packages for name in await self._migrate(package)]

    async def _migrate(self, package: str) -> list[str]:
        rows = await self.fetch(APPLIED, package=package)
        applied = {row["name"]: row["checksum"] for row in rows}
        files = migrations_of(package, FOLDER)
        for migration in files:
            if applied.get(migration.name, migration.checksum) != migration.checksum:
                raise MigrationError(f"{package}: {migration.name} was changed after it had been applied")
        missing = [migration for migration in files if migration.name not in applied]
        for migration in missing:
            await self._apply(package, migration)
        return [migration.name for migration in missing]

    async def _apply(self, package: str, migration: Migration) -> None:
        await self.execute(migration.sql.strip().removesuffix(";"))
        row = (package, migration.name, migration.checksum)
        await self.insert("schema_migrations", COLUMNS, [row], token=f"{package}/{migration.name}")

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str
    ) -> None:
        """One batch. Repeated with the same token it counts once, if the table was made with
        `non_replicated_deduplication_window` (so many of its last batches are remembered) and nobody else has
        inserted more batches than that meanwhile. A batch must have the same rows whenever it is repeated.
        """
        if not rows:
            return
        settings = {"insert_deduplicate": 1, "insert_deduplication_token": token}

        def work(client: Any) -> None:
            client.insert(table, rows, column_names=list(columns), settings=settings)

        await self._call(f"insert into {table}", work)

    async def fetch(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows as name → value; a parameter stands in the query as `{name:Type}`. Times are aware."""

        def work(client: Any) -> list[dict[str, Any]]:
            return list(client.query(query, parameters=parameters, tz_mode="aware").named_results())

        return await self._call(query, work)

    async def execute(self, statement: str, **parameters: Any) -> None:
        """A statement without rows."""
        await self._call(statement, lambda client: client.command(statement, parameters=parameters))

    async def _call(self, statement: str, work: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, statement, work)

    def _run(self, statement: str, work: Callable[[Any], T]) -> T:
        """In the thread."""
        from clickhouse_connect.driver import exceptions
        from urllib3.exceptions import HTTPError

        away = (exceptions.OperationalError, HTTPError, OSError)
        try:
            if self._client is None:
                self._client = self._open()
        except (exceptions.ClickHouseError, *away) as error:  # whatever the reason why none can be had
            raise _unavailable(error) from error
        try:
            return work(self._client)
        except exceptions.ClickHouseError as error:
            raise _failure(statement, error) from error
        except away as error:
            raise _unavailable(error) from error
        except (TypeError, ValueError) as error:  # a value that does not fit its column
            raise StatementFailed(statement, str(error), None) from error

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()


def _client(url: str) -> Any:
    """Blocks, and asks the server for its version. The import takes seconds, which nobody else need wait."""
    import clickhouse_connect

    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return clickhouse_connect.get_client(interface="chdb", path=unquote(parts.path))
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname,
        port=port_of(parts),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or "default",
        compress="zstd",
        connect_timeout=CONNECT_SECONDS,
        send_receive_timeout=ANSWER_SECONDS,
        query_retries=0,
        autogenerate_session_id=False,
        **_tls(dict(parse_qsl(parts.query))),
    )


def port_of(url: SplitResult) -> int:
    """Where a server of that URL listens; ClickHouse's own port where none is given."""
    return url.port or (8443 if url.scheme == "https" else 8123)


def _tls(given: Mapping[str, str]) -> dict[str, str]:
    names = {"sslrootcert": "ca_cert", "sslcert": "client_cert", "sslkey": "client_cert_key"}
    return {names[name]: path for name, path in given.items()}


def _failure(statement: str, error: Any) -> Exception:
    """Without a code the answer is not ClickHouse's own, but of something on the way."""
    from clickhouse_connect.driver.exceptions import DataError, NotSupportedError, ProgrammingError

    code = getattr(error, "code", None)
    if code in AWAY or (
        code is None and not isinstance(error, (DataError, NotSupportedError, ProgrammingError))
    ):
        return _unavailable(error)
    return StatementFailed(statement, str(error), code)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"ClickHouse is away: {_short(str(error) or type(error).__name__)}")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text[:SHOWN] + "…" * (len(text) > SHOWN)
