"""The last release is replaced by the code of today, replica by replica and under load, with `migrate` in two phases.

The last release is what `make release` has kept; where there is none yet, wheels of today stand in for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from fleet import REPLICAS, Fleet
from load import Load, assert_all_is_well, one_after_another
from orderhub import databases, environment, programs, topology
from orderhub.reach import Reach

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("roll-out")]

TOOLS = Path(__file__).resolve().parents[2] / "tools"
EVERYBODY = [f"{name}-{i + 1}" for name in topology.NAMES for i in range(REPLICAS)]
DRAIN = {"ORDERHUB_DRAIN_DELAY": "0.5"}
RATE, ORDERS = 20, 600


@pytest.fixture(scope="module")
def release() -> Iterator[ModuleType]:
    sys.path.insert(0, str(TOOLS))
    spec = importlib.util.spec_from_file_location("orderhub_tools_release", TOOLS / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(TOOLS))


@pytest.fixture(scope="module")
def old(release: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of the last release, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("release")
    kept = release.last(release.KEPT) or release.build(folder / "wheels")
    wheels = release.wheels_of(kept)
    assert len(wheels) == len(topology.NAMES) + 4, (
        "a wheel of each service, contracts, chassis, launcher, simulator"
    )
    for wheel in wheels:
        zipfile.ZipFile(wheel).extractall(folder / "code")
    return folder / "code"


class Released(Fleet):
    """All replicas run the old code at first; its own `migrate` has made the databases."""

    old: Path

    def _prepare_databases(self) -> None:
        assert self._used is not None
        server = self._used.dsn(environment.ADMINISTRATION)
        command = [*programs.MODULE, "orderhub", "migrate"]
        told = {**self.environment, "PYTHONPATH": str(self.old), "ORDERHUB_DATABASE_URL": server}
        subprocess.run(command, env=told, check=True, capture_output=True, timeout=120)

    def migrate(self, phase: str) -> None:
        assert self._used is not None
        asyncio.run(databases.migrate(Reach(self._used.dsn, False), phase))


@pytest.fixture
def fleet(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    fleet = Released(tmp_path_factory.mktemp("roll-out") / "home", extra=DRAIN)
    fleet.old = old
    fleet.replica_extra = {name: {"PYTHONPATH": str(old)} for name in EVERYBODY}
    try:
        fleet.start()
        fleet.json("seed", "--bench")
        yield fleet
    finally:
        assert fleet.stop() == 0


def test_the_old_code_is_really_what_runs_from_there(old: Path, fleet: Released) -> None:
    for package in (
        "orderhub_contracts",
        "orderhub_chassis",
        *(f"orderhub_{name}" for name in topology.NAMES),
    ):
        command = [*programs.MODULE[:2], "-c", f"import {package}; print({package}.__file__)"]
        told = {**fleet.environment, "PYTHONPATH": str(old)}
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(str(old)), done.stdout
    for name in EVERYBODY:
        environ = Path(f"/proc/{fleet.children[name].pid}/environ").read_bytes()
        assert f"PYTHONPATH={old}".encode() in environ.split(b"\0")


def test_the_last_release_is_rolled_out_to_the_present_under_load(fleet: Released) -> None:
    def replace(name: str) -> None:
        del fleet.replica_extra[name]
        fleet.restart(name)

    fleet.migrate("pre")
    accepted = one_after_another(
        fleet, [partial(replace, name) for name in EVERYBODY], ORDERS, rate=RATE, between=RATE
    )
    fleet.migrate("post")
    with Load(fleet, RATE, rate=RATE) as after:
        assert after.report()["good"]
    assert_all_is_well(fleet, [*accepted, *after.accepted])
    fleet.check()


def test_wheels_that_were_changed_are_refused(release: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "orderhub-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"as it was")
    release._write_manifest(tmp_path)
    assert release.wheels_of(tmp_path) == [wheel]
    wheel.write_bytes(b"as it is")
    with pytest.raises(release.bootstrap.Refused, match="is not what its manifest says"):
        release.wheels_of(tmp_path)


def test_the_newest_release_is_the_last_one(release: ModuleType, tmp_path: Path) -> None:
    assert release.last(tmp_path) is None
    for version in ("0.9.0", "0.10.0", "0.2.1"):
        (tmp_path / version).mkdir()
        (tmp_path / version / release.MANIFEST).touch()
    assert release.last(tmp_path) == tmp_path / "0.10.0"
