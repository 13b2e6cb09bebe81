"""A message as a Kafka record: the payload is its value, all else is headers (CloudEvents 1.0, binary mode of the Kafka
binding), so that an operator's tools and other systems can read it, and a command whose payload cannot be read is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis.bus.kafka.attributes import COMPENSATION
from orderhub_chassis.messages import Delivery

INT32, INT64 = 2**31 - 1, 2**63 - 1


@lru_cache(maxsize=64)
def _time_us(text: bytes) -> int:
    """Raises ValueError for what is no RFC 3339 time with an offset."""
    time = datetime.fromisoformat(text.decode())
    if time.tzinfo is None:
        raise ValueError("no offset from UTC")
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def record_of(message: Any) -> tuple[UUID, Record]:
    """The record that a Kafka message carries, and the batch in which it was written.

    What other systems sent is a batch of its own, by its `ce_id` and source, or by its place where it has none. A header
    that cannot be read counts as missing: who consumes the record then sees that its type is unknown, and sets it aside.
    """
    given = _headers(message)
    batch_id, index = _place_of(message, given)
    record = Record(
        id=_text(given, "ce_id") or f"{message.topic()}/{message.partition()}/{message.offset()}", index=index,
        key=(message.key() or b"").decode(errors="replace"), type=_text(given, "ce_type"), payload=message.value() or b"",
        time_us=_sent_at(message, given), source=_text(given, "ce_source"), subject=_text(given, "ce_subject"),
        traceparent=_text(given, "traceparent"), actor=_text(given, "ce_actor"), vendor_id=_text(given, "ce_vendorid"),
    )  # fmt: skip
    if "ce_sagastep" in given:
        _read_saga(given, record)
    return batch_id, record


def place_of(message: Any) -> tuple[UUID, int]:
    """The batch of a message and its index there, without reading the rest."""
    return _place_of(message, _headers(message))


def _headers(message: Any) -> dict[str, bytes]:
    return {name: value for name, value in message.headers() or () if value is not None}


def _text(given: dict[str, bytes], name: str) -> str:
    value = given.get(name)
    return value.decode(errors="replace") if value else ""


def _place_of(message: Any, given: dict[str, bytes]) -> tuple[UUID, int]:
    id, source = _text(given, "ce_id"), _text(given, "ce_source")
    batch, point, index = id.partition(".")
    try:
        return UUID(batch), _number(index, INT32) if point else 0
    except ValueError:
        place = f"{source}#{id}" if id else f"{message.topic()}/{message.partition()}/{message.offset()}"
        return uuid5(NAMESPACE_URL, place), 0


def _number(text: str, most: int) -> int:
    """Raises ValueError for anything but decimal digits of a number up to `most`."""
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ValueError(f"no number up to {most}: {text[:20]!r}")
    return int(text)


def _sent_at(message: Any, given: dict[str, bytes]) -> int:
    """Microseconds since the epoch: the sender's, or else the broker's."""
    try:
        return _time_us(given["ce_time"])
    except (KeyError, ValueError):
        return int(message.timestamp()[1]) * 1000


def _read_saga(given: dict[str, bytes], record: Record) -> None:
    try:
        step, epoch = (
            _number(_text(given, "ce_sagastep"), INT32),
            _number(_text(given, "ce_sagaepoch"), INT64),
        )
    except ValueError:
        return
    saga = record.saga
    saga.order_id, saga.run_id, saga.step, saga.epoch = (
        _text(given, "ce_sagaorder"), _text(given, "ce_sagarun"), step, epoch,
    )  # fmt: skip
    saga.compensation = given.get("ce_sagacompensation") == COMPENSATION[1]


def deliveries_of(messages: Iterable[Any], prefix: str) -> Iterator[Delivery]:
    """Consecutive records of one batch and one partition together; `prefix` is not part of a topic's name."""
    open: dict[tuple[str, int], tuple[UUID, list[Record], int]] = {}
    for message in messages:
        place = (message.topic().removeprefix(prefix), message.partition())
        batch_id, record = record_of(message)
        last = open.get(place)
        if last is not None and last[0] == batch_id:
            last[1].append(record)
            open[place] = (batch_id, last[1], message.offset())
            continue
        if last is not None:
            yield Delivery(*place, last[2], last[0], last[1])
        open[place] = (batch_id, [record], message.offset())
    for place, (batch_id, records, position) in open.items():
        yield Delivery(*place, position, batch_id, records)
