"""Everything is restarted, one replica after another, while orders come in over brokers and servers: nothing is lost, no
request fails for good."""

from __future__ import annotations

from functools import partial

import pytest
from fleet import REPLICAS, Fleet
from load import assert_all_is_well, one_after_another
from orderhub import topology

pytestmark = [pytest.mark.backends, pytest.mark.breaking]

RATE, SECONDS = 40, 120
SECONDS_AGAIN = 30
"""Where two minutes are not enough for everybody."""
CONNECTIONS = 256
"""A quarter of the orders are waited for, long on a machine that is full: with few connections they set the pace."""


def test_a_rolling_restart_of_everything_under_load_loses_nothing(fleet: Fleet) -> None:
    restarts = [partial(fleet.restart, f"{name}-{i + 1}") for name in topology.NAMES for i in range(REPLICAS)]
    accepted = one_after_another(
        fleet, restarts, RATE * SECONDS, rate=RATE, between=RATE, again=RATE * SECONDS_AGAIN,
        connections=CONNECTIONS,
    )  # fmt: skip
    assert len(accepted) >= RATE * SECONDS
    assert_all_is_well(fleet, accepted)
    fleet.check()
