"""The only way to a database: a pool, reads, and transactions that collect outgoing messages.

Nobody else commits. The transaction writes its outbox rows as the last statement before the commit, when it
holds all of its locks already; so two transactions that change one aggregate write their rows in the order
in which they commit.

Behind a pooler in transaction mode (`?pooler=transaction` in the URL) every read is a transaction too.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg

from orderhub_chassis import driver, metrics, outbox
from orderhub_chassis.clock import Clock, SystemClock
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.hints import Hints
from orderhub_chassis.ids import NewId, uuid7
from orderhub_chassis.messages import Outgoing
from orderhub_chassis.pool import Pool
from orderhub_chassis.statements import Writes

T = TypeVar("T")
WriteOutbox = Callable[[outbox.Writer, outbox.Collector, NewId], None]
ATTEMPTS = 8
RETRYABLE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
MADE_MEANWHILE = frozenset({"saga_standings_pkey", "idempotency_keys_pkey"})
"""Keys of rows that whoever comes first makes: the other one looks again and finds it."""
INFRASTRUCTURE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
)
SESSION = {
    "jit": "off",
    "idle_in_transaction_session_timeout": "15000",
    "lock_timeout": "10000",
    "timezone": "UTC",
    # Statements name their rows by key. A plan that is cached while the tables are empty would read them whole
    # for ever after: 53,000 rows per batch were seen. These make such a plan the last resort.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Transaction:
    """One open transaction. `send` only collects; nothing leaves before the commit."""

    def __init__(self, connection: Any, outgoing: outbox.Collector) -> None:
        self.connection = connection
        self._outgoing = outgoing
        self.fetch: Callable[..., Awaitable[list[Any]]] = connection.fetch
        self.fetchrow: Callable[..., Awaitable[Any]] = connection.fetchrow
        self.fetchval: Callable[..., Awaitable[Any]] = connection.fetchval
        self.execute: Callable[..., Awaitable[str]] = connection.execute
        self.executemany: Callable[..., Awaitable[None]] = connection.executemany
        self.writes = Writes()
        self.hinted: set[str] = set()

    def write(self, statement: str, *arguments: Any) -> None:
        """An insert, update or delete that runs before the commit, in one statement with the others and the outbox.

        For what no later statement of this transaction reads or changes, in rows that it has made or locked before:
        the outbox may get its ids first, and they must follow the locks. It may not begin with `with`.
        """
        self.writes.add(statement, arguments)

    async def flush(self) -> None:
        """Run now what `write` has collected."""
        if self.writes:
            statement, arguments = self.writes.take()
            await self.execute(statement, *arguments)

    def send(self, message: Outgoing) -> None:
        """Raises MessageTooLarge at once, while the caller can still name the culprit."""
        self._outgoing.add(message)

    def hint(self, name: str) -> None:
        """Wake who waits for this in the process, after the commit; a rolled-back transaction wakes nobody."""
        self.hinted.add(name)

    def send_all(self, messages: Iterable[Outgoing]) -> None:
        for message in messages:
            self._outgoing.add(message)


class Database:
    """A service's own database; open it with `Database.open`."""

    def __init__(
        self,
        pool: Pool,
        *,
        service: str,
        clock: Clock,
        hints: Hints,
        new_id: NewId,
        write_outbox: WriteOutbox,
        begin: str = "begin",
    ) -> None:
        self._pool = pool
        self._write_outbox = write_outbox
        self._begin = begin
        self.service = service
        self.clock = clock
        self.hints = hints
        self.new_id = new_id

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        service: str,
        size: int = 6,
        clock: Clock | None = None,
        hints: Hints | None = None,
        new_id: NewId = uuid7,
        session: Mapping[str, str] | None = None,
        write_outbox: WriteOutbox = outbox.write,
    ) -> AsyncIterator[Database]:
        """`session` are parameters of PostgreSQL for these connections, beside those of all. `write_outbox` is the form
        in which messages wait for who publishes them.
        """
        parameters = {**SESSION, **(session or {}), "application_name": f"orderhub-{service}"}

        async def connect() -> Any:
            return await driver.connect(url, parameters)

        pool = Pool(connect, size)
        try:
            pool.release(await pool.acquire())
            opened = _Pooled if driver.address(url).pooled else cls
            yield opened(
                pool, service=service, clock=clock or SystemClock(), hints=hints or Hints(), new_id=new_id,
                begin=driver.begin(url, parameters),
                write_outbox=write_outbox,
            )  # fmt: skip
        finally:
            await pool.close(5)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, with the outbox rows; roll back when it raises."""
        collector = outbox.Collector(self.service, self.clock)
        async with self._acquired() as connection:
            await self._start(connection)
            try:
                tx = Transaction(connection, collector)
                yield tx
                if collector:
                    self._write_outbox(tx, collector, self.new_id)
                await tx.flush()
                await connection.execute("commit")
            except BaseException:
                await _rollback(connection)
                raise
        if collector:
            self.hints.notify(f"outbox:{self.service}")
        for name in tx.hinted:
            self.hints.notify_here(name)

    async def _start(self, connection: Any) -> None:
        await connection.execute(self._begin)

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """`work` in a transaction, run again on a deadlock or serialisation failure: it must be repeatable.

        Raises Unavailable when the database cannot be reached.
        """

        async def once() -> T:
            async with self.transaction() as tx:
                return await work(tx)

        return await self._guarded(once)

    async def _guarded(self, once: Callable[[], Awaitable[T]]) -> T:
        """Again after a deadlock or serialisation failure; whatever means "away" becomes Unavailable."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await once()
            except (*RETRYABLE, asyncpg.UniqueViolationError) as error:
                if (
                    isinstance(error, asyncpg.UniqueViolationError)
                    and error.constraint_name not in MADE_MEANWHILE
                ):
                    raise
                metrics.DB_RETRIES.labels(self.service, type(error).__name__).inc()
                if attempt == ATTEMPTS:
                    raise Unavailable(f"{self.service}: too much contention: {error}") from error
            except INFRASTRUCTURE as error:
                raise self._away(error) from error
            await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))
        raise AssertionError("unreachable")

    async def dry_run(self, work: Callable[[Transaction], Awaitable[T]]) -> tuple[T, Sequence[Outgoing]]:
        """`work` in a transaction that is always rolled back; also what it would have sent."""

        async def once() -> tuple[T, Sequence[Outgoing]]:
            collector = outbox.Collector(self.service, self.clock)
            async with self._acquired() as connection:
                await self._start(connection)
                try:
                    tx = Transaction(connection, collector)
                    result = await work(tx)
                    await tx.flush()
                    return result, collector.messages
                finally:
                    await _rollback(connection)

        return await self._guarded(once)

    def connection(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """A bare connection for reads that need more than one statement; nothing may be written over it.

        Raises Unavailable whatever the reason why none can be had.
        """
        return self._acquired()

    @contextlib.asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        try:
            connection = await self._pool.acquire()
        except (asyncpg.PostgresError, *INFRASTRUCTURE) as error:
            raise self._away(error) from error
        try:
            yield connection
        finally:
            self._pool.release(connection)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        return await self._read("fetch", query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> Any:
        return await self._read("fetchrow", query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        return await self._read("fetchval", query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> str:
        """One autocommitted statement that sends no message (leases, attempts, pruning)."""
        return str(await self._read("execute", query, *arguments))

    async def _read(self, method: str, query: str, *arguments: Any) -> Any:
        async def once() -> Any:
            async with self.connection() as connection:
                return await getattr(connection, method)(query, *arguments)

        return await self._guarded(once)

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"{self.service}'s database is away: {error or type(error).__name__}")

    def observe_pool(self) -> None:
        metrics.DB_POOL_SIZE.labels(self.service, "open").set(self._pool.open_connections)
        metrics.DB_POOL_SIZE.labels(self.service, "idle").set(self._pool.idle_connections)


class _Pooled(Database):
    """Behind a pooler in transaction mode: a session is ours, and has our settings, for one transaction at a time."""

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._acquired() as connection:
            await self._start(connection)
            try:
                yield connection
                await connection.execute("commit")
            except BaseException:
                await _rollback(connection)
                raise

    async def _start(self, connection: Any) -> None:
        """The pooler is there before its server is: whatever is refused at the begin (a login, a database that is
        missing) is refused for everybody, and no message is to blame."""
        try:
            await super()._start(connection)
        except (asyncpg.PostgresError, *INFRASTRUCTURE) as error:
            raise self._away(error) from error


async def _rollback(connection: Any) -> None:
    """A connection that cannot even roll back is of no use to anybody."""
    if connection.is_closed():
        return
    try:
        await connection.execute("rollback")
    except BaseException:
        connection.terminate()
        raise
