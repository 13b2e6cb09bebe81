"""Everything is restarted, one replica after another, while orders come in over brokers and servers: nothing is lost, no
request fails for good."""

from __future__ import annotations

import pytest
from fleet import REPLICAS, Fleet
from load import Load, assert_all_is_well
from orderhub import topology

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

RATE, SECONDS = 40, 120
CONNECTIONS = 256
"""A quarter of the orders are waited for, long on a machine that is full: with few connections they set the pace."""


def test_a_rolling_restart_of_everything_under_load_loses_nothing(fleet: Fleet) -> None:
    """On a slow machine two minutes are not enough for all: then there is a second load, and a third."""
    waiting = [f"{name}-{i + 1}" for name in topology.NAMES for i in range(REPLICAS)]
    accepted: list[str] = []
    while waiting:
        accepted += _under_load(fleet, waiting)
    assert_all_is_well(fleet, accepted)
    fleet.check()


def _under_load(fleet: Fleet, waiting: list[str]) -> list[str]:
    """Restart who waits for it until the load has placed its last order; the ids of its orders."""
    orders = RATE * SECONDS
    load = Load(fleet, orders, rate=RATE, deliver=True, connections=CONNECTIONS)
    try:
        while waiting:
            placed = len(load.accepted)
            fleet.until(lambda placed=placed: len(load.accepted) >= min(placed + RATE, orders), within=90)
            if len(load.accepted) >= orders:
                break
            fleet.restart(waiting.pop(0))
        report = load.report()
    finally:
        load.stop()
    assert report["good"], report
    assert report["accepted"] == orders, report
    return load.accepted
