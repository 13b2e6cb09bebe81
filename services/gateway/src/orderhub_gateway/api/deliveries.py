"""`deliveries/…`: what couriers do, and the welfare verdict beforehand."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from orderhub_chassis.clock import rfc3339
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb

from orderhub_gateway import quoting
from orderhub_gateway.api.parameters import Cursor, IdFilter, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import (
    HttpRequest,
    change,
    etag,
    id_text,
    page,
    page_request,
    peers_of,
)
from orderhub_gateway.convert import deliveries as convert
from orderhub_gateway.errors import bad_field
from orderhub_gateway.responses import Headers, Json
from orderhub_gateway.schemas.common import Input, MayHaveReason, Page, WithReason
from orderhub_gateway.schemas.deliveries import (
    Assign,
    CreateDelivery,
    Delivery,
    DeliveryStatus,
    HandOver,
    Quote,
    QuoteDelivery,
    ReportPosition,
)

Status = Annotated[DeliveryStatus | None, QueryParameter()]


@post(
    "/deliveries/quote",
    dto=JsonBody[QuoteDelivery],
    return_dto=None,
    operation_id="quoteDelivery",
    status_code=200,
)
async def quote(request: HttpRequest, data: JSONBody[QuoteDelivery]) -> Response[Quote]:
    """Ask the welfare rules before ordering: may these animals travel there?"""
    peers = peers_of(request)
    message = await quoting.quote_request(peers.inventory, data)
    return Json(convert.quote(await peers.delivery(peers.delivery.stub.QuoteDelivery, message)))


@post(
    "/deliveries",
    dto=JsonBody[CreateDelivery],
    return_dto=None,
    operation_id="createDelivery",
    status_code=201,
)
async def create_delivery(request: HttpRequest, data: JSONBody[CreateDelivery]) -> Response[Delivery]:
    """A new delivery for an order whose last one failed; 409 while another is live."""
    delivery = peers_of(request).delivery
    message = convert.to_create_delivery(data)
    made, headers = await change(
        request, delivery, delivery.stub.CreateDelivery, message, data, required=True
    )
    location = (b"location", b"/api/v1/deliveries/" + made.id.encode())
    return Json(convert.delivery(made), 201, [*headers, location, etag(made.version)])


@get("/deliveries", operation_id="listDeliveries")
async def list_deliveries(
    request: HttpRequest,
    order_id: IdFilter = None,
    status: Status = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[Delivery]]:
    """Own deliveries; a courier also sees those that nobody has taken yet."""
    delivery = peers_of(request).delivery
    message = pb.ListDeliveriesRequest(
        page=page_request(limit, cursor), order_id=id_text(order_id), status=status or ""
    )
    return Json(page(await delivery(delivery.stub.ListDeliveries, message), convert.delivery))


@get("/deliveries/{delivery_id:uuid}", operation_id="getDelivery")
async def get_delivery(request: HttpRequest, delivery_id: FromPath[UUID]) -> Response[Delivery]:
    """One delivery."""
    delivery = peers_of(request).delivery
    found = await delivery(delivery.stub.GetDelivery, pb.GetDeliveryRequest(id=str(delivery_id)))
    return _answer(found, [])


@post(
    "/deliveries/{delivery_id:uuid}/assign",
    dto=JsonBody[Assign], return_dto=None, operation_id="assignDelivery", status_code=200,
)  # fmt: skip
async def assign(
    request: HttpRequest, delivery_id: FromPath[UUID], data: JSONBody[Assign | None] = None
) -> Response[Delivery]:
    """Take a delivery; an operator names a courier."""
    data = data or Assign()
    message = pb.AssignDeliveryRequest(id=str(delivery_id), courier_id=id_text(data.courier_id))
    return await _act(request, "AssignDelivery", message, data)


@post("/deliveries/{delivery_id:uuid}/pickup", operation_id="pickUpDelivery", status_code=200)
async def pick_up(request: HttpRequest, delivery_id: FromPath[UUID]) -> Response[Delivery]:
    """The goods have left the vendor."""
    return await _act(request, "PickUpDelivery", pb.PickUpDeliveryRequest(id=str(delivery_id)), None)


@post(
    "/deliveries/{delivery_id:uuid}/position",
    dto=JsonBody[ReportPosition], return_dto=None, operation_id="reportPosition", status_code=200,
)  # fmt: skip
async def report_position(
    request: HttpRequest, delivery_id: FromPath[UUID], data: JSONBody[ReportPosition]
) -> Response[Delivery]:
    """Where the courier is."""
    if data.at is not None and data.at.tzinfo is None:
        raise bad_field("/at", "format", "must have an offset or Z")
    message = pb.ReportPositionRequest(
        id=str(delivery_id),
        position=common_pb2.Position(lat=data.position.lat, lon=data.position.lon),
        at=rfc3339(data.at) if data.at else "",
    )
    return await _act(request, "ReportPosition", message, data)


@post(
    "/deliveries/{delivery_id:uuid}/handover",
    dto=JsonBody[HandOver], return_dto=None, operation_id="handOverDelivery", status_code=200,
)  # fmt: skip
async def hand_over(
    request: HttpRequest, delivery_id: FromPath[UUID], data: JSONBody[HandOver | None] = None
) -> Response[Delivery]:
    """The customer has it: the order is completed."""
    data = data or HandOver()
    message = pb.HandOverDeliveryRequest(id=str(delivery_id), recipient=data.recipient)
    return await _act(request, "HandOverDelivery", message, data)


@post(
    "/deliveries/{delivery_id:uuid}/fail",
    dto=JsonBody[WithReason], return_dto=None, operation_id="failDelivery", status_code=200,
)  # fmt: skip
async def fail(
    request: HttpRequest, delivery_id: FromPath[UUID], data: JSONBody[WithReason]
) -> Response[Delivery]:
    """It could not be delivered; the order is cancelled and paid back."""
    message = pb.FailDeliveryRequest(id=str(delivery_id), reason=data.reason)
    return await _act(request, "FailDelivery", message, data)


@post(
    "/deliveries/{delivery_id:uuid}/cancel",
    dto=JsonBody[MayHaveReason], return_dto=None, operation_id="cancelDelivery", status_code=200,
)  # fmt: skip
async def cancel(
    request: HttpRequest, delivery_id: FromPath[UUID], data: JSONBody[MayHaveReason | None] = None
) -> Response[Delivery]:
    """Call a delivery off before it is picked up."""
    data = data or MayHaveReason()
    message = pb.CancelDeliveryRequest(id=str(delivery_id), reason=data.reason or "")
    return await _act(request, "CancelDelivery", message, data)


async def _act(request: HttpRequest, method: str, message: Any, data: Input | None) -> Response[Delivery]:
    delivery = peers_of(request).delivery
    found, headers = await change(request, delivery, getattr(delivery.stub, method), message, data)
    return _answer(found, headers)


def _answer(found: pb.Delivery, headers: Headers) -> Response[Delivery]:
    return Json(convert.delivery(found), 200, [*headers, etag(found.version)])


ROUTES: list[Any] = [
    quote,
    create_delivery,
    list_deliveries,
    get_delivery,
    assign,
    pick_up,
    report_position,
    hand_over,
    fail,
    cancel,
]
