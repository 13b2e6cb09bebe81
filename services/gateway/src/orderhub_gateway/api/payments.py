"""`payments/…`: what was paid, and refunds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from orderhub_contracts.payments.v1 import payments_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, IdFilter, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, change, etag, id_text, page, page_request, peers_of
from orderhub_gateway.convert import common
from orderhub_gateway.convert import payments as convert
from orderhub_gateway.responses import Json
from orderhub_gateway.schemas.common import Page
from orderhub_gateway.schemas.payments import Payment, RefundPayment, WebhookReceipt


@get("/payments", operation_id="listPayments")
async def list_payments(
    request: HttpRequest, order_id: IdFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[Payment]]:
    """Own payments, or those of one order."""
    payments = peers_of(request).payments
    message = pb.ListPaymentsRequest(order_id=id_text(order_id), page=page_request(limit, cursor))
    return Json(page(await payments(payments.stub.ListPayments, message), convert.payment))


@get("/payments/{payment_id:uuid}", operation_id="getPayment")
async def get_payment(request: HttpRequest, payment_id: FromPath[UUID]) -> Response[Payment]:
    """One payment with its refunds."""
    payments = peers_of(request).payments
    found = await payments(payments.stub.GetPayment, pb.GetPaymentRequest(id=str(payment_id)))
    return Json(convert.payment(found), 200, [etag(found.version)])


@post(
    "/payments/{payment_id:uuid}/refunds",
    dto=JsonBody[RefundPayment], return_dto=None, operation_id="refundPayment", status_code=202,
)  # fmt: skip
async def refund_payment(
    request: HttpRequest, payment_id: FromPath[UUID], data: JSONBody[RefundPayment]
) -> Response[Payment]:
    """Refund a part, or all that is left; the provider does it in the background."""
    message = pb.RefundPaymentRequest(
        payment_id=str(payment_id), amount=common.to_money(data.amount), reason=data.reason
    )
    payments = peers_of(request).payments
    found, headers = await change(
        request, payments, payments.stub.RefundPayment, message, data, required=True
    )
    return Json(convert.payment(found), 202, [*headers, etag(found.version)])


@post("/payments/webhooks/stripe", operation_id="receiveStripeWebhook", status_code=200)
async def receive_stripe_webhook(request: HttpRequest) -> Response[WebhookReceipt]:
    """An event of Stripe, signed by the endpoint's secret. The body goes on byte by byte, as it was signed."""
    signature = request.headers.get("stripe-signature", "")
    message = pb.ReceiveStripeWebhookRequest(signature=signature, body=await request.body())
    payments = peers_of(request).payments
    return Json(convert.receipt(await payments(payments.stub.ReceiveStripeWebhook, message)))


ROUTES: list[Any] = [list_payments, get_payment, refund_payment]
WEBHOOK: Any = receive_stripe_webhook
