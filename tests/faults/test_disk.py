"""The disk of PostgreSQL, or that of an outbox alone, is full for a while: orders wait, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import with_parameters
from fleet import Fleet
from installation import Installation
from load import Load, during
from orderhub_backends.control import Backends
from orderhub_backends.places import Places

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

FULL = "No space left on device"
OUTBOXES = ("orders", "inventory", "payments", "delivery")


@contextlib.contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size, of which nothing is left afterwards. Only root may mount one."""
    folder.mkdir(parents=True)
    size = f"size={megabytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is free on that disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def test_outboxes_whose_disk_is_full_lose_nothing(fleet: Fleet, breakable: Backends, tmp_path: Path) -> None:
    """Their tables lie on a disk of their own; whatever writes to them is undone as a whole."""
    log = breakable.places.log("postgres15")

    async def moved(tablespace: str) -> None:
        for service in OUTBOXES:
            await fleet.sql(service, f"alter table outbox set tablespace {tablespace}")

    def fault(_: Load) -> None:
        said = log.stat().st_size
        with filled(place):
            fleet.until(lambda: FULL in log.read_text(errors="replace")[said:], within=60)

    with disk(tmp_path / "disk", megabytes=8) as place:
        inner = place / "tablespace"
        inner.mkdir()
        shutil.chown(inner, "nobody", "nogroup")
        fleet.sql_now("orders", f"create tablespace tight location '{inner}'")
        try:
            asyncio.run(moved("tight"))
            during(fleet, fault)
        finally:
            asyncio.run(moved("pg_default"))
            fleet.sql_now("orders", "drop tablespace tight")


def test_a_postgres_whose_disk_is_full_loses_nothing(tmp_path: Path) -> None:
    """It may end by itself then; started when there is room again, it has all that it ever acknowledged."""
    with disk(tmp_path / "disk", megabytes=400) as place:
        servers = Backends(Places.here().beside(place / "backends"))
        try:
            list(servers.up(["postgres15"]))
            full_disk(servers, place, tmp_path / "home")
        finally:
            list(servers.down())


def full_disk(servers: Backends, place: Path, folder: Path) -> None:
    found = servers.address("postgres15")
    url = with_parameters(found["url"], sslmode="verify-full", sslrootcert=found["ca"])
    home = Installation(folder, "3", {"ORDERHUB_DATABASE_URL": url})

    def fault(_: Load) -> None:
        with filled(place):
            # What PostgreSQL says of it finds no room on the same disk.
            home.until(lambda: has_said(home, FULL) or not servers.is_running("postgres15"), within=120)
        if not servers.is_running("postgres15"):
            servers.start("postgres15")

    try:
        home.start()
        home.json("seed", "--bench")
        during(home, fault, orders=300)
    finally:
        if home.is_started:
            assert home.stop() == 0, home.said


def has_said(home: Installation, text: str) -> bool:
    return any(text in log.read_text(errors="replace") for log in home.place.logs.glob("*.log"))
