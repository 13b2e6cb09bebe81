"""The model checker: thousands of schedules of duplicates, reordering, lateness, time-outs, cancels and pick-ups.

Whatever the network does, an order ends in one honest state, money and stock are conserved.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest
from orderhub_orders.engine import State
from orderhub_orders.model import Status


def _schedules():
    name = "orderhub_orders_schedules"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("schedules.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


schedules = _schedules()
FAILURES = [(), ("plan",), ("reserve",), ("authorize",), ("book",), ("capture",)]


def assert_honest(world) -> None:
    order = world.order
    run = world.loaded.live[order.id]
    assert run.state in (State.SUCCEEDED, State.FAILED), run
    assert world.captures <= 1
    assert world.refunds <= world.captures
    kept = world.captures - world.refunds
    match order.status:
        case Status.CONFIRMED:
            assert (kept, world.stock, world.delivery) == (1, "committed", "free")
        case Status.IN_DELIVERY:
            assert (kept, world.stock, world.delivery) == (1, "committed", "picked_up")
        case Status.REJECTED | Status.CANCELLED:
            assert kept == 0
            assert world.payment in ("none", "VOIDED", "REFUNDED")
            assert world.stock in ("none", "released")
            assert world.delivery in ("none", "cancelled")
        case _:
            raise AssertionError(f"an order at rest cannot be {order.status}")
    assert [event.seq for event in order.events] == list(range(1, len(order.events) + 1))


@pytest.mark.parametrize("failing", FAILURES, ids=lambda f: "+".join(f) or "happy")
@pytest.mark.parametrize("block", range(4))
def test_every_schedule_ends_in_one_honest_state(failing, block):
    for seed in range(block * 500, block * 500 + 500):
        world = schedules.World(random.Random(seed), frozenset(failing))
        try:
            for _ in range(random.Random(seed).randrange(0, 60)):
                world.step()
            world.drain()
            assert_honest(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, failing {failing}: {error}") from error


def test_without_trouble_the_order_is_confirmed_with_seven_commands():
    world = schedules.World(random.Random(0))
    world.drain()
    assert_honest(world)
    assert world.order.status is Status.CONFIRMED


@pytest.mark.parametrize("failing", FAILURES[1:], ids=lambda f: f[0])
def test_a_step_that_says_no_rejects_the_order_and_undoes_the_rest(failing):
    world = schedules.World(random.Random(0), frozenset(failing))
    world.drain()
    assert_honest(world)
    assert world.order.status is Status.REJECTED
    assert world.order.reason.code


def test_a_transient_no_is_asked_again_by_the_sweeper_and_not_at_once():
    world = schedules.World(random.Random(0))
    run = world.live()
    command = world.network.pop()
    transient = schedules.SagaReply(
        order_id=command.key, outcome=schedules.replies_pb2.OUTCOME_FAILED, transient=True
    )
    world.hear(schedules.Outgoing(transient, command.key, saga=command.saga))
    assert world.network == []
    assert run.deadline_at == world.now + schedules.engine.TRANSIENT_PAUSE
    world.pass_time()
    assert [m.saga.epoch for m in world.network] == [command.saga.epoch]
    world.drain()
    assert world.order.status is Status.CONFIRMED
