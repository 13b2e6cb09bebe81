"""Breaker, budget and bulkhead: every state with everything that can happen in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_gateway.guards import REFUSED, Breaker, Budget, Bulkhead, Circuit

WINDOW, PAUSE = 10.0, 1.0


def a_breaker(failures: int = 3) -> Breaker:
    return Breaker(failures=failures, window=WINDOW, pause=PAUSE)


def ends(breaker: Breaker, now: float, *outcomes: bool | None) -> None:
    for answered in outcomes:
        breaker.leave(breaker.enter(now), now, answered=answered)


def opened(now: float = 100.0) -> Breaker:
    breaker = a_breaker()
    ends(breaker, now, False, False, False)
    assert breaker.circuit is Circuit.OPEN
    return breaker


def test_it_opens_at_the_number_and_not_before() -> None:
    breaker = a_breaker()
    ends(breaker, 0, False, False)
    assert breaker.circuit is Circuit.CLOSED
    ends(breaker, 0, False)
    assert breaker.circuit is Circuit.OPEN


def test_failures_that_are_less_than_half_of_all_do_not_open_it() -> None:
    breaker = a_breaker()
    ends(breaker, 0, *[True, True, False] * 20)
    assert breaker.circuit is Circuit.CLOSED
    ends(breaker, 0, *[False] * 20)
    assert breaker.circuit is Circuit.OPEN


def test_what_is_older_than_the_window_does_not_count() -> None:
    breaker = a_breaker()
    ends(breaker, 0, False, False)
    ends(breaker, WINDOW + 0.1, False, False)
    assert breaker.circuit is Circuit.CLOSED
    ends(breaker, WINDOW + 0.1, False)
    assert breaker.circuit is Circuit.OPEN


def test_both_halves_of_the_window_count() -> None:
    breaker = a_breaker()
    ends(breaker, 5.0, False, False)
    ends(breaker, 5.0 + 0.6 * WINDOW, False)
    assert breaker.circuit is Circuit.OPEN


def test_what_was_given_up_counts_for_nothing() -> None:
    breaker = a_breaker()
    ends(breaker, 0, *[None] * 50)
    ends(breaker, 0, False, False)
    assert breaker.circuit is Circuit.CLOSED


def test_an_open_one_refuses_until_the_pause_is_over_and_then_lets_one_through() -> None:
    breaker = opened(100.0)
    assert breaker.enter(100.0 + PAUSE - 0.01) == REFUSED
    assert breaker.wait(100.0) == PAUSE
    probe = breaker.enter(100.0 + PAUSE)
    assert probe != REFUSED
    assert breaker.circuit is Circuit.HALF_OPEN
    assert [breaker.enter(100.0 + PAUSE + later) for later in (0, 1, 1000)] == [REFUSED] * 3


@pytest.mark.parametrize(
    ("answered", "circuit", "next_at"),
    [(True, Circuit.CLOSED, 0.0), (False, Circuit.OPEN, PAUSE), (None, Circuit.OPEN, 0.0)],
    ids=["answered", "failed", "given-up"],
)
def test_the_probe_decides(answered: bool | None, circuit: Circuit, next_at: float) -> None:
    breaker = opened(100.0)
    breaker.leave(breaker.enter(102.0), 103.0, answered=answered)
    assert breaker.circuit is circuit
    if next_at:
        assert breaker.enter(103.0 + next_at - 0.01) == REFUSED
    assert breaker.enter(103.0 + next_at) != REFUSED


def test_a_closed_one_begins_to_count_anew() -> None:
    breaker = opened(100.0)
    ends(breaker, 102.0, True)
    ends(breaker, 102.0, False, False)
    assert breaker.circuit is Circuit.CLOSED


@pytest.mark.parametrize("answered", [True, False, None], ids=["answered", "failed", "given-up"])
def test_what_began_before_it_opened_decides_nothing(answered: bool | None) -> None:
    breaker = a_breaker()
    early = breaker.enter(99.0)
    ends(breaker, 100.0, False, False, False)
    breaker.leave(early, 100.5, answered=answered)
    assert breaker.circuit is Circuit.OPEN
    probe = breaker.enter(101.0)
    breaker.leave(early, 101.1, answered=answered)
    assert breaker.circuit is Circuit.HALF_OPEN
    breaker.leave(probe, 101.2, answered=True)
    assert breaker.circuit is Circuit.CLOSED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("enter", "answered", "failed", "given up")),
            st.floats(0, 3, allow_nan=False),
            st.integers(0, 9),
        ),
        max_size=200,
    )
)
def test_whatever_happens_one_probe_at_a_time_and_none_before_the_pause_is_over(
    steps: list[tuple[str, float, int]],
) -> None:
    breaker, now, inside = a_breaker(), 0.0, list[int]()
    probe, opened_at = REFUSED, -PAUSE
    for what, seconds, which in steps:
        now += seconds
        before = breaker.circuit
        if what == "enter":
            turn = breaker.enter(now)
            if turn == REFUSED:
                assert before is not Circuit.CLOSED
                continue
            if before is not Circuit.CLOSED:
                assert before is Circuit.OPEN
                assert probe not in inside, "a second probe"
                assert now >= opened_at + PAUSE
                probe = turn
            inside.append(turn)
        elif inside:
            turn = inside.pop(which % len(inside))
            breaker.leave(turn, now, answered={"answered": True, "failed": False, "given up": None}[what])
            if breaker.circuit is Circuit.OPEN and before is not Circuit.OPEN:
                opened_at = now if what == "failed" else now - PAUSE


@given(st.lists(st.booleans(), max_size=500), st.sampled_from((0.0, 0.1, 0.5, 1.0)))
def test_repetitions_never_exceed_the_reserve_and_the_share(asked: list[bool], ratio: float) -> None:
    budget, repeated = Budget(ratio=ratio, reserve=10), 0
    for calls, repeats in enumerate(asked, 1):
        budget.called()
        repeated += repeats and budget.may_repeat()
        assert repeated <= (10 if ratio else 0) + ratio * calls + 1e-6


def test_an_idle_budget_does_not_grow_beyond_its_reserve() -> None:
    budget = Budget(ratio=0.1, reserve=2)
    for _ in range(1000):
        budget.called()
    assert [budget.may_repeat() for _ in range(4)] == [True, True, False, False]


def test_a_bulkhead_has_room_for_so_many_and_for_another_when_one_leaves() -> None:
    room = Bulkhead(2)
    assert [room.enter() for _ in range(3)] == [True, True, False]
    room.leave()
    assert [room.enter(), room.enter()] == [True, False]
    assert room.inside == 2
