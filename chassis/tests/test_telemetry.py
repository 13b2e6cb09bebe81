"""Log lines and the trace context; what a whole process writes stands in test_runner.py."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from orderhub_chassis.telemetry import (
    _add_origin,
    about,
    child_of,
    current_traceparent,
    new_traceparent,
    trace_id,
)
from orderhub_contracts.events.v1.records_pb2 import Record, SagaRef

TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"


def test_a_child_keeps_the_trace_and_has_a_span_of_its_own():
    child = child_of(TRACE)
    assert trace_id(child) == "ab" * 16
    assert child != TRACE
    assert child_of(TRACE) != child


@pytest.mark.parametrize("parent", ["", "nonsense", TRACE[:-1], TRACE + "0"])
def test_without_a_good_parent_a_new_trace_begins(parent):
    child = child_of(parent)
    assert len(trace_id(child)) == 32
    assert trace_id(child) != "ab" * 16


def test_a_new_trace_is_well_formed_and_never_the_same():
    made = {new_traceparent() for _ in range(100)}
    assert len(made) == 100
    assert all(len(trace_id(trace)) == 32 for trace in made)


@pytest.mark.parametrize("broken", ["", "00-xyz", TRACE.upper(), f"00-{'zz' * 16}-{'cd' * 8}-01"])
def test_what_is_no_traceparent_has_no_trace_id(broken):
    assert trace_id(broken) == ""


def origin(record, **event):
    with about(record):
        return _add_origin(None, "info", event)


def test_a_line_about_a_message_names_it_its_order_and_its_trace():
    record = Record(id="m1", key="o1", type="orderhub.payments.v1.CapturePayment", traceparent=TRACE)
    assert origin(record, event="x") == {
        "event": "x", "message_id": "m1", "message_type": record.type, "order_id": "o1", "trace_id": "ab" * 16,
    }  # fmt: skip
    assert _add_origin(None, "info", {"event": "x"}) == {"event": "x"}


def test_the_order_is_that_of_the_saga_or_the_key_of_a_topic_keyed_by_order():
    saga = Record(key="k", type="t", saga=SagaRef(order_id="o2"))
    assert origin(saga)["order_id"] == "o2"
    assert "order_id" not in origin(Record(key="v1", type="orderhub.events.v1.ProductChanged"))
    assert "order_id" not in origin(Record(key="o1", type="unknown"))


def test_what_the_line_says_itself_wins():
    token = current_traceparent.set(TRACE)
    found = origin(
        Record(id="m1", key="o1", type="orderhub.payments.v1.CapturePayment"), order_id="mine", trace_id="t"
    )
    current_traceparent.reset(token)
    assert (found["order_id"], found["trace_id"], found["message_id"]) == ("mine", "t", "m1")


SCRIPT = """
import logging, sys
from orderhub_chassis import telemetry
telemetry.configure_logs("shop", sys.argv[1], sys.argv[2])
password = "geheim"
telemetry.log("till").debug("till.debug")
telemetry.log("till").info("till.opened", n=1)
logging.getLogger("lib").info("lib info")
try:
    1 / 0
except ZeroDivisionError as error:
    telemetry.log("till").error("till.broken", exc_info=error)
    logging.getLogger("lib").exception("lib %s", "broken")
"""


def lines(level, style="json"):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, level, style], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    assert "geheim" not in ended.stderr, "no local variable of a traceback"
    return ended.stderr


def test_own_and_foreign_lines_are_one_json_object_each():
    found = [json.loads(line) for line in lines("info").splitlines()]
    assert [line["event"] for line in found] == ["till.opened", "till.broken", "lib broken"]
    assert {line["service"] for line in found} == {"shop"}
    assert [line["level"] for line in found] == ["info", "error", "error"]
    assert all("ZeroDivisionError: division by zero" in line["exception"] for line in found[1:])
    assert found[0]["n"] == 1


def test_the_level_is_the_lowest_that_is_written():
    assert [json.loads(line)["event"] for line in lines("error").splitlines()] == [
        "till.broken",
        "lib broken",
    ]
    assert json.loads(lines("debug").splitlines()[0])["event"] == "till.debug"


def test_for_people_there_is_plain_text():
    text = lines("info", "console")
    assert "till.opened" in text
    assert "ZeroDivisionError: division by zero" in text
