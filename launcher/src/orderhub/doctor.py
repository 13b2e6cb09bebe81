"""`orderhub doctor`: what OrderHub needs of a machine, of its settings, of its data folder and of its servers.

Per line what is wrong and how to mend it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from orderhub import backends, configuration, control, embedded, home, ports, providers, settings
from orderhub.backends import Diagnosis
from orderhub.exits import Exit, Refused
from orderhub.output import Output

LEAST_PYTHON: Final = (3, 11)
LEAST_MEMORY_MIB: Final = 1024
LEAST_FILES: Final = 1024


def run(place: home.Home, out: Output, *, port: int) -> Exit:
    found = [diagnosis for look in LOOKS for diagnosis in look(place, port)]
    ill = [d for d in found if d.wrong]
    rows = [("✗" if d.wrong else "✓", d.what, d.wrong or d.seen) for d in found]
    data = {"well": not ill, "looked_at": [{"what": d.what, "seen": d.seen, "wrong": d.wrong} for d in found]}
    out.result(data, out.table("", ("", "part", "state"), rows))
    return Exit.FOUND if ill else Exit.DONE


def _python(_: home.Home, __: int) -> Iterator[Diagnosis]:
    seen = f"{platform.python_version()} on {platform.platform()}"
    old = sys.version_info < LEAST_PYTHON
    yield Diagnosis("python", seen, f"{seen} is too old: install Python 3.11 or newer" if old else "")


def _postgres(_: home.Home, __: int) -> Iterator[Diagnosis]:
    yield _program("PostgreSQL", lambda: embedded.postgres_binaries() / "postgres")


def _redis(_: home.Home, __: int) -> Iterator[Diagnosis]:
    yield _program("Redis", embedded.redis_binary)


def _program(what: str, find: Callable[[], Path]) -> Diagnosis:
    try:
        done = subprocess.run([find(), "--version"], capture_output=True, text=True, check=True, timeout=10)
    except embedded.StartRefused as error:
        return Diagnosis(what, "", str(error))
    except (OSError, subprocess.SubprocessError) as error:
        return Diagnosis(what, "", f"it does not run ({error}): remove .venv and run `make up` again")
    return Diagnosis(what, done.stdout.strip())


def _folder(place: home.Home, _: int) -> Iterator[Diagnosis]:
    """The data folder itself; nothing is made or changed."""
    if not place.path.exists():
        yield Diagnosis("data folder", f"{place.path} will be made at the first start")
        return
    if not os.access(place.path, os.W_OK | os.X_OK):
        yield Diagnosis(
            "data folder",
            "",
            f"{place.path} cannot be written: give this user the right or set ORDERHUB_HOME",
        )
    elif place.is_running:
        yield Diagnosis("data folder", f"{place.path}, {_size(place.path)} MiB, in use")
    else:
        yield _at_rest(place)
    try:
        yield Diagnosis("sockets", place.socket_notice() or "in the data folder")
    except embedded.StartRefused as error:
        yield Diagnosis("sockets", "", str(error))


def _at_rest(place: home.Home) -> Diagnosis:
    try:
        home.examine(place)
    except Refused as error:
        return Diagnosis("data folder", "", str(error))
    state = f"{_size(place.path)} MiB, at rest" if place.is_initialised else "empty"
    return Diagnosis("data folder", f"{place.path}, {state}")


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file()) // 2**20


def _disk(place: home.Home, _: int) -> Iterator[Diagnosis]:
    there = next(path for path in (place.path, *place.path.parents) if path.exists())
    free = shutil.disk_usage(there).free
    few = free < home.LEAST_FREE_BYTES
    needed = home.LEAST_FREE_BYTES // 2**20
    mend = f"only {free // 2**20} MiB are free, {needed} are needed: make room or set ORDERHUB_HOME to another disk"
    yield Diagnosis("disk", f"{free // 2**30} GiB free", mend if few else "")


def _memory(_: home.Home, __: int) -> Iterator[Diagnosis]:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError, ValueError):
        yield Diagnosis("memory", "not known on this system")
        return
    mend = f"only {free} MiB are available, {LEAST_MEMORY_MIB} are needed: end other programs or use --processes 1"
    yield Diagnosis("memory", f"{free} MiB available", mend if free < LEAST_MEMORY_MIB else "")


def _settings(_: home.Home, __: int) -> Iterator[Diagnosis]:
    try:
        given = settings.given()
        wrong = configuration.mistakes(given)
        wrong += [
            f"{name}: no part reads it; see docs/configuration.md" for name in configuration.unknown(given)
        ]
    except Refused as error:
        wrong = [str(error)]
    yield Diagnosis("settings", f"{len(given)} given" if not wrong else "", "; ".join(wrong))


def _files(_: home.Home, __: int) -> Iterator[Diagnosis]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = limit != resource.RLIM_INFINITY and limit < LEAST_FILES
    mend = f"only {limit} open files are allowed: raise it with `ulimit -n {LEAST_FILES}`"
    yield Diagnosis("open files", f"up to {limit}", mend if few else "")


def _port(place: home.Home, port: int) -> Iterator[Diagnosis]:
    runtime = place.runtime()
    if runtime is not None:
        yield Diagnosis("port", f"{runtime.addresses['gateway']} is ours")
        return
    try:
        ports.require_free(port)
        yield Diagnosis("port", f"{port} is free")
    except ports.PortRefused as error:
        yield Diagnosis("port", "", str(error))


def _parts(place: home.Home, _: int) -> Iterator[Diagnosis]:
    """Those of a running product."""
    runtime = place.runtime()
    for row in asyncio.run(control.states(runtime)) if runtime else []:
        mend = f"{row['state']}: see {place.logs}"
        yield Diagnosis(row["part"], f"ready at {row['address']}", mend if row["state"] != "ready" else "")


def _backends(place: home.Home, _: int) -> Iterator[Diagnosis]:
    """The servers that are configured, and those of a running product."""
    yield from backends.look(place)


def _providers(place: home.Home, _: int) -> Iterator[Diagnosis]:
    yield from providers.look(place)


LOOKS: Final = (
    _python, _postgres, _redis, _folder, _disk, _memory, _files, _settings, _port, _parts, _backends, _providers,
)  # fmt: skip
