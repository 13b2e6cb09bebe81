"""Each command against each state of a payment, and each answer of the provider against each kind of intent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope, Outgoing
from orderhub_chassis.participant import STALE_EPOCH, Standing
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.events_pb2 import PaymentChanged
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment
from orderhub_payments.commands import Answered, Book, Job, apply_answer, refund_payment
from orderhub_payments.consumers import HANDLERS
from orderhub_payments.errors import NotRefundable, RefundExceedsCaptured
from orderhub_payments.model import (
    Authorized,
    Captured,
    Declined,
    Intent,
    Kind,
    Payment,
    Refund,
    Refunded,
    Rejected,
    Result,
    Stage,
    Status,
    Transient,
    Unknown,
    Void,
    Voided,
)

M = TypeVar("M")
S = Status
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORDER, RUN = UUID(int=0xAA), UUID(int=0xBB)
NEW, WAITS, SUCCEEDED, FAILED, REFUSED = "new intent", "waits", "succeeded", "failed", "refused"
OUTCOMES = {
    replies_pb2.OUTCOME_SUCCEEDED: SUCCEEDED,
    replies_pb2.OUTCOME_FAILED: FAILED,
    replies_pb2.OUTCOME_REFUSED: REFUSED,
}
COMMANDS = {
    "authorize": AuthorizePayment(
        order_id=str(ORDER), customer_id=str(UUID(int=3)), vendor_id=str(UUID(int=4)),
        amount=Money(amount_minor=100, currency="EUR"), token="tok_ok",
    ),
    "capture": CapturePayment(order_id=str(ORDER)),
    "reverse": ReversePayment(order_id=str(ORDER), reason="cancelled"),
}  # fmt: skip
STEPS = {"authorize": 2, "capture": 4, "reverse": 2}


def a_payment(status: Status, **over: Any) -> Payment:
    held = status in (S.AUTHORIZED, S.VOIDED, S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
    taken = status in (S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
    values: dict[str, Any] = {
        "id": UUID(int=1), "order_id": ORDER, "customer_id": UUID(int=3), "vendor_id": UUID(int=4), "currency": "EUR",
        "amount": 100, "provider": "simulator", "status": status, "authorized": 100 if held else 0,
        "captured": 100 if taken else 0, "refunded": {S.PARTIALLY_REFUNDED: 20, S.REFUNDED: 100}.get(status, 0),
        "provider_ref": "ref" if held else "",
    }  # fmt: skip
    return Payment(**{**values, **over})


def saga(step: int, *, epoch: int = 1, compensation: bool = False, run: UUID = RUN) -> SagaRef:
    return SagaRef(order_id=str(ORDER), run_id=str(run), step=step, epoch=epoch, compensation=compensation)


def an_intent(payment: Payment, kind: Kind, stage: Stage = Stage.PENDING, **over: Any) -> Intent:
    values: dict[str, Any] = {
        "id": UUID(int=0x100 + len(kind)), "payment_id": payment.id, "order_id": payment.order_id, "kind": kind,
        "amount": 100, "provider_key": kind.value, "saga": saga(9, run=UUID(int=0xCC)).SerializeToString(),
        "traceparent": "", "stage": stage, "next_attempt_at": NOW, "attempts": 1,
        "refund_id": UUID(int=7) if kind is Kind.REFUND else None,
    }  # fmt: skip
    return Intent(**{**values, **over})


def a_book(payment: Payment | None = None, *intents: Intent, epoch: int = 0) -> Book:
    payments = {ORDER: payment} if payment else {}
    held = {payment.id: list(intents)} if payment else {}
    return Book({ORDER: Standing(ORDER, epoch)}, payments, held)


def a_context() -> Context:
    return Context(NOW, CountingIds(1000))


def handle(book: Book, name: str, *, epoch: int = 1, command: Any = None) -> list[Outgoing]:
    record = Record(id="m", key=str(ORDER), traceparent="00-trace", saga=saga(STEPS[name], epoch=epoch))
    record.saga.compensation = name == "reverse"
    payload = command or COMMANDS[name]
    envelope = Envelope("payments.commands.v1", 0, UUID(int=1), record, payload)
    return list(HANDLERS[type(payload)](book, envelope, a_context()))


def sent(outgoing: list[Outgoing], kind: type[M]) -> list[M]:
    return [m.payload for m in outgoing if isinstance(m.payload, kind)]


def verdict(book: Book, outgoing: list[Outgoing]) -> str:
    """What a command led to, in one word; the reply may come with the decision or later."""
    replies = sent(outgoing, SagaReply)
    if replies:
        (reply,) = replies
        return OUTCOMES[reply.outcome]
    return NEW if book.new_intents else WAITS


# ---- command × status, with nothing under way

NOTHING_UNDER_WAY = [s for s in Status if s is not S.PENDING]
EXPECTED = {
    **{("authorize", status): REFUSED for status in NOTHING_UNDER_WAY},
    **{("capture", status): REFUSED for status in NOTHING_UNDER_WAY},
    ("capture", S.AUTHORIZED): NEW,
    ("reverse", S.AUTHORIZED): NEW,
    ("reverse", S.CAPTURED): NEW,
    ("reverse", S.PARTIALLY_REFUNDED): NEW,
    ("reverse", S.VOIDED): SUCCEEDED,
    ("reverse", S.REFUNDED): SUCCEEDED,
    ("reverse", S.DECLINED): SUCCEEDED,
    ("reverse", S.FAILED): SUCCEEDED,
}


@pytest.mark.parametrize("status", NOTHING_UNDER_WAY)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_every_status_is_answered_or_becomes_one_intent(name: str, status: Status) -> None:
    book = a_book(a_payment(status))
    outgoing = handle(book, name)
    assert verdict(book, outgoing) == EXPECTED[name, status]
    for reply in sent(outgoing, SagaReply):
        assert (reply.payment.status, reply.payment.version) == (status, 1)
    if book.new_intents:
        (intent,) = book.new_intents
        assert intent.stage is Stage.PENDING


@pytest.mark.parametrize(
    ("name", "expected"), [("authorize", NEW), ("capture", REFUSED), ("reverse", SUCCEEDED)]
)
def test_every_command_for_an_order_that_is_not_known(name: str, expected: str) -> None:
    book = a_book()
    assert verdict(book, handle(book, name)) == expected
    assert book.standings[ORDER].epoch == 1


# ---- command × kind of the intent that is under way (of another step)

UNDER_WAY = {
    Kind.AUTHORIZE: S.PENDING,
    Kind.CAPTURE: S.AUTHORIZED,
    Kind.VOID: S.AUTHORIZED,
    Kind.REFUND: S.CAPTURED,
}


@pytest.mark.parametrize("kind", UNDER_WAY)
@pytest.mark.parametrize("name", COMMANDS)
def test_while_something_is_under_way_a_reversal_waits_and_the_rest_is_refused(name: str, kind: Kind) -> None:
    payment = a_payment(UNDER_WAY[kind], refund_pending=100 if kind is Kind.REFUND else 0)
    book = a_book(payment, an_intent(payment, kind))
    outgoing = handle(book, name)
    if name == "reverse":
        (intent,) = book.new_intents
        assert (intent.kind, intent.stage, outgoing) == (Kind.REVERSE, Stage.WAITING, [])
    else:
        assert verdict(book, outgoing) == REFUSED
        assert book.new_intents == []


@pytest.mark.parametrize(
    ("name", "status"), [("authorize", None), ("capture", S.AUTHORIZED), ("reverse", S.AUTHORIZED)]
)
def test_the_same_command_again_while_it_is_under_way_makes_no_second_intent(
    name: str, status: Status | None
) -> None:
    book = a_book(a_payment(status) if status else None)
    assert handle(book, name) == []
    assert handle(book, name) == []
    assert len(book.new_intents) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_an_older_epoch_is_refused_as_stale(name: str) -> None:
    book = a_book(epoch=5)
    (reply,) = sent(handle(book, name, epoch=4), SagaReply)
    assert (reply.outcome, reply.reason.code) == (replies_pb2.OUTCOME_REFUSED, STALE_EPOCH)
    assert (book.new_payments, book.new_intents) == ([], [])


def test_undoing_nothing_stops_the_authorization_that_comes_late() -> None:
    book = a_book()
    assert verdict(book, handle(book, "reverse", epoch=2)) == SUCCEEDED
    assert verdict(book, handle(book, "authorize", epoch=1)) == REFUSED


@pytest.mark.parametrize(
    ("amount", "currency", "token", "code"),
    [
        (0, "EUR", "tok_ok", "payments.invalid_amount"),
        (-1, "EUR", "tok_ok", "payments.invalid_amount"),
        (1, "eur", "tok_ok", "payments.invalid_amount"),
        (1, "EURO", "tok_ok", "payments.invalid_amount"),
        (1, "", "tok_ok", "payments.invalid_amount"),
        (1, "EUR", "", "payments.invalid_token"),
        (1, "EUR", "a\0b", "payments.invalid_token"),
        (1, "EUR", "x" * 256, "payments.invalid_token"),
    ],
)
def test_what_no_provider_can_charge_fails_without_asking(
    amount: int, currency: str, token: str, code: str
) -> None:
    command = AuthorizePayment()
    command.CopyFrom(COMMANDS["authorize"])
    command.amount.amount_minor, command.amount.currency, command.token = amount, currency, token
    book = a_book()
    (reply,) = sent(handle(book, "authorize", command=command), SagaReply)
    assert (reply.outcome, reply.reason.code) == (replies_pb2.OUTCOME_FAILED, code)
    assert (book.new_payments, book.new_intents) == ([], [])


def test_keys_do_not_depend_on_the_epoch_or_on_the_delivery() -> None:
    keys = set()
    for epoch in (1, 2, 7):
        for name, status in (("authorize", None), ("capture", S.AUTHORIZED), ("reverse", S.CAPTURED)):
            book = a_book(a_payment(status) if status else None)
            handle(book, name, epoch=epoch)
            keys.add((name, book.new_intents[0].provider_key))
    assert len(keys) == 3


# ---- kind of intent × answer of the provider

RESULTS: list[Result] = [
    Authorized("ref"), Declined("ref", "insufficient_funds"), Captured(), Voided(), Refunded(), Rejected("no"),
    Transient("busy"), Unknown("timeout"),
]  # fmt: skip
ENDS = {
    (Kind.AUTHORIZE, Authorized): (S.AUTHORIZED, SUCCEEDED, "payment.authorized"),
    (Kind.AUTHORIZE, Declined): (S.DECLINED, FAILED, "payment.declined"),
    (Kind.AUTHORIZE, Rejected): (S.FAILED, FAILED, "payment.failed"),
    (Kind.CAPTURE, Captured): (S.CAPTURED, SUCCEEDED, "payment.captured"),
    (Kind.CAPTURE, Rejected): (S.AUTHORIZED, FAILED, "payment.capture_failed"),
    (Kind.VOID, Voided): (S.VOIDED, SUCCEEDED, "payment.voided"),
    (Kind.VOID, Rejected): (S.AUTHORIZED, FAILED, "payment.void_failed"),
    (Kind.REFUND, Refunded): (S.REFUNDED, SUCCEEDED, "payment.refunded"),
    (Kind.REFUND, Rejected): (S.CAPTURED, FAILED, "payment.refund_failed"),
}


def answer(book: Book, intent: Intent, result: Result, *, attempts: int | None = None) -> list[Outgoing]:
    job = Job(intent.id, ORDER, intent.kind, attempts or intent.attempts, NOW, Void("k", "ref"))
    retry_at = NOW + timedelta(seconds=1)
    outgoing = list(apply_answer(book, Answered(job, result, retry_at), a_context()))
    assert_told_by_replies(outgoing)
    return outgoing


def assert_told_by_replies(outgoing: list[Outgoing]) -> None:
    """Orders ignores a marked event: the reply to that step must tell as much."""
    told = {
        m.saga.SerializeToString(): m.payload.payment for m in outgoing if isinstance(m.payload, SagaReply)
    }
    for message in outgoing:
        if isinstance(message.payload, PaymentChanged) and message.saga is not None:
            reply = told[message.saga.SerializeToString()]
            assert (reply.status, reply.version) == (message.payload.status, message.payload.version)


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize("kind", UNDER_WAY)
def test_every_answer_to_every_kind_of_intent(kind: Kind, result: Result) -> None:
    payment = a_payment(UNDER_WAY[kind], refund_pending=100 if kind is Kind.REFUND else 0)
    intent = an_intent(payment, kind)
    book = a_book(payment, intent)
    outgoing = answer(book, intent, result)
    expected = ENDS.get((kind, type(result)))
    if expected is None:
        told = [OUTCOME_UNKNOWN] if kind is Kind.CAPTURE else []
        assert [r.outcome for r in sent(outgoing, SagaReply)] == told
        assert (intent.stage, intent.next_attempt_at) == (Stage.PENDING, NOW + timedelta(seconds=1))
        assert (payment.status, payment.changed, book.postings) == (UNDER_WAY[kind], False, [])
        return
    status, outcome, event = expected
    assert (payment.status, intent.ended, verdict(book, outgoing)) == (status, True, outcome)
    assert [e.kind for e in sent(outgoing, PaymentChanged)] == [event]
    assert payment.refund_pending == 0


OUTCOME_UNKNOWN = replies_pb2.OUTCOME_UNKNOWN


@pytest.mark.parametrize("result", [Transient("busy"), Unknown("timeout")])
def test_an_unknown_capture_is_told_once_and_never_remembered_as_the_answer(result: Result) -> None:
    payment = a_payment(S.AUTHORIZED)
    book = a_book(payment)
    handle(book, "capture")
    (intent,) = book.new_intents
    first, second = answer(book, intent, result), answer(book, intent, result)
    assert [r.outcome for r in sent(first + second, SagaReply)] == [OUTCOME_UNKNOWN]
    assert sent(answer(book, intent, Captured()), SagaReply)[0].outcome == replies_pb2.OUTCOME_SUCCEEDED
    (repeated,) = sent(handle(book, "capture"), SagaReply)
    assert repeated.outcome == replies_pb2.OUTCOME_SUCCEEDED


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_answer_under_another_lease_is_dropped(attempts: int) -> None:
    payment = a_payment(S.PENDING)
    intent = an_intent(payment, Kind.AUTHORIZE, attempts=2)
    book = a_book(payment, intent)
    assert answer(book, intent, Authorized("ref"), attempts=attempts) == []
    assert (payment.status, intent.stage) == (S.PENDING, Stage.PENDING)


@pytest.mark.parametrize(
    ("kind", "result"), [(Kind.AUTHORIZE, Declined("r", "declined")), (Kind.CAPTURE, Rejected("no"))]
)
def test_a_no_on_the_way_forward_is_repeated_and_never_asked_again(kind: Kind, result: Result) -> None:
    book = a_book(a_payment(S.AUTHORIZED) if kind is Kind.CAPTURE else None)
    handle(book, kind.value)
    (first,) = sent(answer(book, book.new_intents[0], result), SagaReply)
    (again,) = sent(handle(book, kind.value), SagaReply)
    assert again == first
    assert len(book.new_intents) == 1


def test_an_answer_to_what_is_answered_already_is_dropped() -> None:
    payment = a_payment(S.PENDING)
    intent = an_intent(payment, Kind.AUTHORIZE)
    book = a_book(payment, intent)
    answer(book, intent, Authorized("ref"))
    version = payment.version
    assert answer(book, intent, Declined("ref", "declined")) == []
    assert (payment.status, payment.version) == (S.AUTHORIZED, version)


# ---- what waits behind


AFTER: list[tuple[Kind, Result, Kind | None]] = [
    (Kind.AUTHORIZE, Authorized("ref"), Kind.VOID),
    (Kind.AUTHORIZE, Declined("ref", "declined"), None),
    (Kind.AUTHORIZE, Rejected("no"), None),
    (Kind.CAPTURE, Captured(), Kind.REFUND),
    (Kind.CAPTURE, Rejected("no"), Kind.VOID),
    (Kind.VOID, Voided(), None),
    (Kind.VOID, Rejected("no"), Kind.VOID),
    (Kind.REFUND, Refunded(), None),
    (Kind.REFUND, Rejected("no"), Kind.REFUND),
]


@pytest.mark.parametrize(("kind", "result", "then"), AFTER, ids=lambda v: getattr(v, "name", repr(v)))
def test_a_reversal_that_waited_undoes_what_there_is_by_then(
    kind: Kind, result: Result, then: Kind | None
) -> None:
    payment = a_payment(UNDER_WAY[kind], refund_pending=100 if kind is Kind.REFUND else 0)
    first = an_intent(payment, kind)
    book = a_book(payment, first)
    assert handle(book, "reverse", epoch=2) == []
    (waiting,) = book.new_intents
    outgoing = answer(book, first, result)
    if then is None:
        assert waiting.stage is Stage.DONE
        assert sent(outgoing, SagaReply)[-1].outcome == replies_pb2.OUTCOME_SUCCEEDED
    else:
        assert (waiting.kind, waiting.stage) == (then, Stage.PENDING)
        assert (waiting.refund_id is not None) == (then is Kind.REFUND)


@pytest.mark.parametrize(("status", "result"), [(S.AUTHORIZED, Rejected("no")), (S.CAPTURED, Rejected("no"))])
def test_a_reversal_that_the_provider_refused_is_asked_anew_under_another_key(
    status: Status, result: Result
) -> None:
    book = a_book(a_payment(status))
    handle(book, "reverse")
    first = book.new_intents[0]
    (reply,) = sent(answer(book, first, result, attempts=first.attempts or 0), SagaReply)
    assert (OUTCOMES[reply.outcome], reply.transient) == (FAILED, False)
    assert handle(book, "reverse") == []
    second = book.new_intents[1]
    assert second.stage is Stage.PENDING
    assert second.provider_key != first.provider_key


# ---- refunds that people ask for


def ask_refund(book: Book, amount: int) -> list[Outgoing]:
    payment = book.payments[ORDER]
    refund = Refund(UUID(int=0x500 + amount), payment.id, ORDER, amount, "EUR", "broken", "v")
    return refund_payment(book, payment, refund, a_context(), traceparent="")


@pytest.mark.parametrize("status", Status)
def test_a_refund_is_granted_only_where_captured_money_is_left(status: Status) -> None:
    payment = a_payment(status)
    book = a_book(payment)
    if status in (S.CAPTURED, S.PARTIALLY_REFUNDED):
        (event,) = sent(ask_refund(book, 80), PaymentChanged)
        assert (event.kind, payment.refund_pending) == ("payment.refund_requested", 80)
        assert (book.new_intents[0].kind, book.new_intents[0].stage) == (Kind.REFUND, Stage.PENDING)
    else:
        with pytest.raises(NotRefundable):
            ask_refund(book, 80)
        assert (book.new_intents, book.new_refunds, book.postings) == ([], [], [])


def test_refunds_wait_for_each_other_and_cannot_take_the_same_money() -> None:
    payment = a_payment(S.CAPTURED)
    book = a_book(payment)
    ask_refund(book, 60)
    ask_refund(book, 30)
    assert [i.stage for i in book.new_intents] == [Stage.PENDING, Stage.WAITING]
    with pytest.raises(RefundExceedsCaptured):
        ask_refund(book, 11)
    answer(book, book.new_intents[0], Refunded(), attempts=book.new_intents[0].attempts)
    assert book.new_intents[1].stage is Stage.PENDING
    assert (payment.status, payment.refundable) == (S.PARTIALLY_REFUNDED, 10)


def test_a_reversal_behind_a_refund_refunds_only_the_rest() -> None:
    payment = a_payment(S.CAPTURED)
    book = a_book(payment)
    ask_refund(book, 60)
    handle(book, "reverse")
    first, second = book.new_intents
    answer(book, first, Refunded(), attempts=first.attempts)
    assert (second.kind, second.amount) == (Kind.REFUND, 40)
    answer(book, second, Refunded(), attempts=second.attempts)
    assert (payment.status, payment.refunded) == (S.REFUNDED, 100)


CODES: list[tuple[Callable[[], Result], str]] = [
    (lambda: Declined("r", "declined"), "payments.declined"),
    (lambda: Declined("r", "insufficient_funds"), "payments.insufficient_funds"),
    (lambda: Declined("r", "do_not_honor"), "payments.declined"),
    (lambda: Rejected("unknown_token"), "payments.unknown_token"),
    (lambda: Rejected("invalid_body"), "payments.rejected"),
]


@pytest.mark.parametrize(("result", "code"), CODES)
def test_a_no_has_a_stable_code_and_words_for_people(result: Callable[[], Result], code: str) -> None:
    payment = a_payment(S.PENDING)
    intent = an_intent(payment, Kind.AUTHORIZE)
    (reply,) = sent(answer(a_book(payment, intent), intent, result()), SagaReply)
    assert (reply.outcome, reply.reason.code, reply.transient) == (replies_pb2.OUTCOME_FAILED, code, False)
    assert reply.reason.message.endswith((".", ")"))
    assert payment.reason_code == code
