"""Signatures of webhooks: one that Stripe published, and every way in which they can be wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure
from orderhub_payments.webhooks import TELLING, Hint, Receiver
from stripe_server import SECRET, event, sign

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = int(AT.timestamp())
REFUNDED = event("evt_1", "charge.refunded", {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"})
HINT = Hint("stripe", "evt_1", "charge.refunded", "pi_1")

# The example that Stripe's own libraries check themselves with (stripe-dotnet, EventUtilityTest).
PUBLISHED_AT = 1533204620
PUBLISHED: dict[str, Any] = {
    "id": "evt_123", "object": "event", "account": "acct_123", "api_version": "2017-05-25", "created": PUBLISHED_AT,
    "data": {
        "object": {
            "id": "ii_123", "object": "invoiceitem", "amount": 1000, "currency": "usd", "customer": "cus_123",
            "date": PUBLISHED_AT, "description": "Test Invoice Item", "discountable": False, "invoice": "in_123",
            "livemode": False, "metadata": {}, "period": {"start": PUBLISHED_AT, "end": PUBLISHED_AT}, "plan": None,
            "proration": False, "quantity": None, "subscription": None,
        }
    },
    "livemode": False, "pending_webhooks": 1,
    "request": {"id": "req_123", "idempotency_key": "idempotency-key-123"}, "type": "invoiceitem.created",
}  # fmt: skip
PUBLISHED_HEADER = (
    f"t={PUBLISHED_AT},v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,"
    "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
)


def receiver(*secrets: str, at: datetime = AT) -> Receiver:
    return Receiver([secret.encode() for secret in secrets or (SECRET,)], ManualClock(at))


def refusal(header: str, body: bytes = REFUNDED, **over: Any) -> str:
    with pytest.raises(Failure) as refused:
        receiver(**over).read(header, body)
    assert refused.value.kind == "invalid"
    return refused.value.code


def test_the_published_example_is_believed_and_of_no_interest() -> None:
    body = json.dumps(PUBLISHED, indent=2).encode() + b"\n"
    at = datetime.fromtimestamp(PUBLISHED_AT, UTC)
    assert receiver("webhook_secret", at=at).read(PUBLISHED_HEADER, body) is None
    assert refusal(PUBLISHED_HEADER, body, at=at) == "payments.webhook_signature_wrong"
    with pytest.raises(Failure, match="no secret"):
        receiver("webhook_secret", at=at).read(PUBLISHED_HEADER, body.rstrip())


@pytest.mark.parametrize(
    "header",
    [
        sign(REFUNDED, SECONDS),
        sign(REFUNDED, SECONDS, "whsec_of_somebody", SECRET),
        "v0=abc," + sign(REFUNDED, SECONDS),
        sign(REFUNDED, SECONDS).replace(",", ", "),
        sign(REFUNDED, SECONDS).partition(",")[2] + f",t={SECONDS}",
    ],
)
def test_one_right_signature_is_enough(header: str) -> None:
    assert receiver().read(header, REFUNDED) == HINT


def test_while_secrets_are_rotated_either_signs() -> None:
    both = receiver("whsec_the_old", "whsec_the_new")
    for signed_by in (["whsec_the_old"], ["whsec_the_new"], ["whsec_the_new", "whsec_the_old"]):
        assert both.read(sign(REFUNDED, SECONDS, *signed_by), REFUNDED) == HINT
    assert refusal(sign(REFUNDED, SECONDS, "whsec_the_oldest")) == "payments.webhook_signature_wrong"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(300, ""), (301, "payments.webhook_out_of_time"), (-300, ""), (-301, "payments.webhook_out_of_time")],
)
def test_the_tolerance_is_five_minutes_of_the_injected_clock(seconds: int, code: str) -> None:
    header, at = sign(REFUNDED, SECONDS), AT + timedelta(seconds=seconds)
    if code:
        assert refusal(header, at=at) == code
    else:
        assert receiver(at=at).read(header, REFUNDED) == HINT


def test_an_old_one_that_nobody_signed_is_told_only_that() -> None:
    assert refusal(sign(REFUNDED, SECONDS - 9999, "guessed")) == "payments.webhook_signature_wrong"


MALFORMED = [
    "",
    "t=1",
    "v1=" + "0" * 64,
    f"t={SECONDS},t={SECONDS},v1=00",
    "t=,v1=00",
    "t=soon,v1=00",
    "t=-5,v1=00",
    "t=1e9,v1=00",
    "t=٣,v1=00",
    f"t={'9' * 40},v1=00",
    f"t={SECONDS},v0={'0' * 64}",
    "garbage",
    ",,,",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_a_header_without_time_or_signature_is_malformed(header: str) -> None:
    assert refusal(header) == "payments.webhook_signature_malformed"


WRONG = [
    sign(REFUNDED, SECONDS).replace(f"t={SECONDS}", f"t={SECONDS + 1}"),
    sign(REFUNDED + b" ", SECONDS),
    f"t={SECONDS},v1=",
    f"t={SECONDS},v1=ä",
    sign(REFUNDED, SECONDS)[:-1],
    sign(REFUNDED, SECONDS).upper().replace("T=", "t=").replace("V1=", "v1="),
]


@pytest.mark.parametrize("header", WRONG)
def test_a_signature_of_anything_else_is_wrong(header: str) -> None:
    assert refusal(header) == "payments.webhook_signature_wrong"


BROKEN = [
    b"",
    b"{",
    b"[]",
    b'{"id": 1, "type": "charge.refunded"}',
    b'{"type": "charge.refunded"}',
    b'{"id": "evt", "type": "charge.refunded"}',
    b'{"id": "evt", "type": "charge.refunded", "data": {"object": []}}',
    b"\xff\xfe",
    b'{"id": "\xff", "type": "charge.refunded"}',
    event("evt\0", "charge.refunded", {"payment_intent": "pi_1"}),
    event("evt" * 100, "charge.refunded", {"payment_intent": "pi_1"}),
    event("", "charge.refunded", {"payment_intent": "pi_1"}),
]


@pytest.mark.parametrize("body", BROKEN)
def test_a_signed_body_that_is_no_event_is_malformed(body: bytes) -> None:
    assert refusal(sign(body, SECONDS), body) == "payments.webhook_malformed"


@pytest.mark.parametrize("type", sorted(TELLING))
def test_every_telling_event_names_the_authorization_to_look_at(type: str) -> None:
    about = {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}
    if type.startswith("payment_intent."):
        about = {"id": "pi_1", "object": "payment_intent"}
    body = event("evt_9", type, about)
    assert receiver().read(sign(body, SECONDS), body) == Hint("stripe", "evt_9", type, "pi_1")


@pytest.mark.parametrize(
    ("type", "about"),
    [
        ("customer.created", {"id": "cus_1", "object": "customer"}),
        ("payment_intent.created", {"id": "pi_1", "object": "payment_intent"}),
        ("an.event.of.the.future", {}),
        ("charge.refunded", {"id": "ch_1", "object": "charge", "payment_intent": None}),
    ],
)
def test_what_is_of_no_interest_is_taken_and_forgotten(type: str, about: dict[str, Any]) -> None:
    body = event("evt_9", type, about)
    assert receiver().read(sign(body, SECONDS), body) is None


def test_without_secrets_there_is_no_such_endpoint() -> None:
    with pytest.raises(Failure) as refused:
        Receiver([], ManualClock(AT)).read(sign(REFUNDED, SECONDS), REFUNDED)
    assert (refused.value.kind, refused.value.code) == ("not_found", "payments.webhooks_not_configured")
