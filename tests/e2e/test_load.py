"""A thousand orders of every kind, each brought to its end by couriers."""

from __future__ import annotations

import pytest
from installation import Installation

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("fits")]


def test_a_thousand_orders_of_every_kind_settle_and_are_delivered(hub: Installation) -> None:
    hub.json("seed", "--bench")
    kinds = "happy,declined,cancel,flaky,timeout"
    found = hub.json(
        "load", "--orders", "1000", "--rate", "60", "--mix", kinds, "--deliver", "--seed", "5", timeout=400
    )
    assert found["good"], found
    assert found["accepted"] == 1000
    assert set(found["states"]) <= {"COMPLETED", "REJECTED", "CANCELLED"}
    assert hub.sql_now("orders", "select order_id, state from live_runs") == []
