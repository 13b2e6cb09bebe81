"""The clock of one service after another jumps by an hour, ahead and back, while orders come in: nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from fleet import REPLICAS, Fleet
from load import Load, assert_all_is_well, one_after_another
from orderhub import topology

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("clock")]

HOUR = 3600
RATE, ORDERS = 20, 600
MEANWHILE = 25
"""Orders between two jumps."""


class Clocks:
    """The files that move the services' clocks, one per service."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.folder = fleet.folder.with_name("clocks")
        self.folder.mkdir(parents=True)
        files = {name: self.folder / name for name in topology.NAMES}
        fleet.extra = {"ORDERHUB_ALLOW_CLOCK_FILE": "true"} | {
            f"ORDERHUB_{name.upper()}_CLOCK_FILE": str(file) for name, file in files.items()
        }
        for name in files:
            self.set(name, 0)

    def set(self, service: str, seconds: int) -> None:
        new = self.folder / f"{service}.new"
        new.write_text(str(seconds))
        new.replace(self.folder / service)

    def jump(self, service: str, seconds: int) -> None:
        """Returns when every replica has seen it."""
        before = [self._steps(service, i) for i in range(REPLICAS)]
        self.set(service, seconds)
        self.fleet.until(
            lambda: all(self._steps(service, i) > seen for i, seen in enumerate(before)), within=60
        )

    def _steps(self, service: str, number: int) -> int:
        return (self.fleet.place.logs / f"{service}-{number + 1}.log").read_text().count("clock.stepped")


@pytest.fixture
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocks]:
    fleet = Fleet(tmp_path_factory.mktemp("clock") / "home")
    clocks = Clocks(fleet)
    try:
        fleet.start()
        fleet.json("seed", "--bench")
        yield clocks
    finally:
        assert fleet.stop() == 0


def test_clocks_that_jump_an_hour_lose_nothing_and_refuse_nobody(clocks: Clocks) -> None:
    fleet = clocks.fleet
    jumps = [
        partial(clocks.jump, service, seconds) for service in topology.NAMES for seconds in (HOUR, -HOUR, 0)
    ]
    accepted = one_after_another(fleet, jumps, ORDERS, rate=RATE, between=MEANWHILE)
    assert_all_is_well(fleet, accepted)
    fleet.check()


def test_a_replica_that_starts_with_a_wrong_clock_goes_by_the_servers(clocks: Clocks) -> None:
    fleet = clocks.fleet
    for service in topology.NAMES:
        clocks.set(service, HOUR)
        fleet.restart(f"{service}-1")
        assert "clock.set" in (fleet.place.logs / f"{service}-1.log").read_text()
    with Load(fleet, 100, rate=RATE, deliver=True) as load:
        report = load.report()
    assert report["good"], report
    assert_all_is_well(fleet, load.accepted)
    fleet.check()
