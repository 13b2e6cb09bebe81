"""DeliveryService. Who is not a party to a delivery gets NotFound; who is, but in another role, gets Forbidden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis import idempotency, participant
from orderhub_chassis.calls import Caller, current_call
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Forbidden
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb
from orderhub_contracts.delivery.v1 import delivery_pb2_grpc

from orderhub_delivery import errors, metrics, model, queries, store
from orderhub_delivery.api import inputs, outputs
from orderhub_delivery.commands import create, facts, plan
from orderhub_delivery.model import Change, Delivery, Scope
from orderhub_delivery.welfare import RuleSet

ANYBODY: Final = ("customer", "vendor", "courier", "operator", "service")
REPLAYED: Final = (("x-idempotency-replayed", "true"),)
Transition = Callable[[Delivery], Change | None]
Holds = Callable[[Scope, Delivery], bool]
Work = Callable[[Transaction], Awaitable[tuple[pb.Delivery, Change | None]]]


def scope_of(caller: Caller) -> Scope:
    return Scope(
        everything=caller.has("operator", "service"),
        vendor_id=_uuid(caller.vendor_id) if caller.has("vendor") else None,
        customer_id=caller.user_id if caller.has("customer") else None,
        courier_id=caller.user_id if caller.has("courier") else None,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class DeliveryServicer(delivery_pb2_grpc.DeliveryServiceServicer):  # type: ignore[misc]
    def __init__(self, db: Database, rules: RuleSet, cursors: Cursors) -> None:
        self._db = db
        self._rules = rules
        self._cursors = cursors

    async def GetDelivery(self, request: pb.GetDeliveryRequest, _: Any) -> pb.Delivery:
        scope = _scope(*ANYBODY)
        found = await queries.delivery(self._db, inputs.delivery_id(request.id))
        if found is None or not scope.sees(found):
            raise errors.DeliveryNotFound
        return outputs.delivery(found, scope)

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, _: Any) -> pb.ListDeliveriesResponse:
        scope = _scope(*ANYBODY)
        order_id, status = inputs.listing(request)
        limit = page_limit(request.page.limit)
        list_name = f"deliveries:{current_call.get().caller.principal}:{order_id}:{status}"
        before = None
        if request.page.cursor:
            before = inputs.cursor_id(self._cursors.decode(list_name, request.page.cursor))
        wanted = queries.Wanted(scope, order_id, status, before, limit + 1)
        found = await queries.deliveries(self._db, wanted)
        more = self._cursors.encode(list_name, [str(found[limit - 1].id)]) if len(found) > limit else ""
        return pb.ListDeliveriesResponse(
            items=[outputs.delivery(d, scope) for d in found[:limit]], next_cursor=more
        )

    async def QuoteDelivery(self, request: pb.QuoteDeliveryRequest, _: Any) -> pb.Quote:
        _scope(*ANYBODY)
        inputs.quote(request)
        asked = plan.plan_of(request.pickup, request.ship_to, request.lines)
        if asked is None:
            asked = plan.Plan(plan.place(request.pickup), plan.place(request.ship_to), ())
        return outputs.quote(plan.judge(self._rules, asked, at=self._db.clock.now().date()))

    async def CreateDelivery(self, request: pb.CreateDeliveryRequest, context: Any) -> pb.Delivery:
        scope = _scope("vendor", "operator")
        order_id, wanted = inputs.creation(request)

        async def work(tx: Transaction) -> tuple[pb.Delivery, Change | None]:
            return await self._create(tx, scope, order_id, wanted)

        try:
            return await self._once("CreateDelivery", work, context)
        except create.RouteRefused as refusal:
            decision = refusal.decision
            await self._db.run(lambda tx: store.add_decisions(tx, [decision]))
            metrics.PLANS.labels(decision.verdict).inc()
            raise

    async def _create(
        self, tx: Transaction, scope: Scope, order_id: UUID, wanted: create.Wanted
    ) -> tuple[pb.Delivery, Change | None]:
        # The order's standing is what the saga's commands lock first: a stop and a creation come one after the other.
        await participant.load(tx, [order_id])
        earlier = (await store.load_orders(tx, [order_id])).get(order_id)
        if not earlier or not scope.manages(earlier[0]):
            raise errors.OrderNotFound
        planned = await store.last_decision(tx, order_id)
        delivery, change, decision = create.create_delivery(
            earlier, planned, wanted, self._rules,
            id=self._db.new_id(), decision_id=self._db.new_id(), now=self._db.clock.now(),
        )  # fmt: skip
        await store.add_decisions(tx, [decision] if decision else [])
        return await self._saved(tx, delivery, change, scope), change

    async def AssignDelivery(self, request: pb.AssignDeliveryRequest, context: Any) -> pb.Delivery:
        caller = current_call.get().caller
        scope = _scope("courier", "operator")
        courier = _courier(caller, request.courier_id)
        return await self._change(
            "AssignDelivery",
            request.id,
            scope,
            Scope.carries,
            lambda d: model.assign(d, courier, now=self._now),
            context,
        )

    async def PickUpDelivery(self, request: pb.PickUpDeliveryRequest, context: Any) -> pb.Delivery:
        scope = _scope("courier", "operator")
        return await self._change(
            "PickUpDelivery",
            request.id,
            scope,
            Scope.carries,
            lambda d: model.pick_up(d, now=self._now),
            context,
        )

    async def HandOverDelivery(self, request: pb.HandOverDeliveryRequest, context: Any) -> pb.Delivery:
        scope = _scope("courier", "operator")
        recipient = inputs.recipient(request.recipient)
        return await self._change(
            "HandOverDelivery", request.id, scope, Scope.carries,
            lambda d: model.hand_over(d, recipient, now=self._now), context,
        )  # fmt: skip

    async def FailDelivery(self, request: pb.FailDeliveryRequest, context: Any) -> pb.Delivery:
        scope = _scope("courier", "operator")
        reason = inputs.reason(request.reason, required=True)
        return await self._change(
            "FailDelivery",
            request.id,
            scope,
            Scope.carries,
            lambda d: model.fail(d, reason, now=self._now),
            context,
        )

    async def CancelDelivery(self, request: pb.CancelDeliveryRequest, context: Any) -> pb.Delivery:
        scope = _scope("vendor", "operator")
        reason = inputs.reason(request.reason, required=False)
        return await self._change(
            "CancelDelivery",
            request.id,
            scope,
            Scope.manages,
            lambda d: model.cancel(d, reason, now=self._now),
            context,
        )

    async def ReportPosition(self, request: pb.ReportPositionRequest, _: Any) -> pb.Delivery:
        """No key and no lock: a report that comes again or late changes nothing, and a lost one is followed by more."""
        scope = _scope("courier")
        position = inputs.report(request, self._now)
        found = await queries.delivery(self._db, inputs.delivery_id(request.id))
        if found is None or not Scope(courier_id=scope.courier_id).carries(found):
            raise errors.DeliveryNotFound
        kept = model.report(found, position)
        if kept:
            await self._db.run(lambda tx: store.save_position(tx, found.id, position))
        metrics.POSITIONS.labels("kept" if kept else "late").inc()
        return outputs.delivery(found, scope)

    @property
    def _now(self) -> datetime:
        return self._db.clock.now()

    async def _change(
        self, route: str, id: str, scope: Scope, holds: Holds, transition: Transition, context: Any
    ) -> pb.Delivery:
        """One transition of one delivery that the caller has a hold on."""
        wanted = inputs.delivery_id(id)

        async def work(tx: Transaction) -> tuple[pb.Delivery, Change | None]:
            delivery = await store.load_delivery(tx, wanted)
            if delivery is None or not holds(scope, delivery):
                raise errors.DeliveryNotFound
            change = transition(delivery)
            return await self._saved(tx, delivery, change, scope), change

        return await self._once(f"{route}/{wanted}", work, context)

    async def _saved(
        self, tx: Transaction, delivery: Delivery, change: Change | None, scope: Scope
    ) -> pb.Delivery:
        await store.save(tx, [delivery])
        if change is not None:
            tx.send(facts.told(delivery, change, actor=current_call.get().caller.principal))
        return outputs.delivery(delivery, scope)

    async def _once(self, route: str, work: Work, context: Any) -> pb.Delivery:
        changes: list[Change | None] = []

        async def noted(tx: Transaction) -> pb.Delivery:
            answer, change = await work(tx)
            changes[:] = [change]
            return answer

        call = current_call.get()
        answer, replayed = await idempotency.once(self._db, call, route, pb.Delivery, noted)
        if replayed:
            await context.send_initial_metadata(REPLAYED)
            return answer
        for change in filter(None, changes):
            metrics.CHANGES.labels(change.kind).inc()
        return answer


def _scope(*roles: str) -> Scope:
    """What the caller may see; raises Unauthenticated or Forbidden without one of the roles."""
    caller = current_call.get().caller
    caller.need(*roles)
    return scope_of(caller)


def _courier(caller: Caller, courier_id: str) -> str:
    """Whom to give it to: a courier takes it himself, an operator names one."""
    if not courier_id and caller.has("courier"):
        return caller.user_id
    named = inputs.courier_id(courier_id)
    if named != caller.user_id and not caller.has("operator"):
        raise Forbidden("only an operator may assign a delivery to somebody else")
    return named
