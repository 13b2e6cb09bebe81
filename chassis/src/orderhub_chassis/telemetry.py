"""Structured logs, the trace context that crosses processes, and the Prometheus registry.

The trace context is W3C Trace Context (`traceparent`, level 1): version 00, 16-byte trace id, 8-byte parent id.
"""

from __future__ import annotations

import logging
import random
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import structlog
from orderhub_contracts import topics
from orderhub_contracts.events.v1.records_pb2 import Record

TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")

TRACEPARENT_LENGTH = 55

current_traceparent: ContextVar[str] = ContextVar("traceparent", default="")
current_message: ContextVar[Record | None] = ContextVar("message", default=None)
"""The message that is decided on: looked at only when a log line is written."""


def new_traceparent() -> str:
    """Different from all others, which is all that ids of traces have to be: no need to ask the kernel."""
    return f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-01"


def child_of(traceparent: str) -> str:
    """The same trace with a new span id; a fresh trace where the parent has not the length of one."""
    if len(traceparent) != TRACEPARENT_LENGTH:
        return new_traceparent()
    return f"{traceparent[:36]}{random.getrandbits(64):016x}-01"


def trace_id(traceparent: str) -> str:
    match = TRACEPARENT.match(traceparent)
    return match[1] if match else ""


@contextmanager
def about(record: Record) -> Iterator[None]:
    """Log lines inside are about this message: they carry its id, its trace and its order."""
    token = current_message.set(record)
    try:
        yield
    finally:
        current_message.reset(token)


def _add_origin(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = current_message.get()
    if record is not None:
        event.setdefault("message_id", record.id)
        event.setdefault("message_type", record.type)
        if order_id := _order_of(record):
            event.setdefault("order_id", order_id)
    traceparent = current_traceparent.get() or (record.traceparent if record else "")
    if found := trace_id(traceparent):
        event.setdefault("trace_id", found)
    return event


def _order_of(record: Record) -> str:
    if record.HasField("saga"):
        return record.saga.order_id
    message = topics.MESSAGE_OF.get(record.type)
    topic = topics.TOPIC_OF.get(message) if message else None
    return record.key if topic is not None and topic.key == "order_id" else ""


def configure_logs(service: str, level: str, style: str = "json") -> None:
    """One JSON object per line on stderr; the standard library's loggers go the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_origin,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(
        handlers=[handler], level=max(logging.WARNING, getattr(logging, level.upper())), force=True
    )
    structlog.contextvars.bind_contextvars(service=service)


def log(name: str) -> structlog.typing.FilteringBoundLogger:
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(component=name))
