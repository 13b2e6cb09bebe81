"""The gRPC door: payments for those whose they are, refunds for vendors, the ledger for operators."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from orderhub_chassis import idempotency
from orderhub_chassis.calls import Call, Caller, current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.consumer import Context
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure, Invalid, invalid_field, uuid_field
from orderhub_chassis.telemetry import log
from orderhub_contracts.payments.v1 import payments_pb2 as pb
from orderhub_contracts.payments.v1 import payments_pb2_grpc

from orderhub_payments import metrics, queries, reconcile, store
from orderhub_payments.clients import Providers
from orderhub_payments.commands import Book, refund_payment
from orderhub_payments.errors import CurrencyMismatch, NotRefundable, PaymentNotFound
from orderhub_payments.hints import Hints
from orderhub_payments.messages import money
from orderhub_payments.model import Payment, Refund
from orderhub_payments.queries import EntryRow, PaymentRow, RefundRow, Scope
from orderhub_payments.webhooks import Receiver
from orderhub_payments.worker import Worker

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PaymentsService"].full_name
REPLAYED: Final = (("x-idempotency-replayed", "true"),)
REASON_LENGTH: Final = 500
LAST_ID: Final = UUID(int=2**128 - 1)
LAST_ENTRY: Final = 2**62


class PaymentsServicer(payments_pb2_grpc.PaymentsServiceServicer):  # type: ignore[misc]
    def __init__(
        self,
        db: Database,
        providers: Providers,
        worker: Worker,
        cursors: Cursors,
        receiver: Receiver,
        hints: Hints,
    ) -> None:
        self._db = db
        self._providers = providers
        self._worker = worker
        self._cursors = cursors
        self._receiver = receiver
        self._hints = hints

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Any) -> pb.Payment:
        scope = _scope(current_call.get().caller)
        row = await queries.payment(self._db, uuid_field("/id", request.id), scope)
        if row is None:
            raise PaymentNotFound("there is no such payment")
        return _payment(row)

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Any) -> pb.ListPaymentsResponse:
        caller = current_call.get().caller
        order_id = uuid_field("/query/order_id", request.order_id) if request.order_id else None
        limit = page_limit(request.page.limit)
        scope = f"payments:{caller.principal}:{request.order_id}"
        before = UUID(self._position(scope, request.page.cursor, str(LAST_ID)))
        rows = await queries.payments(
            self._db, _scope(caller), order_id=order_id, before=before, limit=limit + 1
        )
        more = self._cursors.encode(scope, [str(rows[limit - 1].id)]) if len(rows) > limit else ""
        return pb.ListPaymentsResponse(items=[_payment(row) for row in rows[:limit]], next_cursor=more)

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: Any) -> pb.Payment:
        call = current_call.get()
        call.caller.need("vendor", "operator")
        payment_id = uuid_field("/payment_id", request.payment_id)
        if not call.idempotency_key:
            raise Invalid("an Idempotency-Key is needed", code="idempotency.key_required")
        _check_refund(request)
        books: list[Book] = []

        async def work(tx: Transaction) -> pb.Payment:
            books[:] = [await self._refund(tx, payment_id, request, call)]
            scope = Scope(True, None, None)
            row = await queries.payment(tx, payment_id, scope)
            assert row is not None, "it was locked by this very transaction"
            return _payment(row)

        route = f"refund:{payment_id}"
        answer, replayed = await idempotency.once(self._db, call, route, pb.Payment, work)
        if replayed:
            await context.send_initial_metadata(REPLAYED)
        for book in books:
            self._worker.offer(book.jobs)
        return answer

    async def _refund(
        self, tx: Transaction, payment_id: UUID, request: pb.RefundPaymentRequest, call: Call
    ) -> Book:
        """Lock the payment, grant the refund, make its intent."""
        row = await queries.payment(tx, payment_id, _refund_scope(call.caller))
        if row is None:
            raise PaymentNotFound("there is no such payment")
        book = await store.load(tx, [row.order_id], provider=self._providers.chosen)
        payment = book.payments[row.order_id]
        context = Context(self._db.clock.now(), self._db.new_id)
        refund = _granted(payment, request, call.caller, context)
        tx.send_all(refund_payment(book, payment, refund, context, traceparent=call.traceparent))
        await store.save(tx, book, now=context.now, lease=self._worker.lease())
        await tx.flush()
        return book

    async def ReceiveStripeWebhook(
        self, request: pb.ReceiveStripeWebhookRequest, context: Any
    ) -> pb.ReceiveStripeWebhookResponse:
        """Whoever calls: the signature says who speaks."""
        try:
            hint = self._receiver.read(request.signature, request.body)
        except Failure as failure:
            metrics.WEBHOOKS.labels("refused").inc()
            log("webhooks").warning("webhooks.refused", code=failure.code, reason=failure.detail)
            raise
        outcome = "ignored"
        if hint is not None:
            outcome = "stored" if await self._hints.store(hint) else "repeated"
        metrics.WEBHOOKS.labels(outcome).inc()
        return pb.ReceiveStripeWebhookResponse(outcome=outcome)

    async def ListLedger(self, request: pb.ListLedgerRequest, context: Any) -> pb.ListLedgerResponse:
        current_call.get().caller.need("operator")
        order_id = uuid_field("/query/order_id", request.order_id) if request.order_id else None
        _text("/query/account", request.account, 200)
        limit = page_limit(request.page.limit)
        scope = f"ledger:{request.account}:{request.order_id}"
        before = int(self._position(scope, request.page.cursor, LAST_ENTRY))
        rows = await queries.ledger(
            self._db, account=request.account, order_id=order_id, before=before, limit=limit + 1
        )
        more = self._cursors.encode(scope, [rows[limit - 1].id]) if len(rows) > limit else ""
        return pb.ListLedgerResponse(items=[_entry(row) for row in rows[:limit]], next_cursor=more)

    async def Reconcile(self, request: pb.ReconcileRequest, context: Any) -> pb.ReconcileResponse:
        current_call.get().caller.need("operator")
        report = await reconcile.reconcile(self._db, self._providers)
        return pb.ReconcileResponse(
            payments_checked=report.payments_checked,
            differences=[
                pb.Difference(code=d.code, order_id=d.order_id, payment_id=d.payment_id, detail=d.detail)
                for d in report.differences
            ],
        )

    def _position(self, scope: str, cursor: str, last: Any) -> Any:
        return self._cursors.decode(scope, cursor)[0] if cursor else last


def _scope(caller: Caller) -> Scope:
    """What this caller may see. Raises Unauthenticated, or Forbidden for other roles."""
    caller.need("customer", "vendor", "operator", "service")
    return Scope(
        all=caller.has("operator", "service"),
        customer_id=_own(caller.user_id) if caller.has("customer") else None,
        vendor_id=_own(caller.vendor_id) if caller.has("vendor") else None,
    )


def _refund_scope(caller: Caller) -> Scope:
    return Scope(caller.has("operator"), None, _own(caller.vendor_id) if caller.has("vendor") else None)


def _own(id: str) -> UUID | None:
    """None, which equals no column, for a principal that is no user of ours."""
    try:
        return UUID(id)
    except ValueError:
        return None


def _text(pointer: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise invalid_field(pointer, "too_long", f"has more than {longest} characters")
    if "\0" in value:
        raise invalid_field(pointer, "nul", "must not contain NUL")


def _check_refund(request: pb.RefundPaymentRequest) -> None:
    if request.HasField("amount") and request.amount.amount_minor <= 0:
        raise invalid_field("/amount/amount_minor", "not_positive", "must be positive")
    _text("/amount/currency", request.amount.currency, 3)
    _text("/reason", request.reason, REASON_LENGTH)
    if not request.reason.strip():
        raise invalid_field("/reason", "required", "is required")


def _granted(payment: Payment, request: pb.RefundPaymentRequest, caller: Caller, context: Context) -> Refund:
    """What is asked for; without an amount, all that is left."""
    if request.HasField("amount") and request.amount.currency != payment.currency:
        raise CurrencyMismatch(f"this payment is in {payment.currency}")
    amount = request.amount.amount_minor if request.HasField("amount") else payment.refundable
    if amount == 0:
        raise NotRefundable("nothing is left to refund")
    return Refund(
        context.new_id(), payment.id, payment.order_id, amount, payment.currency, request.reason, caller.principal
    )  # fmt: skip


def _payment(row: PaymentRow) -> pb.Payment:
    return pb.Payment(
        id=str(row.id), order_id=str(row.order_id), status=row.status, version=row.version,
        authorized=money(row.authorized, row.currency), captured=money(row.captured, row.currency),
        refunded=money(row.refunded, row.currency), provider=row.provider, provider_ref=row.provider_ref,
        refunds=[_refund(refund) for refund in row.refunds],
    )  # fmt: skip


def _refund(row: RefundRow) -> pb.Refund:
    return pb.Refund(
        id=str(row.id), amount=money(row.amount, row.currency), reason=row.reason, status=row.status,
        created_at=rfc3339(row.created_at),
    )  # fmt: skip


def _entry(row: EntryRow) -> pb.LedgerEntry:
    return pb.LedgerEntry(
        id=str(row.id), transaction_id=str(row.transaction_id), account=row.account,
        amount=money(row.amount, row.currency), order_id=str(row.order_id), payment_id=str(row.payment_id),
        kind=row.kind, created_at=rfc3339(row.created_at),
    )  # fmt: skip
