"""Runs services in one process until a signal: the first stops gracefully with exit 0, a second ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import uvloop

from orderhub_chassis.hints import Hints
from orderhub_chassis.service import Surroundings
from orderhub_chassis.telemetry import log

Build = Callable[[Surroundings], AbstractAsyncContextManager[Any]]
Opened = Callable[[str, Any], None]


def run(builds: Mapping[str, Build], *, redis_url: str | None = None, opened: Opened | None = None) -> int:
    """Open all services in order, wait for a signal or a failure, close them in reverse. Returns the exit code."""
    faulthandler.enable()  # a crash in a library of C leaves its trace in the log
    return uvloop.run(_run(builds, redis_url, opened))


async def _run(builds: Mapping[str, Build], redis_url: str | None, opened: Opened | None) -> int:
    stop = _Stop()
    hints = Hints()
    async with AsyncExitStack() as stack:
        if redis_url:
            await stack.enter_async_context(hints.over_redis(redis_url))
        services: list[Any] = []
        with stop.interrupts():
            for name, build in builds.items():
                services.append(await stack.enter_async_context(build(Surroundings(hints=hints))))
                if opened:
                    opened(name, services[-1])
        if stop.wanted.is_set():
            return 0
        _spare_the_collector()
        return await _serve(stop, [getattr(service, "chassis", service) for service in services])


class _Stop:
    """The signals: the first asks for the end, or breaks off a start that is still waiting for something."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self._starting: asyncio.Task[Any] | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)

    @contextlib.contextmanager
    def interrupts(self) -> Iterator[None]:
        """What runs in the block is cancelled by a signal, and the block ends."""
        self._starting = task = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self.wanted.is_set():
                raise
            if task is not None:
                task.uncancel()
        finally:
            self._starting = None

    def _on_signal(self) -> None:
        if self.wanted.is_set():
            os._exit(130)
        self.wanted.set()
        if self._starting is not None:
            self._starting.cancel()


async def _serve(stop: _Stop, services: list[Any]) -> int:
    """Until a signal, then until everybody had time to go elsewhere; or until a service fails. The exit code."""
    code = await _until(stop.wanted, [service.failed for service in services if hasattr(service, "failed")])
    if code == 0:
        await asyncio.gather(*(service.drain() for service in services if hasattr(service, "drain")))
    return code


def _spare_the_collector() -> None:
    """What is open now stays: the collector need not look at it again, nor so often.

    With the defaults it took 17 % of the time under load, for garbage that reference counting frees by itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


async def _until(stopping: asyncio.Event, failures: list[asyncio.Future[None]]) -> int:
    waiting: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    done, _ = await asyncio.wait([waiting, *failures], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    errors = [future.exception() for future in failures if future in done]
    for error in errors:
        log("runner").error("runner.service_failed", exc_info=error)
    return 1 if errors else 0
