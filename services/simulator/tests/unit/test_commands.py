"""Idempotency keys and the tokens' faults, decided without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from orderhub_chassis.ids import CountingIds
from orderhub_simulator import commands, faults
from orderhub_simulator.commands import (
    Answer,
    Authorize,
    Book,
    Capture,
    Lookup,
    Operation,
    RefundCaptured,
    Void,
)
from orderhub_simulator.faults import Fault

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ONE = UUID(int=1)


class Provider:
    """A book that is asked operation after operation."""

    def __init__(self) -> None:
        self.book = Book([], [])
        self.new_id = CountingIds()

    def ask(self, operation: Operation) -> Answer:
        return commands.decide(operation, self.book, now=NOW, new_id=self.new_id)

    def statuses(self, operation: Operation, times: int) -> list[int]:
        return [self.ask(operation).http_status for _ in range(times)]


def an_authorize(key: str = "k1", token: str = "tok_ok", **over: object) -> Authorize:
    values = {"key": key, "token": token, "amount_minor": 100, "currency": "EUR", "reference": "order-1"}
    return Authorize(**{**values, **over})  # type: ignore[arg-type]


def body(answer: Answer) -> dict:
    return msgspec.json.decode(answer.body)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.mark.parametrize(
    ("token", "code"), [("tok_declined", "declined"), ("tok_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_is_an_answer_with_its_code(provider: Provider, token: str, code: str) -> None:
    answer = provider.ask(an_authorize(token=token))
    assert answer.http_status == 200
    assert (body(answer)["status"], body(answer)["decline_code"]) == ("declined", code)


def test_an_unknown_token_is_refused_and_stays_refused(provider: Provider) -> None:
    asked = an_authorize(token="tok_nothing")
    assert body(provider.ask(asked))["error"]["code"] == "unknown_token"
    assert provider.ask(asked).replayed
    assert provider.book.authorizations == {}


def test_the_same_key_gets_the_first_answer_byte_by_byte(provider: Provider) -> None:
    first, second = provider.ask(an_authorize()), provider.ask(an_authorize())
    assert first.body == second.body
    assert (first.replayed, second.replayed) == (False, True)
    assert len(provider.book.authorizations) == 1


@pytest.mark.parametrize(
    "other",
    [
        an_authorize(amount_minor=101),
        an_authorize(currency="USD"),
        an_authorize(reference="order-2"),
        an_authorize(token="tok_declined"),
        Void(key="k1", authorization_id=ONE),
    ],
)
def test_the_same_key_for_another_request_is_422(provider: Provider, other: Operation) -> None:
    provider.ask(an_authorize())
    answer = provider.ask(other)
    assert (answer.http_status, body(answer)["error"]["code"]) == (422, "idempotency_key_reused")
    assert provider.book.authorizations[ONE].status == "authorized"


def test_a_key_is_bound_to_its_request_while_it_is_still_flaky(provider: Provider) -> None:
    provider.ask(an_authorize(token="tok_flaky"))
    assert provider.ask(an_authorize(token="tok_flaky", amount_minor=7)).http_status == 422


def test_a_time_out_has_its_effect_and_the_next_call_hears_of_it(provider: Provider) -> None:
    asked = an_authorize(token="tok_timeout")
    assert provider.ask(asked).http_status == 504
    assert provider.book.authorizations[ONE].status == "authorized"
    assert provider.ask(asked).http_status == 200
    assert len(provider.book.authorizations) == 1


def test_a_flaky_card_fails_twice_without_effect_and_then_works(provider: Provider) -> None:
    asked = an_authorize(token="tok_flaky")
    assert provider.statuses(asked, 2) == [503, 503]
    assert provider.book.authorizations == {}
    assert provider.statuses(asked, 2) == [200, 200]
    assert len(provider.book.authorizations) == 1


@pytest.mark.parametrize(
    ("token", "expected"), [("tok_capture_flaky", [503, 503, 200]), ("tok_capture_timeout", [504, 200, 200])]
)
def test_the_capture_tokens_authorize_well_and_fail_on_capture(
    provider: Provider, token: str, expected: list[int]
) -> None:
    assert provider.ask(an_authorize(token=token)).http_status == 200
    assert provider.statuses(Capture(key="k2", authorization_id=ONE, amount_minor=100), 3) == expected
    assert provider.book.authorizations[ONE].captured_minor == 100


def test_the_void_token_fails_on_void_alone(provider: Provider) -> None:
    provider.ask(an_authorize(token="tok_void_flaky"))
    assert provider.statuses(Void(key="k2", authorization_id=ONE), 3) == [503, 503, 200]


def test_the_refund_token_counts_its_failures_per_key(provider: Provider) -> None:
    provider.ask(an_authorize(token="tok_refund_flaky"))
    provider.ask(Capture(key="k2", authorization_id=ONE, amount_minor=100))
    for key in ("k3", "k4"):
        refund = RefundCaptured(key=key, authorization_id=ONE, amount_minor=40, reference="part")
        assert provider.statuses(refund, 4) == [503, 503, 200, 200]
    assert provider.book.authorizations[ONE].refunded_minor == 80


def test_a_refund_tells_its_own_id_and_the_new_total(provider: Provider) -> None:
    provider.ask(an_authorize())
    provider.ask(Capture(key="k2", authorization_id=ONE, amount_minor=100))
    told = body(
        provider.ask(RefundCaptured(key="k3", authorization_id=ONE, amount_minor=30, reference="damaged"))
    )
    assert told["refunded_minor"] == 30
    assert told["refund"] == {"id": str(UUID(int=2)), "amount_minor": 30, "reference": "damaged"}


def test_a_second_capture_with_another_key_is_refused(provider: Provider) -> None:
    provider.ask(an_authorize())
    provider.ask(Capture(key="k2", authorization_id=ONE, amount_minor=60))
    answer = provider.ask(Capture(key="k3", authorization_id=ONE, amount_minor=40))
    assert (answer.http_status, body(answer)["error"]["code"]) == (409, "already_captured")
    assert provider.book.authorizations[ONE].captured_minor == 60


def test_an_operation_on_nothing_is_404(provider: Provider) -> None:
    assert provider.ask(Void(key="k1", authorization_id=ONE)).http_status == 404


def test_a_look_up_tells_the_stored_answer_and_changes_nothing(provider: Provider) -> None:
    first = provider.ask(an_authorize(token="tok_timeout"))
    told = provider.ask(Lookup(key="k1"))
    assert (first.http_status, told.http_status, body(told)["http_status"]) == (504, 200, 200)
    assert body(told)["op"] == "authorize"
    assert body(told)["body"]["id"] == str(ONE)


def test_a_look_up_of_a_key_without_effect_is_404(provider: Provider) -> None:
    assert provider.ask(Lookup(key="k1")).http_status == 404
    provider.ask(an_authorize(token="tok_flaky"))
    assert provider.ask(Lookup(key="k1")).http_status == 404
    assert provider.ask(an_authorize(token="tok_flaky")).http_status == 503


def test_every_card_names_only_operations_that_exist() -> None:
    named = {op for card in faults.CARDS.values() for op in (card.times_out, card.flaky) if op}
    assert named <= {"authorize", "capture", "void", "refund"}


def test_a_fault_belongs_to_one_operation_and_ends() -> None:
    assert faults.fault_for("tok_flaky", "authorize", 1) is Fault.UNAVAILABLE
    assert faults.fault_for("tok_flaky", "authorize", 2) is Fault.NONE
    assert faults.fault_for("tok_flaky", "capture", 0) is Fault.NONE
    assert faults.fault_for("tok_timeout", "authorize", 0) is Fault.TIMEOUT
    assert faults.fault_for(None, "capture", 0) is Fault.NONE
