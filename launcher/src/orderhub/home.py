"""The data folder of one installation: `./.orderhub` of the checkout, or `ORDERHUB_HOME`.

Holds the databases, generated secrets, logs and the note of what runs where. One `up` at a time owns it, by a lock
that the kernel drops with the process. Starts nothing itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from orderhub import embedded
from orderhub.exits import Exit, Refused

LAYOUT = 1
LEAST_FREE_BYTES = 512 * 1024 * 1024
SECRET_BYTES = 32

OURS = frozenset(
    {
        "demo.json",
        "initialised.json",
        "load.json",
        "mailbox",
        "postgres",
        "ready",
        "redis",
        "runtime.json",
        "secrets.json",
    }
    | {"tokens.json"}
)
HARMLESS = frozenset({"lock", "logs", "lost+found", "tools", ".DS_Store"})
"""What may be in a folder that has never been started: `tools` is where the installation keeps its own."""


class HomeRefused(Refused):
    """The data folder cannot be used; the message is one line for the user, with what to do."""


@dataclass(frozen=True)
class Runtime:
    """What runs now, for `status`, `token`, `down`: written by `up`, read by everybody else.

    `pids` by process name, `addresses` by what listens there (`gateway` → `http://127.0.0.1:8080`, `orders.grpc` →
    `127.0.0.1:41234`), `urls` of the databases, the bus and Redis (over unix sockets, without a password).
    """

    launcher: int
    started_at: str
    pids: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def gateways(self) -> list[str]:
        """The public addresses: one, or one per replica (`gateway`, `gateway-2` …)."""
        found = sorted(name for name in self.addresses if name.partition("-")[0] == "gateway")
        return [self.addresses[name] for name in found]


@dataclass(frozen=True)
class Home:
    """The places in a data folder. Make one with `at` to read, with `opened` to run."""

    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def demo(self) -> Path:
        return self.path / "demo.json"

    @property
    def mailbox(self) -> Path:
        """The mails that the demo would have sent."""
        return self.path / "mailbox"

    @property
    def migrated(self) -> Path:
        """There while the databases are as the code wants them: what the services wait for."""
        return self.path / "migrated"

    @property
    def ready(self) -> Path:
        """There while `up` has done everything: the gateway's ready gate."""
        return self.path / "ready"

    @property
    def tokens(self) -> Path:
        """Access tokens that the command line got, as long as they last."""
        return self.path / "tokens.json"

    @property
    def load_tokens(self) -> Path:
        """The same of the customers that `load` made."""
        return self.path / "load.json"

    @property
    def is_initialised(self) -> bool:
        """True when a first start went through to its end."""
        return (self.path / "initialised.json").exists()

    @property
    def is_running(self) -> bool:
        """True while some process holds this folder (`up`, `reset`)."""
        try:
            with (self.path / "lock").open("rb") as file:
                return not _lock(file, fcntl.LOCK_SH)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as problem:
            raise HomeRefused(_refusal(self.path, problem)) from problem

    @property
    def holder(self) -> int | None:
        """The pid of the process that holds this folder; None when nobody does."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.path / "lock").read_text()) if self.is_running else None
        return None

    def mark_initialised(self) -> None:
        """To be called at the end of the first start, when nothing of it is left to do."""
        write_private(self.path / "initialised.json", {"layout": LAYOUT, "at": datetime.now(UTC).isoformat()})

    def secret(self, name: str) -> str:
        """A generated secret of 43 characters (256 bits), made when it is first asked for and kept from then on.

        Only the holder of the lock may ask for one that is not there yet.
        """
        kept = self.secrets()
        if name not in kept:
            kept[name] = secrets.token_urlsafe(SECRET_BYTES)
            write_private(self.path / "secrets.json", kept)
        return kept[name]

    def keep_secrets(self, wanted: Mapping[str, str]) -> None:
        """Those that somebody chose, like generated ones from then on. Only for the lock's holder."""
        if wanted != self.secrets():
            write_private(self.path / "secrets.json", wanted)

    def secrets(self) -> dict[str, str]:
        """All that were generated so far, by name. Raises HomeRefused when the file is damaged."""
        kept = _read(self.path / "secrets.json")
        return {str(name): str(value) for name, value in kept.items()}

    def write_runtime(self, runtime: Runtime) -> None:
        """Replaces the note at once; a reader sees the old one or the new one."""
        write_private(self.path / "runtime.json", asdict(runtime))

    def runtime(self) -> Runtime | None:
        """What runs now; None when nothing does, whatever an old note says."""
        kept = _read(self.path / "runtime.json") if self.is_running else {}
        known = {entry.name for entry in fields(Runtime)}
        return Runtime(**{name: kept[name] for name in known & set(kept)}) if kept else None

    def forget_runtime(self) -> None:
        (self.path / "runtime.json").unlink(missing_ok=True)

    def wipe(self, *, logs: bool = True) -> None:
        """Removes all data, secrets and (or not) logs; the installation's tools stay. Only for the lock's holder."""
        for name in sorted(OURS | ({"logs"} if logs else set())):
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def socket_notice(self) -> str | None:
        """One line for the user when the path is too long (or too odd) for unix sockets and they live elsewhere.

        Raises embedded.StartRefused when there is no place for them at all.
        """
        folder = embedded.socket_place(self.postgres)
        if folder.is_relative_to(self.path):
            return None
        return f"the data folder's path does not fit into a unix socket's address: the sockets are in {folder.parent}"


def locate(environment: Mapping[str, str] = os.environ) -> Path:
    """`ORDERHUB_HOME`, else `.orderhub` in the checkout, else (installed from a wheel) in the working folder."""
    wanted = environment.get("ORDERHUB_HOME", "")
    if wanted:
        return Path(wanted).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[3]
    base = checkout if (checkout / "uv.lock").exists() else Path.cwd()
    return base / ".orderhub"


def at(path: Path | None = None) -> Home:
    """The folder as it is, for reading: nothing is made or checked."""
    return Home((path or locate()).resolve())


@contextlib.contextmanager
def opened(
    path: Path | None = None, *, unfinished: bool = False, least_free: int = LEAST_FREE_BYTES
) -> Iterator[Home]:
    """The folder, made if it is not there, checked, and ours alone until the block ends.

    Raises HomeRefused: no right to write, a foreign or half-initialised folder (`unfinished` lets that one pass, for
    `reset`), too little room, or another process that holds it.
    """
    home = Home(_made(path or locate()))
    with _held(home.path):
        if not unfinished:
            _check_finished(home)
            _check_room(home.path, least_free)
        yield home


def examine(home: Home) -> None:
    """Whether a folder that is there can be used; nothing is made, held or changed. Raises HomeRefused."""
    try:
        _check_own(home.path)
    except OSError as problem:
        raise HomeRefused(_refusal(home.path, problem)) from problem
    _check_finished(home)
    home.secrets()


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces a JSON file, mode 0600, in one step that a crash cannot tear. Raises HomeRefused."""
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(descriptor, "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as problem:
        if name:
            Path(name).unlink(missing_ok=True)
        raise HomeRefused(_refusal(path.parent, problem)) from problem


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError as problem:
        raise HomeRefused(
            f"{path} belongs to somebody else: run as the user who started OrderHub"
        ) from problem
    except (OSError, ValueError) as problem:
        raise HomeRefused(
            f"{path} is damaged ({problem}): restore it from a backup or run `reset`"
        ) from problem
    if not isinstance(content, dict):
        raise HomeRefused(f"{path} is damaged (no object): restore it from a backup or run `reset`")
    return content


def _made(path: Path) -> Path:
    """The folder itself. What is in it is looked at before anything of it is changed: it may be somebody's home."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        resolved = path.resolve(strict=True)
        _check_own(resolved)
        resolved.chmod(0o700)
    except OSError as problem:
        raise HomeRefused(_refusal(path, problem)) from problem
    return resolved


def _check_own(path: Path) -> None:
    present = set(os.listdir(path))
    if not present & OURS and present - HARMLESS:
        raise HomeRefused(
            f"{path} is not empty and no data folder of OrderHub: set ORDERHUB_HOME to a new or an empty folder"
        )


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """The lock of the folder. The kernel frees it with the process, so there is no stale one."""
    try:
        file = os.fdopen(os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as problem:
        raise HomeRefused(_refusal(path, problem)) from problem
    with file:
        if not _comes_free(file):
            holder = file.read().strip()
            who = f"by process {holder}" if holder else "by another process"
            raise HomeRefused(
                f"the data folder {path} is in use {who}: stop it (`orderhub down`) or set ORDERHUB_HOME to another",
                Exit.NOT_NOW,
            )
        # Unbuffered, and no reason to stop: on a full disk `reset` has to work, and `up` looks at the room itself.
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), f"{os.getpid()}\n".encode(), 0)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), 0)


def _lock(file: IO[Any], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _comes_free(file: IO[Any]) -> bool:
    """Tries for a moment: a reader that asks whether the folder is in use holds the lock for an instant too."""
    for _ in range(10):
        if _lock(file, fcntl.LOCK_EX):
            return True
        time.sleep(0.03)
    return False


def _check_finished(home: Home) -> None:
    if home.is_initialised:
        layout = _read(home.path / "initialised.json").get("layout")
        if layout != LAYOUT:
            raise HomeRefused(
                f"{home.path} was made by another version (layout {layout}, this one reads {LAYOUT})"
            )
    elif any((home.path / name).exists() for name in OURS):
        raise HomeRefused(
            f"the first start in {home.path} was cut off and left it half-initialised:"
            " run `orderhub reset` and start again"
        )


def _check_room(path: Path, least_free: int) -> None:
    state = os.statvfs(path)
    free = state.f_bavail * state.f_frsize
    if free < least_free:
        raise HomeRefused(
            f"the disk of {path} is full: {free // 2**20} MiB are free and {least_free // 2**20} MiB are needed;"
            " make room or set ORDERHUB_HOME to a folder on another disk"
        )


def _refusal(path: Path, problem: OSError) -> str:
    if problem.errno == errno.ENAMETOOLONG:
        return "the path of the data folder is too long for this system: set ORDERHUB_HOME to a shorter one"
    if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {path} is full: make room or set ORDERHUB_HOME to a folder on another disk"
    if problem.errno in {errno.EEXIST, errno.ENOTDIR}:
        return f"the data folder {path} is no folder: remove that file or set ORDERHUB_HOME to another place"
    return (
        f"cannot write to the data folder {path} ({problem.strerror}): give this user the right or set"
        " ORDERHUB_HOME to another folder"
    )
