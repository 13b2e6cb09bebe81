"""The gRPC servicer: decode, authorise, call, encode. Rules stand in commands.py and placing.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from orderhub_chassis import idempotency
from orderhub_chassis.batching import Batcher
from orderhub_chassis.calls import UNVERIFIED, Caller, InternalTokens, current_call
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Failure, Unauthenticated, invalid_field, uuid_field
from orderhub_chassis.grpc.server import failure_detail
from orderhub_chassis.messages import Outgoing
from orderhub_chassis.telemetry import trace_id
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_contracts.orders.v1 import orders_pb2_grpc

from orderhub_orders import commands, engine, metrics, placing, queries, sagas, store
from orderhub_orders.clients import Inventory
from orderhub_orders.errors import EmailNotVerified, OrderNotFound, SagaNotFound, WrongSagaState
from orderhub_orders.model import Order, Status
from orderhub_orders.store import Loaded
from orderhub_orders.waiting import RESTING, Waiters

ROUTE = "POST /orders"
MAX_WAIT_MS = 30_000
READS, READ_AT_ONCE = 2, 200
REPLAYED = (("x-idempotency-replayed", "true"),)
STATES = [state.value for state in engine.State]
STATUSES = [status.value for status in Status]
ACTIONS = {
    pb.SAGA_ACTION_RETRY: "retry",
    pb.SAGA_ACTION_COMPENSATE: "compensate",
    pb.SAGA_ACTION_SKIP: "skip",
    pb.SAGA_ACTION_FORCE: "force",
}


class Asked(msgspec.Struct, frozen=True):
    """One request of a batch with its caller."""

    item: pb.PlaceOrderItem
    caller: Caller

    @property
    def key(self) -> idempotency.Key:
        return idempotency.Key(self.caller.principal, ROUTE, self.item.idempotency_key)


Outcome = pb.PlaceOrderOutcome


class OrdersServicer(orders_pb2_grpc.OrdersServiceServicer):  # type: ignore[misc]
    def __init__(
        self, db: Database, tokens: InternalTokens, cursors: Cursors, inventory: Inventory, waiters: Waiters
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._cursors = cursors
        self._inventory = inventory
        self._waiters = waiters
        self._reads: Batcher[UUID, pb.Order | None] = Batcher(self._read, size=READ_AT_ONCE, parallel=READS)

    # --- placing ------------------------------------------------------------------------------------------------

    async def PlaceOrders(self, request: pb.PlaceOrdersRequest, context: Any) -> pb.PlaceOrdersResponse:
        current_call.get().caller.need("service")
        outcomes: dict[int, Outcome] = {}
        asked: dict[int, Asked] = {}
        for number, item in enumerate(request.items):
            try:
                asked[number] = self._admit(item)
            except Failure as failure:
                outcomes[number] = Outcome(failure=failure_detail(failure))
        answers = await self._place_batch(list(asked.values())) if asked else []
        outcomes.update(zip(asked, answers, strict=True))
        return pb.PlaceOrdersResponse(outcomes=[outcomes[number] for number in range(len(request.items))])

    def _admit(self, item: pb.PlaceOrderItem) -> Asked:
        caller = self._tokens.verify(item.caller_token)
        caller.need("customer")
        if caller.has(UNVERIFIED):
            raise EmailNotVerified
        if not item.idempotency_key:
            raise invalid_field(
                "/idempotency_key", "idempotency.key_required", "an Idempotency-Key is required"
            )
        placing.check_request(item.request)
        return Asked(item, caller)

    async def _place_batch(self, asked: Sequence[Asked]) -> list[Outcome]:
        try:
            catalogue = await self._catalogue([one.item.request for one in asked])
            outcomes = await self._db.run(lambda tx: self._place(tx, asked, catalogue))
            metrics.PLACED.inc(sum(one.HasField("order") and not one.replayed for one in outcomes))
            return outcomes
        except idempotency.KeyInFlight as failure:
            if len(asked) == 1:
                return [Outcome(failure=failure_detail(failure))]
            return [(await self._place_batch([one]))[0] for one in asked]

    async def _catalogue(self, requests: Sequence[pb.PlaceOrderRequest]) -> placing.Catalogue:
        """Orders' own projection; what it lacks is asked of inventory, outside any transaction, and kept."""
        known = await queries.catalogue(self._db, requests)
        missing = [request for request in requests if placing.unknown_references(request, known)]
        if not missing:
            return known
        snapshots = await self._inventory.snapshots(missing)
        await self._db.run(lambda tx: store.save_views(tx, snapshots))
        return await queries.catalogue(self._db, requests)

    async def _place(
        self, tx: Transaction, asked: Sequence[Asked], catalogue: placing.Catalogue
    ) -> list[Outcome]:
        now = self._db.clock.now()
        known = await idempotency.lock(tx, [one.key for one in asked], now=now)
        fresh: dict[idempotency.Key, idempotency.Stored] = {}
        loaded, outgoing, outcomes = Loaded(), list[Outgoing](), list[Outcome]()
        for one in asked:
            stored = known.get(one.key) or fresh.get(one.key)
            try:
                if stored:
                    idempotency.check_fingerprint(stored, one.item.fingerprint)
                    outcomes.append(Outcome(order=pb.Order.FromString(stored.response), replayed=True))
                    continue
                order = self._decide(one, catalogue, loaded, outgoing, now)
                fresh[one.key] = idempotency.Stored(one.item.fingerprint, order.SerializeToString())
                outcomes.append(Outcome(order=order))
            except Failure as failure:
                outcomes.append(Outcome(failure=failure_detail(failure)))
        self._save_placed(tx, loaded, outgoing, fresh, now)
        return outcomes

    def _decide(
        self,
        one: Asked,
        catalogue: placing.Catalogue,
        loaded: Loaded,
        outgoing: list[Outgoing],
        now: datetime,
    ) -> pb.Order:
        order = placing.place_order(
            one.item.request, catalogue, id=self._db.new_id(), customer_id=one.caller.user_id,
            trace_id=trace_id(one.item.traceparent), now=now,
        )  # fmt: skip
        run, messages = engine.start(sagas.PLACE, order, id=self._db.new_id(), now=now)
        loaded.orders[order.id] = order
        loaded.add_run(run)
        outgoing += [_traced(message, one.item.traceparent) for message in messages]
        return queries.shown(order)

    def _save_placed(
        self,
        tx: Transaction,
        loaded: Loaded,
        outgoing: list[Outgoing],
        fresh: dict[idempotency.Key, idempotency.Stored],
        now: datetime,
    ) -> None:
        if not loaded.orders:
            return
        store.insert_orders(tx, loaded, now=now)
        store.save_events(tx, loaded.orders.values(), now=now)
        idempotency.store(tx, fresh, now=now)
        tx.send_all(outgoing)

    # --- reading ------------------------------------------------------------------------------------------------

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.Order:
        return await self._own_order(current_call.get().caller, request.id)

    async def WaitOrder(self, request: pb.WaitOrderRequest, context: Any) -> pb.Order:
        caller = current_call.get().caller
        loop = asyncio.get_running_loop()
        until = loop.time() + min(max(request.wait_ms, 0), MAX_WAIT_MS) / 1000
        id = _uuid(request.id)
        with self._waiters.wait_for(id) as settled:
            while True:
                settled.clear()
                order = await self._own_order(caller, request.id)
                left = until - loop.time()
                if order.status in RESTING or left <= 0 or self._waiters.released:
                    return order
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await settled.wait()

    async def _own_order(self, caller: Caller, id: str) -> pb.Order:
        order = await self._reads.submit(_uuid(id))
        if order is None or not _may_see(caller, order.customer_id, order.vendor_id):
            raise OrderNotFound(f"no order {id}")
        return order

    async def _read(self, ids: Sequence[UUID]) -> list[pb.Order | None]:
        """Single orders, as many as are asked for meanwhile: those who wait come in crowds."""
        found = await queries.by_id(self._db, ids, now=self._db.clock.now())
        return [found.get(id) for id in ids]

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Any) -> pb.ListOrdersResponse:
        caller, limit = current_call.get().caller, page_limit(request.page.limit)
        caller.need("customer", "vendor", "operator", "service")
        filters = _filters(caller, request)
        scope = "orders:" + "|".join(map(str, filters))
        before = UUID(self._cursors.decode(scope, request.page.cursor)[0]) if request.page.cursor else None
        found = await queries.orders(self._db, filters, before, limit + 1, now=self._db.clock.now())
        following = self._cursors.encode(scope, [found[limit - 1].id]) if len(found) > limit else ""
        return pb.ListOrdersResponse(items=found[:limit], next_cursor=following)

    async def GetTimeline(self, request: pb.GetTimelineRequest, context: Any) -> pb.GetTimelineResponse:
        order = await self._own_order(current_call.get().caller, request.id)
        return pb.GetTimelineResponse(items=await queries.timeline(self._db, UUID(order.id)))

    # --- changing -----------------------------------------------------------------------------------------------

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Any) -> pb.Order:
        current_call.get().caller.need("customer", "vendor", "operator")
        if len(request.reason) > 500:
            raise invalid_field("/reason", "length", "must have at most 500 characters")

        def decide(loaded: Loaded, order: Order, now: datetime) -> list[Outgoing]:
            reason = request.reason or "no reason given"
            return commands.cancel(loaded, order, reason, now=now, new_id=self._db.new_id)

        return await self._change(context, "cancel", request.id, decide)

    async def ReleaseOrder(self, request: pb.ReleaseOrderRequest, context: Any) -> pb.Order:
        current_call.get().caller.need("operator")
        return await self._change(
            context, "release", request.id, lambda x, o, now: commands.release_hold(x, o, now=now)
        )

    async def RejectOrder(self, request: pb.RejectOrderRequest, context: Any) -> pb.Order:
        current_call.get().caller.need("operator")
        reason = request.reason or "rejected by an operator"
        return await self._change(
            context, "reject", request.id, lambda x, o, now: commands.reject_hold(x, o, reason, now=now)
        )

    async def _change(
        self, context: Any, action: str, id: str, decide: Callable[[Loaded, Order, datetime], list[Outgoing]]
    ) -> pb.Order:
        """One order: load with locks, check the owner, decide, save; under the caller's Idempotency-Key if any."""
        order_id, call = _uuid(id), current_call.get()

        async def work(tx: Transaction) -> pb.Order:
            now = self._db.clock.now()
            loaded = await store.load_orders(tx, [order_id], now=now)
            order = loaded.orders.get(order_id)
            if order is None or not _may_see(call.caller, order.customer_id, str(order.vendor_id)):
                raise OrderNotFound(f"no order {id}")
            tx.send_all(decide(loaded, order, now))
            await store.save(tx, loaded, now=now)
            return queries.shown(order)

        answer, replayed = await idempotency.once(
            self._db, call, f"{action} order {order_id}", pb.Order, work
        )
        if replayed:
            await context.send_initial_metadata(REPLAYED)
        return answer

    # --- operators ----------------------------------------------------------------------------------------------

    async def ListSagas(self, request: pb.ListSagasRequest, context: Any) -> pb.ListSagasResponse:
        current_call.get().caller.need("operator")
        limit = page_limit(request.page.limit)
        if request.state and request.state not in STATES:
            raise invalid_field("/query/state", "enum", f"must be one of {', '.join(STATES)}")
        order_id = uuid_field("/query/order_id", request.order_id) if request.order_id else None
        scope = f"sagas:{request.state}|{request.order_id}"
        before = UUID(self._cursors.decode(scope, request.page.cursor)[0]) if request.page.cursor else None
        found = await queries.sagas_page(self._db, request.state, order_id, before, limit + 1)
        following = self._cursors.encode(scope, [found[limit - 1].run_id]) if len(found) > limit else ""
        return pb.ListSagasResponse(items=found[:limit], next_cursor=following)

    async def GetSaga(self, request: pb.GetSagaRequest, context: Any) -> pb.Saga:
        current_call.get().caller.need("operator")
        return await self._saga(request.run_id)

    async def _saga(self, run_id: str) -> pb.Saga:
        saga = await queries.saga(self._db, _saga_uuid(run_id))
        if saga is None:
            raise SagaNotFound(f"no saga run {run_id}")
        return saga

    async def ActOnSaga(self, request: pb.ActOnSagaRequest, context: Any) -> pb.Saga:
        current_call.get().caller.need("operator")
        saga = await self._saga(request.run_id)
        if request.action not in ACTIONS:
            raise invalid_field("/action", "enum", f"must be one of {', '.join(ACTIONS.values())}")
        action, run_id = ACTIONS[request.action], UUID(saga.run_id)

        def decide(loaded: Loaded, order: Order, now: datetime) -> list[Outgoing]:
            run = loaded.runs.get(run_id)
            if run is None:
                raise WrongSagaState("the run is over")
            return commands.act_on_saga(loaded, run, action, request.reason, now=now, new_id=self._db.new_id)

        await self._change(context, f"{action} saga {run_id} of", saga.order_id, decide)
        return await self._saga(request.run_id)


def _traced(message: Outgoing, traceparent: str) -> Outgoing:
    return Outgoing(message.payload, message.key, saga=message.saga, traceparent=traceparent)


def _may_see(caller: Caller, customer_id: str, vendor_id: str) -> bool:
    if not caller.user_id:
        raise Unauthenticated("a token is needed")
    if caller.has("operator", "service"):
        return True
    return caller.user_id == customer_id or (caller.has("vendor") and caller.vendor_id == vendor_id)


def _filters(caller: Caller, request: pb.ListOrdersRequest) -> list[Any]:
    """Who asks narrows what is seen; an operator narrows by choice."""
    if request.status and request.status not in STATUSES:
        raise invalid_field("/query/status", "enum", f"must be one of {', '.join(STATUSES)}")
    vendor = uuid_field("/query/vendor_id", request.vendor_id) if request.vendor_id else None
    customer = request.customer_id
    if not caller.has("operator", "service"):
        if caller.has("vendor"):
            vendor = UUID(caller.vendor_id)
        else:
            customer = caller.user_id
    return [
        customer, vendor, request.status, _time("/query/created_after", request.created_after),
        _time("/query/created_before", request.created_before),
    ]  # fmt: skip


def _time(pointer: str, value: str) -> datetime | None:
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid_field(pointer, "date_time", "must be an RFC 3339 time") from error
    if at.tzinfo is None:
        raise invalid_field(pointer, "date_time", "must have an offset or Z")
    return at


def _uuid(id: str) -> UUID:
    try:
        return UUID(id)
    except ValueError as error:
        raise OrderNotFound(f"no order {id}") from error


def _saga_uuid(id: str) -> UUID:
    try:
        return UUID(id)
    except ValueError as error:
        raise SagaNotFound(f"no saga run {id}") from error
