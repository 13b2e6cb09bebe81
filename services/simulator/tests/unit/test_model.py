"""Every state × every operation, and the money that may never appear or vanish."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis.ids import CountingIds
from orderhub_simulator import commands, errors, model
from orderhub_simulator.commands import Authorize, Book, Capture, RefundCaptured, Void
from orderhub_simulator.model import Authorization

EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)

STATES = {
    "authorized": {"status": "authorized"},
    "declined": {"status": "declined", "decline_code": "declined"},
    "captured": {"status": "captured", "captured_minor": 80},
    "partly refunded": {"status": "captured", "captured_minor": 80, "refunded_minor": 30},
    "fully refunded": {"status": "captured", "captured_minor": 80, "refunded_minor": 80},
    "voided": {"status": "voided"},
}
OPERATIONS = {
    "capture": lambda held: model.capture(held, 80, now=NOW),
    "void": lambda held: model.void(held, now=NOW),
    "refund": lambda held: model.refund(held, 50, now=NOW),
}
# What each operation makes of each state: (status, captured, refunded), or the refusal's code.
TABLE = {
    ("authorized", "capture"): ("captured", 80, 0),
    ("authorized", "void"): ("voided", 0, 0),
    ("authorized", "refund"): "not_captured",
    ("declined", "capture"): "authorization_declined",
    ("declined", "void"): "authorization_declined",
    ("declined", "refund"): "authorization_declined",
    ("captured", "capture"): "already_captured",
    ("captured", "void"): "already_captured",
    ("captured", "refund"): ("captured", 80, 50),
    ("partly refunded", "capture"): "already_captured",
    ("partly refunded", "void"): "already_captured",
    ("partly refunded", "refund"): ("captured", 80, 80),
    ("fully refunded", "capture"): "already_captured",
    ("fully refunded", "void"): "already_captured",
    ("fully refunded", "refund"): "refund_exceeds_captured",
    ("voided", "capture"): "already_voided",
    ("voided", "void"): "already_voided",
    ("voided", "refund"): "already_voided",
}


def an_authorization(**over: object) -> Authorization:
    values: dict[str, object] = {
        "id": UUID(int=1),
        "token": "tok_ok",
        "reference": "order-1",
        "amount_minor": 100,
        "currency": "EUR",
        "status": "authorized",
        "decline_code": None,
        "captured_minor": 0,
        "refunded_minor": 0,
        "created_at": EARLIER,
        "updated_at": EARLIER,
    }
    return Authorization(**{**values, **over})  # type: ignore[arg-type]


def test_the_table_names_every_state_with_every_operation() -> None:
    assert set(TABLE) == {(state, operation) for state in STATES for operation in OPERATIONS}


@pytest.mark.parametrize(("state", "operation"), TABLE)
def test_each_state_meets_each_operation_as_the_table_says(state: str, operation: str) -> None:
    held, expected = an_authorization(**STATES[state]), TABLE[state, operation]
    if isinstance(expected, str):
        with pytest.raises(errors.ProviderError) as refused:
            OPERATIONS[operation](held)
        assert (refused.value.code, refused.value.http_status) == (expected, 409)
    else:
        changed = OPERATIONS[operation](held)
        assert (changed.status, changed.captured_minor, changed.refunded_minor) == expected
        assert (changed.updated_at, changed.created_at, changed.amount_minor) == (NOW, EARLIER, 100)


def test_a_capture_may_take_the_whole_amount_and_not_one_cent_more() -> None:
    assert model.capture(an_authorization(), 100, now=NOW).captured_minor == 100
    with pytest.raises(errors.CaptureExceedsAuthorized):
        model.capture(an_authorization(), 101, now=NOW)


def test_a_refund_may_take_what_is_left_and_not_one_cent_more() -> None:
    held = an_authorization(**STATES["partly refunded"])
    assert model.refund(held, 50, now=NOW).refunded_minor == 80
    with pytest.raises(errors.RefundExceedsCaptured):
        model.refund(held, 51, now=NOW)


amounts = st.integers(1, 120)
ids = st.sampled_from([UUID(int=n) for n in (1, 2, 3, 99)])
keys = st.sampled_from("abcdefgh")
references = st.sampled_from(["r1", "r2"])
tokens = st.sampled_from(
    [
        "tok_ok",
        "tok_declined",
        "tok_timeout",
        "tok_flaky",
        "tok_capture_flaky",
        "tok_refund_flaky",
        "tok_none",
    ]
)
operations = st.one_of(
    st.builds(
        Authorize, key=keys, amount_minor=amounts, currency=st.just("EUR"), token=tokens, reference=references
    ),
    st.builds(Capture, key=keys, authorization_id=ids, amount_minor=amounts),
    st.builds(Void, key=keys, authorization_id=ids),
    st.builds(RefundCaptured, key=keys, authorization_id=ids, amount_minor=amounts, reference=references),
)


@given(st.lists(operations, max_size=40))
def test_whatever_is_asked_money_is_conserved_and_every_key_has_one_effect(
    asked: list[commands.Change],
) -> None:
    book, new_id = Book([], []), CountingIds()
    for operation in asked:
        commands.decide(operation, book, now=NOW, new_id=new_id)
    for held in book.authorizations.values():
        refunds = [r.amount_minor for r in book.new_refunds if r.authorization_id == held.id]
        assert 0 <= held.refunded_minor <= held.captured_minor <= held.amount_minor
        assert sum(refunds) == held.refunded_minor
        assert (held.captured_minor > 0) == (held.status == "captured")
    done = [r for r in book.records.values() if r.answer and r.answer.http_status == 200]
    assert len(book.authorizations) == sum(record.op == "authorize" for record in done)
    assert len(book.new_refunds) == sum(record.op == "refund" for record in done)


@given(st.lists(operations, max_size=40), st.integers(0, 40))
def test_a_cut_between_two_batches_changes_no_answer(asked: list[commands.Change], cut: int) -> None:
    whole, first, new_whole, new_cut = Book([], []), Book([], []), CountingIds(), CountingIds()
    together = [commands.decide(o, whole, now=NOW, new_id=new_whole) for o in asked]
    apart = [commands.decide(o, first, now=NOW, new_id=new_cut) for o in asked[:cut]]
    second = Book(first.records.values(), first.authorizations.values())
    apart += [commands.decide(o, second, now=NOW, new_id=new_cut) for o in asked[cut:]]
    assert apart == together
    assert second.authorizations == whole.authorizations
    assert {*second.changed_records, *second.new_records} <= {*second.records.values()}
