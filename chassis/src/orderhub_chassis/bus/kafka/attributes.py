"""The attributes of a message as headers of a Kafka record: CloudEvents 1.0, binary mode of its Kafka binding."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef

Headers = list[tuple[str, bytes]]
SPEC: Final = ("ce_specversion", b"1.0")
CONTENT: Final = ("content-type", b"application/protobuf")
CONSTANT: Final = (SPEC, CONTENT)
COMPENSATION: Final = ("ce_sagacompensation", b"true")


NAMES: Final = (
    "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "traceparent", "ce_actor", "ce_vendorid", "ce_sagaorder",
    "ce_sagarun", "ce_sagastep", "ce_sagaepoch", "ce_sagacompensation",
)  # fmt: skip
"""All that a message may have beside `CONSTANT`."""


def headers_of(record: Record) -> Headers:
    """A record's attributes. `ce_id` is the batch's id and the place in it; what is empty is left out."""
    found = [
        *CONSTANT, ("ce_id", record.id.encode()), _type(record.type), _source(record.source), _time(record.time_us),
    ]  # fmt: skip
    if record.subject:
        found.append(("ce_subject", record.subject.encode()))
    if record.traceparent:
        found.append(("traceparent", record.traceparent.encode()))
    if record.actor:
        found.append(("ce_actor", record.actor.encode()))
    if record.vendor_id:
        found.append(("ce_vendorid", record.vendor_id.encode()))
    if record.HasField("saga"):
        found += _saga_headers(record.saga)
    return found


def _saga_headers(saga: SagaRef) -> Headers:
    found = [
        ("ce_sagaorder", saga.order_id.encode()), ("ce_sagarun", saga.run_id.encode()), ("ce_sagastep", b"%d" % saga.step),
        ("ce_sagaepoch", b"%d" % saga.epoch),
    ]  # fmt: skip
    if saga.compensation:
        found.append(COMPENSATION)
    return found


# A batch has one time, and few types and sources.
@lru_cache(maxsize=256)
def _type(name: str) -> tuple[str, bytes]:
    return "ce_type", name.encode()


@lru_cache(maxsize=64)
def _source(name: str) -> tuple[str, bytes]:
    return "ce_source", name.encode()


@lru_cache(maxsize=64)
def _time(time_us: int) -> tuple[str, bytes]:
    """RFC 3339, as CloudEvents has times."""
    seconds, rest = divmod(time_us, 1_000_000)
    text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"
    return "ce_time", text.encode()
