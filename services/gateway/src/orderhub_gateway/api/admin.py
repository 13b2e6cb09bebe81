"""`admin/…`: for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from orderhub_chassis.errors import Failure, Kind, NotFound
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.events.v1 import dead_letters_pb2 as dead_pb
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_contracts.payments.v1 import payments_pb2

from orderhub_gateway.api.parameters import Cursor, IdFilter, Limit, TextFilter
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import (
    HttpRequest,
    change,
    etag,
    id_text,
    page,
    page_request,
    parts_of,
    peers_of,
)
from orderhub_gateway.clients import Service
from orderhub_gateway.convert import auth as auth_convert
from orderhub_gateway.convert import common
from orderhub_gateway.convert import operator as convert
from orderhub_gateway.convert import orders as orders_convert
from orderhub_gateway.convert import payments as payments_convert
from orderhub_gateway.responses import Json
from orderhub_gateway.schemas.auth import CreateUser, Role, UpdateUser, UserEntry
from orderhub_gateway.schemas.common import MayHaveReason, Page, WithReason
from orderhub_gateway.schemas.operator import (
    Consumer,
    DeadLetter,
    LedgerEntry,
    Reconciliation,
    Replay,
    ReplayDeadLetter,
    Saga,
)
from orderhub_gateway.schemas.orders import Order

DEAD_LETTERS = "gateway:dead-letters"
RECONCILE_SECONDS = 50.0
ServiceFilter = Annotated[Consumer | None, QueryParameter()]
# `state` is a word of Litestar's own.
StateFilter = Annotated[str | None, QueryParameter(name="state", max_length=50)]
RoleFilter = Annotated[Role | None, QueryParameter()]


class DeadLetterNotFound(NotFound):
    code = "dead_letters.not_found"


@post("/admin/orders/{order_id:uuid}/release", operation_id="releaseOrder", status_code=202)
async def release_order(request: HttpRequest, order_id: FromPath[UUID]) -> Response[Order]:
    """Let an order that is on hold go on."""
    orders = peers_of(request).orders
    message = pb.ReleaseOrderRequest(id=str(order_id))
    order, headers = await change(request, orders, orders.stub.ReleaseOrder, message)
    return Json(orders_convert.order(order), 202, [*headers, etag(order.version)])


@post(
    "/admin/orders/{order_id:uuid}/reject",
    dto=JsonBody[WithReason], return_dto=None, operation_id="rejectOrder", status_code=202,
)  # fmt: skip
async def reject_order(
    request: HttpRequest, order_id: FromPath[UUID], data: JSONBody[WithReason]
) -> Response[Order]:
    """Reject an order that is on hold."""
    orders = peers_of(request).orders
    message = pb.RejectOrderRequest(id=str(order_id), reason=data.reason)
    order, headers = await change(request, orders, orders.stub.RejectOrder, message, data)
    return Json(orders_convert.order(order), 202, [*headers, etag(order.version)])


@get("/admin/sagas", operation_id="listSagas")
async def list_sagas(
    request: HttpRequest,
    saga_state: StateFilter = None,
    order_id: IdFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[Saga]]:
    """Saga runs."""
    orders = peers_of(request).orders
    message = pb.ListSagasRequest(
        page=page_request(limit, cursor), state=saga_state or "", order_id=id_text(order_id)
    )
    return Json(page(await orders(orders.stub.ListSagas, message), convert.saga))


@get("/admin/sagas/{run_id:uuid}", operation_id="getSaga")
async def get_saga(request: HttpRequest, run_id: FromPath[UUID]) -> Response[Saga]:
    """One saga run."""
    orders = peers_of(request).orders
    return Json(convert.saga(await orders(orders.stub.GetSaga, pb.GetSagaRequest(run_id=str(run_id)))))


@post(
    "/admin/sagas/{run_id:uuid}/retry",
    dto=JsonBody[MayHaveReason], return_dto=None, operation_id="retrySaga", status_code=200,
)  # fmt: skip
async def retry_saga(
    request: HttpRequest, run_id: FromPath[UUID], data: JSONBody[MayHaveReason | None] = None
) -> Response[Saga]:
    """Send the current command again."""
    return await _act(request, run_id, pb.SAGA_ACTION_RETRY, data or MayHaveReason())


@post(
    "/admin/sagas/{run_id:uuid}/compensate",
    dto=JsonBody[MayHaveReason], return_dto=None, operation_id="compensateSaga", status_code=200,
)  # fmt: skip
async def compensate_saga(
    request: HttpRequest, run_id: FromPath[UUID], data: JSONBody[MayHaveReason | None] = None
) -> Response[Saga]:
    """Give the run up and undo what it did."""
    return await _act(request, run_id, pb.SAGA_ACTION_COMPENSATE, data or MayHaveReason())


@post(
    "/admin/sagas/{run_id:uuid}/skip",
    dto=JsonBody[WithReason], return_dto=None, operation_id="skipSaga", status_code=200,
)  # fmt: skip
async def skip_saga(
    request: HttpRequest, run_id: FromPath[UUID], data: JSONBody[WithReason]
) -> Response[Saga]:
    """Take the failed compensation as done."""
    return await _act(request, run_id, pb.SAGA_ACTION_SKIP, data)


@post(
    "/admin/sagas/{run_id:uuid}/force",
    dto=JsonBody[WithReason], return_dto=None, operation_id="forceSaga", status_code=200,
)  # fmt: skip
async def force_saga(
    request: HttpRequest, run_id: FromPath[UUID], data: JSONBody[WithReason]
) -> Response[Saga]:
    """End the run as failed, without further compensation."""
    return await _act(request, run_id, pb.SAGA_ACTION_FORCE, data)


async def _act(
    request: HttpRequest, run_id: UUID, action: Any, data: WithReason | MayHaveReason
) -> Response[Saga]:
    orders = peers_of(request).orders
    message = pb.ActOnSagaRequest(run_id=str(run_id), action=action, reason=data.reason or "")
    saga, headers = await change(request, orders, orders.stub.ActOnSaga, message, data)
    return Json(convert.saga(saga), 200, headers)


@get("/admin/dead-letters", operation_id="listDeadLetters")
async def list_dead_letters(
    request: HttpRequest,
    service: ServiceFilter = None,
    status: TextFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[DeadLetter]]:
    """What the services have given up; a page has a share of each service's, newest first."""
    consuming = peers_of(request).consuming
    cursors = parts_of(request).cursors
    scope = f"{DEAD_LETTERS}:{service}:{status}"
    places: dict[str, str] = dict.fromkeys([service] if service else consuming, "")
    if cursor:
        places = dict(cursors.decode(scope, cursor))
    share = max(1, limit // len(places))
    answers = await asyncio.gather(
        *(_dead_letters(consuming[name], status or "", share, place) for name, place in places.items())
    )
    items = [
        convert.dead_letter(item, name)
        for name, answer in zip(places, answers, strict=True)
        for item in answer.items
    ]
    items.sort(key=lambda item: item.created_at, reverse=True)
    further = [[n, a.next_cursor] for n, a in zip(places, answers, strict=True) if a.next_cursor]
    return Json(Page(items=items, next_cursor=cursors.encode(scope, further) if further else None))


async def _dead_letters(
    service: Service, status: str, limit: int, cursor: str
) -> dead_pb.ListDeadLettersResponse:
    message = dead_pb.ListDeadLettersRequest(page=page_request(limit, cursor), status=status)
    answer: dead_pb.ListDeadLettersResponse = await service(service.dead_letters.ListDeadLetters, message)
    return answer


@get("/admin/dead-letters/{dead_letter_id:uuid}", operation_id="getDeadLetter")
async def get_dead_letter(request: HttpRequest, dead_letter_id: FromPath[UUID]) -> Response[DeadLetter]:
    """One that a service has given up, replayed since or not."""
    message = dead_pb.GetDeadLetterRequest(id=str(dead_letter_id))
    name, found = await _of_whom_has_it(
        peers_of(request).consuming, lambda service: service(service.dead_letters.GetDeadLetter, message)
    )
    return Json(convert.dead_letter(found, name))


async def _of_whom_has_it(
    services: Mapping[str, Service], ask: Callable[[Service], Awaitable[Any]]
) -> tuple[str, Any]:
    """The first answer that is not "not found", with the service's name: ids do not tell whose they are."""
    for name, service in services.items():
        try:
            return name, await ask(service)
        except Failure as failure:
            if failure.kind is not Kind.NOT_FOUND:
                raise
    raise DeadLetterNotFound("there is no such dead letter")


@post(
    "/admin/dead-letters/{dead_letter_id:uuid}/replay",
    dto=JsonBody[ReplayDeadLetter], return_dto=None, operation_id="replayDeadLetter", status_code=200,
)  # fmt: skip
async def replay_dead_letter(
    request: HttpRequest, dead_letter_id: FromPath[UUID], data: JSONBody[ReplayDeadLetter | None] = None
) -> Response[Replay]:
    """Run it and what is parked behind it again, in order, with the code of today.

    409 `dead_letters.replayed_too_often` after a few replays in vain, unless forced; 429 when replays follow each
    other too fast.
    """
    consuming = peers_of(request).consuming
    data = data or ReplayDeadLetter()
    message = dead_pb.ReplayDeadLetterRequest(id=str(dead_letter_id), dry_run=data.dry_run, force=data.force)
    _, answer = await _of_whom_has_it(
        {data.service: consuming[data.service]} if data.service else consuming,
        lambda service: service(service.dead_letters.ReplayDeadLetter, message),
    )
    return Json(convert.replay(answer))


@get("/admin/ledger", operation_id="listLedger")
async def list_ledger(
    request: HttpRequest,
    account: TextFilter = None,
    order_id: IdFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Page[LedgerEntry]]:
    """The entries of the double-entry ledger."""
    payments = peers_of(request).payments
    message = payments_pb2.ListLedgerRequest(
        page=page_request(limit, cursor), account=account or "", order_id=id_text(order_id)
    )
    return Json(page(await payments(payments.stub.ListLedger, message), payments_convert.ledger_entry))


@get("/admin/reconcile", operation_id="reconcile")
async def reconcile(request: HttpRequest) -> Response[Reconciliation]:
    """Compare orders, ledger and the provider's own answer, and name every difference."""
    payments = peers_of(request).payments
    message = payments_pb2.ReconcileRequest()
    answer = await payments(payments.stub.Reconcile, message, timeout=RECONCILE_SECONDS)
    return Json(payments_convert.reconciliation(answer))


@get("/admin/users", operation_id="listUsers")
async def list_users(
    request: HttpRequest, role: RoleFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[UserEntry]]:
    """All users."""
    auth = peers_of(request).auth
    message = auth_pb2.ListUsersRequest(page=page_request(limit, cursor), role=role or "")
    return Json(page(await auth(auth.stub.ListUsers, message), auth_convert.user_entry))


@post("/admin/users", dto=JsonBody[CreateUser], return_dto=None, operation_id="createUser", status_code=201)
async def create_user(request: HttpRequest, data: JSONBody[CreateUser]) -> Response[UserEntry]:
    """Make a user of any role."""
    auth = peers_of(request).auth
    message = auth_pb2.CreateUserRequest(
        email=data.email,
        password=data.password,
        roles=data.roles,
        vendor_id=common.text(data.vendor_id),
        name=data.name,
    )
    made, headers = await change(request, auth, auth.stub.CreateUser, message, data)
    return Json(auth_convert.user_entry(made), 201, headers)


@get("/admin/users/{user_id:uuid}", operation_id="getUser")
async def get_user(request: HttpRequest, user_id: FromPath[UUID]) -> Response[UserEntry]:
    """One user."""
    auth = peers_of(request).auth
    found = await auth(auth.stub.GetUser, auth_pb2.GetUserRequest(id=str(user_id)))
    return Json(auth_convert.user_entry(found))


@patch(
    "/admin/users/{user_id:uuid}", dto=JsonBody[UpdateUser], return_dto=None, operation_id="updateUser"
)  # fmt: skip
async def update_user(
    request: HttpRequest, user_id: FromPath[UUID], data: JSONBody[UpdateUser]
) -> Response[UserEntry]:
    """Disable a user, lock it for a while or let it in again, or give it other roles.

    The sessions of who is disabled or locked end.
    """
    auth = peers_of(request).auth
    changed = await auth(auth.stub.UpdateUser, auth_convert.to_update_user(str(user_id), data))
    return Json(auth_convert.user_entry(changed))


ROUTES: list[Any] = [
    release_order,
    reject_order,
    list_sagas,
    get_saga,
    retry_saga,
    compensate_saga,
    skip_saga,
    force_saga,
    list_dead_letters,
    get_dead_letter,
    replay_dead_letter,
    list_ledger,
    reconcile,
    list_users,
    get_user,
    update_user,
    create_user,
]
