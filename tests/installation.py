"""The product as a process of its own, in a folder of its own: started, asked, stopped and killed as users and crashes do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderhub import home, ports
from orderhub_chassis import driver
from people import OwnPeople, People

START_SECONDS = 120.0
STOP_SECONDS = 60.0
CHEAP: Mapping[str, str] = {
    # Hashing a password slowly is auth's own test; here dozens of users are made.
    "ORDERHUB_AUTH_ARGON2_MEMORY_KIB": "8",
    "ORDERHUB_AUTH_ARGON2_PASSES": "1",
    "ORDERHUB_GATEWAY_AUTH_RATE_PER_ADDRESS": "200",
    "ORDERHUB_GATEWAY_AUTH_BURST_PER_ADDRESS": "2000",
    "ORDERHUB_GATEWAY_RATE_PER_PRINCIPAL": "1000",
    "ORDERHUB_GATEWAY_BURST_PER_PRINCIPAL": "5000",
}


@dataclass
class Installation:
    """`start` … `stop`, or the kills in between. The port stays the same over restarts."""

    folder: Path
    processes: str = "1"
    extra: Mapping[str, str] = field(default_factory=dict)
    people: People = field(default_factory=OwnPeople)
    port: int = field(default_factory=ports.free_port)
    process: subprocess.Popen[bytes] | None = None
    tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def urls(self) -> list[str]:
        """Of all gateways."""
        return [self.url]

    @property
    def is_started(self) -> bool:
        return self.process is not None

    @property
    def place(self) -> home.Home:
        return home.at(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
        return {**kept, "ORDERHUB_HOME": str(self.folder), **CHEAP, **self.extra}

    @property
    def said(self) -> str:
        """All that `up` has printed."""
        return self.folder.with_suffix(".out").read_text()

    @property
    def runtime(self) -> home.Runtime:
        found = self.place.runtime()
        assert found is not None, f"nothing runs in {self.folder}: {self.said}"
        return found

    # --- life ---

    def launch(self) -> subprocess.Popen[bytes]:
        """`up` in the background; returns at once."""
        command = [sys.executable, "-m", "orderhub", "up"]
        command += ["--port", str(self.port), "--processes", self.processes]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_suffix(".out").open("ab") as out:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        return self.process

    def start(self) -> None:
        """Returns when the gateway's gate is open. Raises with what `up` said when it is not."""
        process = self.launch()
        self.until(lambda: process.poll() is not None or self.is_up, START_SECONDS)
        assert process.poll() is None, f"up ended with {process.poll()}: {self.said}"

    @property
    def is_up(self) -> bool:
        """The launcher's note is of this very process: an old one may be there after a kill."""
        found = self.place.runtime() if self.place.ready.exists() else None
        return found is not None and self.process is not None and found.launcher == self.process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """An orderly stop; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Waits until `up` is gone; ends it by force when it takes too long, and fails."""
        assert self.process is not None
        process, self.process = self.process, None
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"up did not stop within {STOP_SECONDS} s: {self.said}") from None

    def kill_launcher(self) -> None:
        """`kill -9` of `up` alone; what it started has to end by itself."""
        assert self.process is not None
        self.process.kill()
        self.ended()

    def kill_everything(self) -> None:
        """`kill -9` of every process of the home, PostgreSQL and its sessions included, all in one moment.

        The processes are frozen first, so that none of them sees another one die and puts its things in order.
        """
        assert self.process is not None
        family = self.family()
        for pid in (self.process.pid, *family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        for pid in {*family, *self.family(), self.process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.ended()

    def family(self) -> set[int]:
        """All processes that `up` has started, at any depth."""
        assert self.process is not None
        children: dict[int, list[int]] = {}
        for pid, parent in parents():
            children.setdefault(parent, []).append(pid)
        found: set[int] = set()
        fresh = [self.process.pid]
        while fresh:
            fresh = [child for pid in fresh for child in children.get(pid, ())]
            found.update(fresh)
        return found

    def ports(self) -> set[int]:
        """All that the product listens on, the port of its own PostgreSQL included."""
        found = {int(address.rpartition(":")[2]) for address in self.runtime.addresses.values()}
        _, embedded, port = self.runtime.urls["orderhub_orders"].rpartition("port=")
        return found | ({int(port)} if embedded else set())

    def pid(self, name: str) -> int:
        """Of a process by its name in the launcher's note."""
        return self.runtime.pids[name]

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """That process stands still for the length of the block."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @staticmethod
    def until(condition: Callable[[], Any], within: float = 30.0) -> Any:
        """Polls until the condition is truthy; returns its value, raises when time is up."""
        deadline = time.monotonic() + within
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"did not become true within {within} s: {condition!r}")
            time.sleep(0.02)
        return value

    # --- asking ---

    def run(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """One command line, whatever comes of it."""
        return subprocess.run(
            [sys.executable, "-m", "orderhub", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def json(self, *arguments: str, timeout: float = 180) -> Any:
        """The last object that a successful command prints."""
        done = self.run(*arguments, "--json", timeout=timeout)
        assert done.returncode == 0, f"{arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    def check(self) -> None:
        """`orderhub check` finds nothing, and exits as if it found nothing."""
        done = self.run("check", "--json")
        assert done.returncode == 0, f"check: {done.returncode}\n{done.stdout}\n{done.stderr}"

    async def sql(self, database: str, statement: str, *arguments: Any) -> list[Any]:
        """Rows of one of the product's databases, past the product."""
        async with driver.opened(self.runtime.urls[f"orderhub_{database}"]) as connection:
            return list(await connection.fetch(statement, *arguments))

    @contextlib.asynccontextmanager
    async def held(self, database: str, *tables: str) -> Any:
        """Whoever writes to these tables waits until the block ends: what a slow participant looks like to the others.

        Shorter than the services' own lock time-out (10 s).
        """
        async with driver.opened(self.runtime.urls[f"orderhub_{database}"]) as connection:
            await connection.execute("begin")
            await connection.execute(f"lock table {', '.join(tables)} in exclusive mode")
            yield

    def sql_now(self, database: str, statement: str, *arguments: Any) -> list[Any]:
        return asyncio.run(self.sql(database, statement, *arguments))


def parents() -> Iterator[tuple[int, int]]:
    """(pid, parent's pid) of every process of this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                yield int(entry.name), int(fields[1])


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    """False for a process that is gone or only waits to be buried."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
