"""Sagas and dead letters."""

from __future__ import annotations

from orderhub_chassis.telemetry import trace_id
from orderhub_contracts.events.v1 import dead_letters_pb2
from orderhub_contracts.orders.v1 import orders_pb2

from orderhub_gateway.convert import common
from orderhub_gateway.schemas.operator import DeadLetter, Replay, Saga


def saga(message: orders_pb2.Saga) -> Saga:
    return Saga(
        run_id=message.run_id,
        order_id=message.order_id,
        definition=message.definition,
        definition_version=message.definition_version,
        state=message.state,
        step=message.step,
        step_name=message.step_name,
        epoch=message.epoch,
        attempts=message.attempts,
        deadline_at=message.deadline_at or None,
        created_at=message.created_at,
        updated_at=message.updated_at,
        reason=common.reason(message),
    )


def dead_letter(message: dead_letters_pb2.DeadLetter, service: str) -> DeadLetter:
    return DeadLetter(
        id=message.id,
        service=service,
        consumer=message.consumer,
        topic=message.topic,
        key=message.key,
        message_id=message.message_id,
        type=message.type,
        reason=message.reason,
        stack=message.stack,
        attempts=message.attempts,
        status=message.status,
        created_at=message.created_at,
        parked_behind=message.parked_behind,
        replays=message.replays,
        trace_id=trace_id(message.traceparent),
    )


def replay(message: dead_letters_pb2.ReplayDeadLetterResponse) -> Replay:
    return Replay(applied=message.applied, would_send=list(message.would_send), error=message.error or None)
