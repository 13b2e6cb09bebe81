"""`orders/…`. Placing is the hot path: requests travel to orders in micro-batches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.telemetry import log
from orderhub_contracts.orders.v1 import orders_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, IdFilter, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import (
    REPLAYED,
    HttpRequest,
    Parts,
    change,
    etag,
    id_text,
    keyed,
    page,
    page_request,
    parts_of,
    peers_of,
    preferred_wait,
)
from orderhub_gateway.convert import orders as convert
from orderhub_gateway.responses import Headers, Json
from orderhub_gateway.schemas.common import MayHaveReason, Page
from orderhub_gateway.schemas.orders import Order, OrderStatus, PlaceOrder, Timeline

UNSETTLED = frozenset({"PENDING", "CANCELLING"})
WAIT_MARGIN = 5.0
Status = Annotated[OrderStatus | None, QueryParameter()]
Moment = Annotated[datetime | None, QueryParameter()]


@post("/orders", dto=JsonBody[PlaceOrder], return_dto=None, operation_id="placeOrder", status_code=202)
async def place_order(request: HttpRequest, data: JSONBody[PlaceOrder]) -> Response[Order]:
    """Place an order. 202 as soon as it is safe; with `Prefer: wait=N` 200 as soon as it is settled."""
    peers = peers_of(request)
    call = keyed(request, data, required=True)
    item = pb.PlaceOrderItem(
        request=convert.to_place_order(data),
        caller_token=peers.tokens.sign(call.caller),
        idempotency_key=call.idempotency_key,
        fingerprint=call.fingerprint,
        traceparent=call.traceparent,
    )
    order, replayed = await peers.placing.submit(item)
    headers: Headers = [(b"location", b"/api/v1/orders/" + order.id.encode())]
    if replayed:
        headers.append(REPLAYED)
    if wait := preferred_wait(request):
        order = await _waited(parts_of(request), order, wait)
        headers.append((b"preference-applied", b"wait=%d" % wait))
    headers.append(etag(order.version))
    return Json(convert.order(order), 200 if wait and order.status not in UNSETTLED else 202, headers)


async def _waited(parts: Parts, order: pb.Order, seconds: int) -> pb.Order:
    """As it is after the wait; the order is accepted whatever becomes of the waiting."""
    orders, request = parts.peers.orders, pb.WaitOrderRequest(id=order.id, wait_ms=seconds * 1000)
    try:
        answer = orders.upstream.wait(orders.stub.WaitOrder, request, timeout=seconds + WAIT_MARGIN)
        return await parts.waits.during(answer) or order
    except Unavailable as error:
        log("gateway").warning("orders.wait_failed", order_id=order.id, reason=error.detail)
        return order


@get("/orders", operation_id="listOrders")
async def list_orders(
    request: HttpRequest,
    status: Status = None,
    vendor_id: IdFilter = None,
    customer_id: IdFilter = None,
    created_after: Moment = None,
    created_before: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[Order]]:
    """Own orders: a customer's those it placed, a vendor's those for it, an operator's all."""
    orders = peers_of(request).orders
    message = pb.ListOrdersRequest(
        page=page_request(limit, cursor),
        status=status or "",
        vendor_id=id_text(vendor_id),
        customer_id=id_text(customer_id),
        created_after=created_after.isoformat() if created_after else "",
        created_before=created_before.isoformat() if created_before else "",
    )
    return Json(page(await orders(orders.stub.ListOrders, message), convert.order))


@get("/orders/{order_id:uuid}", operation_id="getOrder")
async def get_order(request: HttpRequest, order_id: FromPath[UUID]) -> Response[Order]:
    """One order."""
    orders = peers_of(request).orders
    order = await orders(orders.stub.GetOrder, pb.GetOrderRequest(id=str(order_id)))
    return Json(convert.order(order), 200, [etag(order.version)])


@post(
    "/orders/{order_id:uuid}/cancel",
    dto=JsonBody[MayHaveReason], return_dto=None, operation_id="cancelOrder", status_code=202,
)  # fmt: skip
async def cancel_order(
    request: HttpRequest, order_id: FromPath[UUID], data: JSONBody[MayHaveReason | None] = None
) -> Response[Order]:
    """Cancel with a reason; again is the same answer. Refused once the courier was faster."""
    orders = peers_of(request).orders
    data = data or MayHaveReason()
    message = pb.CancelOrderRequest(id=str(order_id), reason=data.reason or "")
    order, headers = await change(request, orders, orders.stub.CancelOrder, message, data)
    if wait := preferred_wait(request):
        order = await _waited(parts_of(request), order, wait)
        headers.append((b"preference-applied", b"wait=%d" % wait))
    return Json(
        convert.order(order), 202 if order.status in UNSETTLED else 200, [*headers, etag(order.version)]
    )


@get("/orders/{order_id:uuid}/timeline", operation_id="getTimeline")
async def timeline(request: HttpRequest, order_id: FromPath[UUID]) -> Response[Timeline]:
    """Everything that happened to the order, its payment and its delivery, oldest first."""
    orders = peers_of(request).orders
    answer = await orders(orders.stub.GetTimeline, pb.GetTimelineRequest(id=str(order_id)))
    return Json(Timeline(items=[convert.timeline_item(item) for item in answer.items]))


ROUTES: list[Any] = [place_order, list_orders, get_order, cancel_order, timeline]
