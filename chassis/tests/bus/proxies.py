"""A way into a server that a test can cut: TCP on loopback, byte for byte, in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

CHUNK = 64 * 1024


class Proxies:
    """Listens on each port of `ways` and passes on to its target, a port of this machine."""

    def __init__(self, ways: Mapping[int, int]) -> None:
        self._ways = ways
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)

    def hang_up(self) -> None:
        """Break every connection that passes here."""
        self._do(self._hang_up())

    def close(self) -> None:
        """Nothing connects any more, and what was connected breaks."""
        self._do(self._close())

    def open(self) -> None:
        """Once more where it is open already: nothing happens."""
        self._do(self._open())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        self.open()
        try:
            yield
        finally:
            self.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        if not self._servers:
            for port, target in self._ways.items():
                server = await asyncio.start_server(self._serving(target), "127.0.0.1", port)
                self._servers.append(server)

    async def _close(self) -> None:
        servers, self._servers = self._servers, []
        for listener in [listener for server in servers for listener in server.sockets]:
            self._loop.remove_reader(listener)
        # asyncio forgets to close what a server has accepted when it is closed before its protocol is made: let it be made.
        for _ in range(3):
            await asyncio.sleep(0)
        for server in servers:
            server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _serving(self, target: int) -> Any:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_join(reader, writer, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # However it ends: one that is cancelled before its first step runs no finally of its own.
            task.add_done_callback(lambda _: writer.transport.abort())

        return accept


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
    """Both directions until one of them ends."""
    with contextlib.suppress(OSError):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        passing = [asyncio.ensure_future(_pass(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            far_writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
