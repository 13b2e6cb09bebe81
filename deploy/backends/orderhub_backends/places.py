"""Where everything lies: the cache of installed servers, and the data, logs and notes of the running ones."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import Refused

ROOT = Path(__file__).resolve().parents[3]
CACHE = "ORDERHUB_BACKENDS_CACHE"


@dataclass(frozen=True)
class Places:
    """`folder` belongs to one checkout; `cache` may be shared by several."""

    folder: Path
    cache: Path

    @classmethod
    def here(cls) -> Places:
        folder = ROOT / ".orderhub" / "backends"
        return cls(folder, Path(os.environ.get(CACHE) or folder / "cache").resolve())

    def beside(self, folder: Path) -> Places:
        """Those of another set of servers, from the same cache."""
        return replace(self, folder=folder.resolve())

    @property
    def running(self) -> Path:
        """`{name: {field: text}}`: the addresses, for whoever uses the servers."""
        return self.folder / "running.json"

    @property
    def processes(self) -> Path:
        """`{name: {program: {"pid": …, "started": …}}}`, in the order of their start."""
        return self.folder / "processes.json"

    def run(self, part: str) -> Path:
        """Data, configuration, ports and secrets of one part; thrown away at `down`."""
        return self.folder / "run" / part

    def log(self, program: str) -> Path:
        return self.folder / "logs" / f"{program}.log"

    @contextlib.contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Two calls in one checkout wait for each other."""
        with locked(self.folder / "lock"):
            yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds `path` as a lock against other processes; it is let go with the process at the latest."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as problem:
        raise Refused(f"cannot write to {path.parent}: {problem.strerror}") from problem
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner alone: what is written here holds passwords."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
