"""Child processes that never outlive the launcher: start, log, stop in time, start again by a policy.

Every child is started through `hold.py`, so the kernel ends it when the launcher ends, also by `kill -9` (Linux;
elsewhere a child left behind is found by its data folder at the next start). Knows nothing of what it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HOLD = Path(__file__).with_name("hold.py")

# The kernel sends the parent-death signal when the *thread* that started the child ends. One thread, that lives as
# long as the interpreter, starts them all, whoever asks: a worker thread that came and went would take them along.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="orderhub-spawner")

Stops = tuple[tuple[signal.Signals, float], ...]
GENTLE: Stops = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True)
class Restart:
    """How often a child that ended by itself comes back: at most `limit` times in `window` seconds.

    The pause before each return doubles from `pause` up to `longest` seconds.
    """

    limit: int = 0
    window: float = 60.0
    pause: float = 0.2
    longest: float = 5.0

    def pause_before(self, returns: int) -> float:
        """Seconds to wait before the return number `returns` (from 1) within the window."""
        return min(self.longest, self.pause * 2.0 ** (returns - 1))


NEVER = Restart()


@dataclass(frozen=True)
class Program:
    """What to run and how it is to end. `argv[0]` is an absolute path.

    `at_launcher_death` is what the kernel sends when the launcher is gone; SIGKILL unless the program has data of
    its own to put in order, because nobody is left to insist. `stops` are the signals of an orderly stop, each with
    the seconds it has. `env` replaces the environment; None passes ours on.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    user: str = ""
    at_launcher_death: signal.Signals = signal.SIGKILL
    stops: Stops = GENTLE
    restart: Restart = NEVER


@dataclass(frozen=True)
class Exit:
    """A child that ended without being asked; `code` is negative for a signal, as in subprocess."""

    program: Program
    pid: int
    code: int

    def __str__(self) -> str:
        how = (
            f"was ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with {self.code}"
        )
        return f"{self.program.name} (pid {self.pid}) {how}; its log is {self.program.log}"


class Child:
    """One running process of a Program. Start it with `start`; it is its own session, so Ctrl-C does not reach it."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        self.program = program
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Blocks until it ended; raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """A signal to the child alone; nothing happens when it has ended."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """Blocks: sends the program's stop signals in turn until it ended, the last one to its whole session."""
        for number, seconds in self.program.stops:
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(seconds)
        return self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if number is not signal.SIGKILL:
            self._process.send_signal(number)
        elif self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def start(program: Program, *, stdout: int | None = None) -> Child:
    """Starts it and returns at once; what it prints is appended to its log (mode 0600), or goes to `stdout`.

    Raises OSError when the log or the working folder cannot be had. A program that cannot be executed shows up as
    an early exit with the reason in the log.
    """
    return _spawner.submit(_start, program, stdout).result()


def _start(program: Program, stdout: int | None) -> Child:
    program.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            _held(program),
            stdin=subprocess.DEVNULL,
            stdout=descriptor if stdout is None else stdout,
            stderr=descriptor,
            cwd=program.cwd,
            env=None if program.env is None else dict(program.env),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    return Child(program, process)


def _held(program: Program) -> list[str]:
    wrapper = [sys.executable, "-I", "-S", str(HOLD)]
    return [*wrapper, str(os.getpid()), str(int(program.at_launcher_death)), program.user, *program.argv]


def last_lines(log: Path, count: int = 5) -> list[str]:
    """The end of a log for an error message; empty when there is none."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()][-count:]
    return []


@dataclass
class _Watched:
    child: Child
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    returns: list[float] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps a set of children running within one event loop.

    `async with Supervisor(on_exit) as children:` … `await children.start(program)`. Leaving the block stops all,
    the last started first. `on_exit(exit, comes_back)` is called in the loop for each exit nobody asked for.
    """

    def __init__(self, on_exit: Callable[[Exit, bool], None] | None = None) -> None:
        self._on_exit = on_exit
        self._watched: dict[str, _Watched] = {}
        self._lost: asyncio.Future[Exit] | None = None

    async def __aenter__(self) -> Supervisor:
        self._lost = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()

    @property
    def pids(self) -> dict[str, int]:
        """name → pid of those that run now."""
        running = ((name, watched.child) for name, watched in self._watched.items())
        return {name: child.pid for name, child in running if child.exit_code() is None}

    async def start(self, program: Program) -> Child:
        """Starts a child under its program's restart policy. A name is used once."""
        if program.name in self._watched:
            raise ValueError(f"a child called {program.name} is there already")
        watched = self._watched[program.name] = _Watched(await asyncio.to_thread(start, program))
        watched.task = asyncio.create_task(self._keep(watched), name=f"keep {program.name}")
        return watched.child

    async def lost(self) -> Exit:
        """Waits until a child ended for good (its policy brings it back no more) and returns that exit."""
        assert self._lost is not None, "enter the supervisor first"
        return await asyncio.shield(self._lost)

    async def stop(self, name: str) -> None:
        """Stops one child and forgets it; waits for its end."""
        watched = self._watched.pop(name)
        watched.stopping.set()
        await asyncio.to_thread(watched.child.stop)
        if watched.task is not None:
            await watched.task

    async def stop_all(self) -> None:
        """Stops all, the last started first, each within its own time."""
        for name in reversed(list(self._watched)):
            await self.stop(name)

    async def _keep(self, watched: _Watched) -> None:
        while True:
            code = await _ended(watched.child)
            if watched.stopping.is_set():
                return
            program = watched.child.program
            pause = self._next_pause(watched)
            self._tell(Exit(program, watched.child.pid, code), comes_back=pause is not None)
            if pause is None or await _set_within(watched.stopping, pause):
                return
            watched.child = await asyncio.to_thread(start, program)
            if (
                watched.stopping.is_set()
            ):  # asked for while it was starting: whoever asked saw the old child only
                await asyncio.to_thread(watched.child.stop)

    def _next_pause(self, watched: _Watched) -> float | None:
        policy, now = watched.child.program.restart, time.monotonic()
        watched.returns = [at for at in watched.returns if at > now - policy.window]
        if len(watched.returns) >= policy.limit:
            return None
        watched.returns.append(now)
        return policy.pause_before(len(watched.returns))

    def _tell(self, exit_: Exit, *, comes_back: bool) -> None:
        if self._on_exit is not None:
            self._on_exit(exit_, comes_back)
        if not comes_back and self._lost is not None and not self._lost.done():
            self._lost.set_result(exit_)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _ended(child: Child) -> int:
    """Waits in a daemon thread of its own: a pool's thread would keep the interpreter from ending."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = child.wait()
        with contextlib.suppress(RuntimeError):  # the loop was closed before the child ended
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"wait {child.program.name}", daemon=True).start()
    return await ended
