"""Who asks as nobody does not learn who is a user: bytes, headers and the work behind them are the same."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

PASSWORD = "a password for tests"
VARYING = {"date", "x-request-id", "traceparent", "ratelimit"}
"""Of every answer, whomever it is about."""


def told(answer: Any) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers in their order, without the ids of this one request."""
    headers = [(name, b"" if name.decode() in VARYING else value) for name, value in answer.headers.raw]
    trace = answer.json()["trace_id"].encode() if answer.content else b"-"
    return answer.status_code, answer.content.replace(trace, b"-"), headers


@pytest.mark.parametrize(
    ("path", "body", "status", "cost"),
    [
        ("login", {"password": "a wrong password"}, 401, {"verify": 1}),
        ("register", {"password": PASSWORD, "name": "Ada"}, 202, {"hash": 1}),
        ("password/reset/request", {}, 202, {}),
    ],
    ids=["login", "register", "reset"],
)
async def test_known_and_unknown_addresses_are_answered_alike_for_the_same_work(
    api: Any, hashes: Counter[str], path: str, body: Any, status: int, cost: dict[str, int]
) -> None:
    known, unknown = f"{uuid4().hex}@example.org", f"{uuid4().hex}@example.org"
    user = {"email": known, "password": PASSWORD}
    assert (await api("POST", "/v1/auth/register", json=user)).status_code == 202
    answers, costs = [], []
    for email in (known, unknown, known.upper()):
        hashes.clear()
        answers.append(told(await api("POST", f"/v1/auth/{path}", json={"email": email, **body})))
        costs.append(dict(hashes))
    assert answers == [answers[0]] * 3
    assert answers[0][0] == status
    assert costs == [cost] * 3
