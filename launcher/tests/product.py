"""Starts the product in a folder of its own and talks to it by the command line, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderhub import home, ports

START_SECONDS = 90.0


@dataclass
class Product:
    """`with`: `up` in the background until the block ends, unless it was stopped before."""

    folder: Path
    processes: str = "1"
    extra: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=ports.free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
        return {**kept, "ORDERHUB_HOME": str(self.folder), **self.extra}

    @property
    def place(self) -> home.Home:
        return home.at(self.folder)

    def start(self) -> None:
        """Returns when the gateway's gate is open. Raises what `up` said when it is not."""
        command = [
            sys.executable,
            "-m",
            "orderhub",
            "up",
            "--port",
            str(self.port),
            "--processes",
            self.processes,
        ]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until = time.monotonic() + START_SECONDS
        while not (self.place.ready.exists() and self.place.runtime()):
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise AssertionError(f"up did not come up: {self.process.communicate()[0]}")
            time.sleep(0.05)

    def stop(self) -> str:
        """An orderly stop; returns all that `up` said."""
        assert self.process is not None
        self.process.terminate()
        said, self.process = self.process.communicate(timeout=90)[0], None
        return said

    def __enter__(self) -> Product:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()

    def run(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """One command line, whatever comes of it."""
        return subprocess.run(
            [sys.executable, "-m", "orderhub", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        """The last object that a successful command prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])
