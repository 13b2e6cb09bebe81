"""What a part finds when it starts: its folder, and ports and secrets that stay the same until `down`."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Refused
from .places import write_private
from .processes import AS_NOBODY, Program

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel gives ports to outgoing connections (32768 and up on Linux): the port of a
# server that is down for a while must not go to a client, nor to one that connects to itself while it retries.
PORTS = range(20_000, 32_000)
Address = Mapping[str, str]


@dataclass
class Room:
    """`pins` has the folder of each installation that the part asked for, `others` the addresses of its needs."""

    folder: Path
    pins: Mapping[str, Path]
    others: Mapping[str, Address]
    _kept: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self.folder / "room.json"
        self._kept = json.loads(kept.read_text()) if kept.exists() else {"ports": {}, "secrets": {}}

    def port(self, name: str) -> int:
        return int(self._remembered("ports", name, lambda: str(free_port(self._promised()))))

    def _promised(self) -> set[int]:
        """Ports of this part and the others that nobody may have bound yet."""
        rooms = self.folder.parent.glob("*/room.json")
        return {int(port) for room in rooms for port in json.loads(room.read_text())["ports"].values()}

    def secret(self, name: str) -> str:
        """32 hexadecimal digits, which no configuration file and no URL has to quote."""
        return self._remembered("secrets", name, lambda: secrets.token_hex(16))

    def _remembered(self, kind: str, name: str, make: Callable[[], str]) -> str:
        if name not in self._kept[kind]:
            self._kept[kind][name] = make()
            write_private(self.folder / "room.json", json.dumps(self._kept, indent=1))
        return self._kept[kind][name]

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        write_private(path, text)
        return path

    def subfolder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path


@dataclass(frozen=True)
class Plan:
    """What to run, how to tell that all of it together is ready, and where it is then."""

    programs: Sequence[Program]
    address: Address
    ready: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Part:
    """`plan` prepares data and configuration where they are missing; it may be asked again at any time.

    `pins` are names of versions.toml; the first is the one whose version is shown.
    """

    name: str
    pins: tuple[str, ...]
    plan: Callable[[Room], Plan]
    needs: tuple[str, ...] = ()


def free_port(promised: Set[int] = frozenset()) -> int:
    """One that nobody has bound, and that is not `promised` to somebody."""
    for port in random.sample(PORTS, 200):
        if port in promised:
            continue
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise Refused(f"no free port between {PORTS.start} and {PORTS.stop} on {LOOPBACK}")


def as_user(argv: Sequence[str]) -> list[str]:
    """For servers that refuse to run as root."""
    return [*AS_NOBODY, *argv] if os.geteuid() == 0 else list(argv)


def owned(path: Path) -> Path:
    """Given to the user of `as_user`."""
    if os.geteuid() == 0:
        shutil.chown(path, "nobody", "nogroup")
    return path


def properties(values: Mapping[str, object]) -> str:
    """A file of Java properties, or any other with `name=value` lines."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
