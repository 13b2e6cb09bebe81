"""Each link is slow, reset, slow to close and narrow while orders run: none of them is lost, and no cent."""

from __future__ import annotations

import time

import pytest
from linked import Linked
from load import Load, assert_all_is_well
from toxics import Toxiproxy

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

LINKS = (
    "postgres", "kafka", "redis", "simulator", "auth", "orders", "inventory", "payments", "delivery"
)  # fmt: skip
TROUBLES = {
    "latency": {"latency": 150, "jitter": 50},
    "reset_peer": {"timeout": 100},
    "slow_close": {"delay": 1000},
    "bandwidth": {"rate": 30},
}
"""toxiproxy's toxics: milliseconds, and kilobytes a second."""
RATE, LASTS = 15, 2.5
ORDERS = 220
AFTERWARDS = 10
"""Orders that are accepted after one trouble and before the next."""


@pytest.mark.parametrize("link", LINKS)
def test_a_troubled_link_loses_nothing(fleet: Linked, toxiproxy: Toxiproxy, link: str) -> None:
    with Load(fleet, ORDERS, rate=RATE, seed=LINKS.index(link), deliver=link == "delivery") as load:
        fleet.until(lambda: load.is_placing, within=60)
        for kind, attributes in TROUBLES.items():
            with toxiproxy.trouble(link, kind, attributes):
                time.sleep(LASTS)
            enough = len(load.accepted) + AFTERWARDS
            fleet.until(lambda enough=enough: len(load.accepted) >= min(enough, ORDERS), within=90)
            assert load.is_placing, f"{kind} came when all orders were placed"
        found = load.report()
    assert found["good"], found
    assert_all_is_well(fleet, load.accepted)
    fleet.check()
