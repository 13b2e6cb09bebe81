"""Whatever comes in whatever order, money is conserved: checked after every step of random histories."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from orderhub_chassis.consumer import Context
from orderhub_chassis.errors import Failure
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope
from orderhub_chassis.participant import Standing
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef
from orderhub_contracts.payments.v1.commands_pb2 import AuthorizePayment, CapturePayment, ReversePayment
from orderhub_payments.commands import Answered, Book, Job, apply_answer, refund_payment
from orderhub_payments.consumers import HANDLERS
from orderhub_payments.ledger import PROVIDER_CLEARING, REFUNDS, customer, vendor_payable
from orderhub_payments.model import (
    ENDED,
    Authorized,
    Captured,
    Declined,
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

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORDER, VENDOR = UUID(int=0xAA), UUID(int=0xE)
COMMANDS = {
    "authorize": AuthorizePayment(
        order_id=str(ORDER), customer_id=str(UUID(int=3)), vendor_id=str(VENDOR), token="tok_ok",
        amount=Money(amount_minor=100, currency="EUR"),
    ),
    "capture": CapturePayment(order_id=str(ORDER)),
    "reverse": ReversePayment(order_id=str(ORDER), reason="cancelled"),
}  # fmt: skip
DEFINITE: dict[Kind, list[Result]] = {
    Kind.AUTHORIZE: [Authorized("ref"), Declined("ref", "declined"), Rejected("no")],
    Kind.CAPTURE: [Captured(), Rejected("no")],
    Kind.VOID: [Voided(), Rejected("no")],
    Kind.REFUND: [Refunded(), Rejected("no")],
}


class History:
    """One order's book, step by step, with all that was ever posted and granted."""

    def __init__(self) -> None:
        self.book = Book({ORDER: Standing(ORDER)}, {}, {})
        self.context = Context(NOW, CountingIds(1))
        self.accounts: defaultdict[str, int] = defaultdict(int)
        self.posted: set[UUID] = set()
        self.refunds: dict[UUID, tuple[int, str]] = {}
        self.captures = 0

    @property
    def payment(self) -> Payment | None:
        return self.book.payments.get(ORDER)

    def command(self, name: str, step: int, epoch: int) -> None:
        saga = SagaRef(
            order_id=str(ORDER), run_id="run", step=step, epoch=epoch, compensation=name == "reverse"
        )
        record = Record(id="m", key=str(ORDER), saga=saga)
        payload = COMMANDS[name]
        list(HANDLERS[type(payload)](self.book, Envelope("t", 0, ORDER, record, payload), self.context))

    def refund(self, amount: int) -> None:
        if self.payment is not None:
            refund = Refund(self.context.new_id(), self.payment.id, ORDER, amount, "EUR", "why", "vendor")
            try:
                refund_payment(self.book, self.payment, refund, self.context, traceparent="")
            except Failure:
                return

    def answer(self, choice: int, *, late: bool = False) -> None:
        """The provider's answer to what is pending; `late`: one that came under an older lease."""
        intent = self.book.pending(self.payment) if self.payment else None
        if intent is None:
            return
        results: list[Result] = [*DEFINITE[intent.kind], Transient("busy"), Unknown("timeout"), Captured()]
        attempts = intent.attempts - 1 if late else intent.attempts
        job = Job(intent.id, ORDER, intent.kind, attempts, NOW, Void("k", "ref"))
        answered = Answered(job, results[choice % len(results)], NOW)
        list(apply_answer(self.book, answered, self.context))

    def commit(self) -> None:
        """What the store would have written; then the next transaction loads afresh."""
        for posting in self.book.postings:
            assert posting.cause not in self.posted, "posted twice"
            assert posting.amount > 0
            self.posted.add(posting.cause)
            self.captures += posting.kind == "capture"
            self.accounts[posting.debit] += posting.amount
            self.accounts[posting.credit] -= posting.amount
        self.refunds |= {r.id: (r.amount, "pending") for r in self.book.new_refunds}
        for id, status in self.book.ended_refunds.items():
            self.refunds[id] = (self.refunds[id][0], status)
        held = {id: [i for i in intents if not i.ended] for id, intents in self.book.intents.items()}
        self.book = Book(self.book.standings, self.book.payments, held)

    def check(self) -> None:
        assert sum(self.accounts.values()) == 0
        payment = self.payment
        if payment is None:
            assert not self.accounts
            return
        by_status: defaultdict[str, int] = defaultdict(int)
        for amount, status in self.refunds.values():
            by_status[status] += amount
        assert 0 <= payment.refunded + payment.refund_pending <= payment.captured <= payment.authorized <= 100
        assert (payment.refunded, payment.refund_pending) == (by_status["succeeded"], by_status["pending"])
        assert self.accounts[vendor_payable(VENDOR)] == -payment.captured
        assert self.accounts[REFUNDS] == payment.refunded + payment.refund_pending
        assert self.accounts[customer(ORDER)] == -payment.refund_pending
        assert self.accounts[PROVIDER_CLEARING] == payment.captured - payment.refunded
        self._check_queue(payment)

    def _check_queue(self, payment: Payment) -> None:
        stages = [i.stage for i in self.book.open_of(payment)]
        assert stages.count(Stage.PENDING) <= 1
        assert not stages or stages[0] is Stage.PENDING, "something waits for nothing"
        assert payment.status is not Status.PENDING or stages
        assert self.captures <= 1


steps = st.one_of(
    st.tuples(st.just("command"), st.sampled_from(sorted(COMMANDS)), st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.just("refund"), st.integers(1, 120)),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("late"), st.integers(0, 5)),
)


def play(history: History, step: tuple[object, ...]) -> None:
    match step:
        case ("command", str(name), int(number), int(epoch)):
            history.command(name, number, epoch)
        case ("refund", int(amount)):
            history.refund(amount)
        case ("answer", int(choice)):
            history.answer(choice)
        case ("late", int(choice)):
            history.answer(choice, late=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(steps, st.booleans()), max_size=40))
def test_money_is_conserved_in_every_history(moves: list[tuple[tuple[object, ...], bool]]) -> None:
    history = History()
    for step, commit in moves:
        play(history, step)
        if commit:
            history.commit()
            history.check()
    history.commit()
    history.check()


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25))
def test_a_final_reversal_leaves_nothing_held_once_the_provider_agrees(
    moves: list[tuple[object, ...]],
) -> None:
    history = History()
    for step in moves:
        play(history, step)
        history.commit()
    history.command("reverse", 9, 99)
    while history.payment and history.book.pending(history.payment):
        history.answer(0)
        history.commit()
        history.check()
    if history.payment:
        assert history.payment.status in ENDED
        assert history.payment.captured == history.payment.refunded


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "answer"]), st.integers(1, 100), st.integers(0, 3)), max_size=30
    )
)
def test_refunds_never_exceed_the_capture(moves: list[tuple[str, int, int]]) -> None:
    history = History()
    for name, number in (("authorize", 2), ("capture", 4)):
        history.command(name, number, 1)
        history.answer(0)
        history.commit()
    for what, amount, choice in moves:
        if what == "ask":
            history.refund(amount)
        else:
            history.answer(choice)
        history.commit()
        history.check()
