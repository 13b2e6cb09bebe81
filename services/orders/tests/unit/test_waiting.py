"""Who waits for an order is woken when it settles, and when nobody is to wait any more."""

from __future__ import annotations

from uuid import uuid4

from orderhub_orders.waiting import Waiters


def test_all_who_wait_are_woken_when_the_service_is_about_to_stop() -> None:
    waiters, one, two = Waiters(), uuid4(), uuid4()
    with waiters.wait_for(one) as first, waiters.wait_for(one) as second, waiters.wait_for(two) as third:
        assert not waiters.released
        waiters.release()
        assert [event.is_set() for event in (first, second, third)] == [True, True, True]
    assert waiters.released
