"""Every status against every transition, and what the money columns say afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from orderhub_payments.errors import IllegalTransition, RefundExceedsCaptured
from orderhub_payments.model import Intent, Kind, Payment, Stage, Status, backoff, operation_of

S = Status
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_payment(status: Status) -> Payment:
    """A payment of 100 in that status; a refund of 30 is under way where one can be."""
    held = status in (S.AUTHORIZED, S.VOIDED, S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
    taken = status in (S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
    return Payment(
        id=UUID(int=1), order_id=UUID(int=2), customer_id=UUID(int=3), vendor_id=UUID(int=4), currency="EUR",
        amount=100, provider="simulator", status=status, authorized=100 if held else 0, captured=100 if taken else 0,
        refunded={S.PARTIALLY_REFUNDED: 20, S.REFUNDED: 100}.get(status, 0),
        refund_pending=30 if status in (S.CAPTURED, S.PARTIALLY_REFUNDED) else 0,
    )  # fmt: skip


TRANSITIONS: dict[str, Callable[[Payment], None]] = {
    "authorize": lambda p: p.authorize("ref"),
    "decline": lambda p: p.decline("ref", "declined"),
    "fail": lambda p: p.fail("rejected"),
    "capture": lambda p: p.capture(),
    "void": lambda p: p.void(),
    "keep": lambda p: p.keep("void_rejected"),
    "grant_refund": lambda p: p.grant_refund(10),
    "settle_refund": lambda p: p.settle_refund(30),
    "return_refund": lambda p: p.return_refund(30),
}
LEGAL = {
    (S.PENDING, "authorize"): S.AUTHORIZED,
    (S.PENDING, "decline"): S.DECLINED,
    (S.PENDING, "fail"): S.FAILED,
    (S.AUTHORIZED, "capture"): S.CAPTURED,
    (S.AUTHORIZED, "void"): S.VOIDED,
    (S.AUTHORIZED, "keep"): S.AUTHORIZED,
    (S.CAPTURED, "grant_refund"): S.CAPTURED,
    (S.CAPTURED, "settle_refund"): S.PARTIALLY_REFUNDED,
    (S.CAPTURED, "return_refund"): S.CAPTURED,
    (S.PARTIALLY_REFUNDED, "grant_refund"): S.PARTIALLY_REFUNDED,
    (S.PARTIALLY_REFUNDED, "settle_refund"): S.PARTIALLY_REFUNDED,
    (S.PARTIALLY_REFUNDED, "return_refund"): S.PARTIALLY_REFUNDED,
}


@pytest.mark.parametrize("transition", TRANSITIONS)
@pytest.mark.parametrize("status", Status)
def test_every_transition_from_every_status_is_taken_or_raises_and_changes_nothing(
    status: Status, transition: str
) -> None:
    payment, before = a_payment(status), a_payment(status)
    to = LEGAL.get((status, transition))
    if to is None:
        with pytest.raises(IllegalTransition):
            TRANSITIONS[transition](payment)
        assert payment == before
    else:
        TRANSITIONS[transition](payment)
        assert (payment.status, payment.version, payment.changed) == (to, before.version + 1, True)
        assert 0 <= payment.refundable <= payment.captured <= payment.authorized <= payment.amount


@pytest.mark.parametrize(("amount", "granted"), [(0, False), (-1, False), (1, True), (70, True), (71, False)])
def test_a_refund_is_granted_up_to_what_is_neither_refunded_nor_under_way(amount: int, granted: bool) -> None:
    payment = a_payment(S.CAPTURED)
    if granted:
        payment.grant_refund(amount)
        assert payment.refundable == 70 - amount
    else:
        with pytest.raises(RefundExceedsCaptured):
            payment.grant_refund(amount)


def test_the_last_refund_makes_a_payment_refunded() -> None:
    payment = a_payment(S.CAPTURED)
    payment.grant_refund(70)
    payment.settle_refund(30)
    assert payment.status is S.PARTIALLY_REFUNDED
    payment.settle_refund(70)
    assert (payment.status, payment.refundable) == (S.REFUNDED, 0)


@pytest.mark.parametrize("amount", [31, 0, -1])
def test_a_refund_that_was_not_granted_cannot_end(amount: int) -> None:
    with pytest.raises(IllegalTransition):
        a_payment(S.CAPTURED).settle_refund(amount)


def an_intent(kind: Kind, stage: Stage = Stage.PENDING) -> Intent:
    return Intent(
        id=UUID(int=5), payment_id=UUID(int=1), order_id=UUID(int=2), kind=kind, amount=100, provider_key="k",
        saga=b"", traceparent="", stage=stage, next_attempt_at=NOW, token="tok_ok", refund_id=UUID(int=6),
    )  # fmt: skip


INTENT_STEPS: dict[str, tuple[Stage, Stage, Callable[[Intent], None]]] = {
    "start": (Stage.WAITING, Stage.PENDING, lambda i: i.start(Kind.VOID, 100)),
    "skip": (Stage.WAITING, Stage.DONE, lambda i: i.skip()),
    "succeed": (Stage.PENDING, Stage.DONE, lambda i: i.succeed()),
    "fail": (Stage.PENDING, Stage.FAILED, lambda i: i.fail("no")),
    "retry": (Stage.PENDING, Stage.PENDING, lambda i: i.retry(NOW, "later")),
}


@pytest.mark.parametrize("name", INTENT_STEPS)
@pytest.mark.parametrize("stage", Stage)
def test_every_step_of_an_intent_from_every_stage(stage: Stage, name: str) -> None:
    expected, to, take = INTENT_STEPS[name]
    intent = an_intent(Kind.AUTHORIZE, stage)
    if stage is expected:
        take(intent)
        assert intent.stage is to
    else:
        with pytest.raises(IllegalTransition):
            take(intent)
        assert intent == an_intent(Kind.AUTHORIZE, stage)


@pytest.mark.parametrize("end", [lambda i: i.succeed(), lambda i: i.fail("no")])
def test_an_answered_intent_forgets_the_card_token(end: Callable[[Intent], None]) -> None:
    intent = an_intent(Kind.AUTHORIZE)
    end(intent)
    assert intent.token == ""


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.REVERSE])
def test_the_same_intent_always_asks_the_same(kind: Kind) -> None:
    intent = an_intent(kind)
    first = operation_of(intent, "EUR", "ref")
    intent.lease("w", NOW)
    intent.retry(NOW + timedelta(hours=1), "timeout")
    assert operation_of(intent, "EUR", "ref") == first
    assert first.key == "k"


def test_a_reversal_is_not_asked_before_it_is_decided() -> None:
    with pytest.raises(IllegalTransition):
        operation_of(an_intent(Kind.REVERSE), "EUR", "ref")


def test_pauses_double_spread_and_stay_within_the_longest() -> None:
    first, longest = timedelta(seconds=1), timedelta(seconds=30)
    low = [backoff(n, first=first, longest=longest, roll=0.0).total_seconds() for n in (1, 2, 3, 6, 10_000)]
    high = backoff(10_000, first=first, longest=longest, roll=0.999)
    assert low == [0.5, 1, 2, 15, 15]
    assert timedelta(seconds=29) < high < longest
