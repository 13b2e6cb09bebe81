"""Connections to one database: at most `size`, handed out last in first out, replaced when they break.

The driver's own pool wraps every method and waits in tasks of its own; at a dozen statements per transaction
that was a tenth of all time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any


class Pool:
    """`connect` opens one connection. Nothing here retries: a failed connect is the caller's to see."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._all: set[Any] = set()
        self._idle: list[Any] = []
        self._opening = 0
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._closed = False

    @property
    def open_connections(self) -> int:
        return len(self._all)

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    async def acquire(self) -> Any:
        """A connection that was alive when it was last used. Waits when all are out."""
        while True:
            if self._closed:
                raise ConnectionError("the pool is closed")
            if (connection := self._take_idle()) is not None:
                return connection
            if len(self._all) + self._opening < self._size:
                return await self._open()
            if (connection := await self._wait()) is not None:
                return connection

    def _take_idle(self) -> Any | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._all.discard(connection)
        return None

    async def _open(self) -> Any:
        self._opening += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._opening -= 1
            self._hand_on(None)
            raise
        self._opening -= 1
        self._all.add(connection)
        return connection

    async def _wait(self) -> Any | None:
        """A connection that was given back, or None: there is room for a new one."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._hand_on(future.result())
            raise

    def release(self, connection: Any) -> None:
        """Give back; one that is closed, or was left inside a transaction, is not used again."""
        if not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()
        if connection.is_closed() or self._closed:
            self._all.discard(connection)
            connection.terminate()
            self._hand_on(None)
        else:
            self._hand_on(connection)

    def _hand_on(self, connection: Any | None) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    async def close(self, within: float) -> None:
        """Close politely what is idle, end the rest."""
        self._closed = True
        for connection in self._idle:
            with contextlib.suppress(Exception):
                await connection.close(timeout=within)
        for connection in self._all:
            connection.terminate()
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionError("the pool is closed"))
