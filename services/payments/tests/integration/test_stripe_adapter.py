"""What Stripe's answers are taken for, over HTTP, from a server that speaks its shapes and fails as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Unavailable
from orderhub_payments.clients.provider import ProviderRecord
from orderhub_payments.clients.stripe import Stripe, keys, stripe
from orderhub_payments.clients.stripe.transport import VERSION
from orderhub_payments.model import (
    ONCE,
    Asked,
    Authorize,
    Authorized,
    Capture,
    Captured,
    Declined,
    Operation,
    PayBack,
    Refunded,
    Rejected,
    Result,
    Transient,
    Unknown,
    Void,
    Voided,
)
from prometheus_client import REGISTRY
from stripe_server import API_KEY, StripeServer, running

CLOCK = ManualClock()
SECONDS = 3.0
AGAIN = Asked(2, CLOCK.now())
LONG_AGO = Asked(9, CLOCK.now() - keys.KEPT - timedelta(seconds=1))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with running() as started:
        yield started


def adapter(server: StripeServer, *, key: str = API_KEY, seconds: float = SECONDS, parallel: int = 4) -> Any:
    timeout = timedelta(seconds=seconds)
    return stripe(server.url, key, clock=CLOCK, timeout=timeout, parallel=parallel)


@pytest_asyncio.fixture
async def one(server: StripeServer) -> AsyncIterator[Stripe]:
    async with adapter(server) as opened:
        yield opened


def authorizing(token: str = "pm_card_visa", *, key: str = "a", **over: Any) -> Authorize:
    return Authorize(
        **{
            "key": key, "amount": 5000, "currency": "EUR", "token": token, "reference": "order", "payment_id": "payment",
            **over,
        }
    )  # fmt: skip


def capturing(ref: str, *, asked: Asked = ONCE, amount: int = 5000) -> Capture:
    return Capture("c", ref, amount, "EUR", asked)


def paying_back(ref: str, *, asked: Asked = ONCE, amount: int = 2000) -> PayBack:
    return PayBack("r", ref, amount, "refund", "EUR", "payment", asked)


async def ask(one: Stripe, operation: Operation) -> Result:
    (result,) = await one.execute([operation])
    return result


async def held(one: Stripe) -> str:
    """The reference of a fresh authorization of 5000 EUR cents."""
    result = await ask(one, authorizing())
    assert isinstance(result, Authorized)
    return result.provider_ref


# ---- the four operations


async def test_an_authorization_is_held_once_and_says_whose_it_is(one: Stripe, server: StripeServer) -> None:
    first, second = await ask(one, authorizing()), await ask(one, authorizing(asked=AGAIN))
    assert first == second == Authorized("pi_1")
    (intent,) = server.intents.values()
    assert intent["metadata"] == {"order_id": "order", "payment_id": "payment"}
    assert server.forms[0]["capture_method"] == "manual"
    assert server.forms[0]["automatic_payment_methods[allow_redirects]"] == "never"
    assert server.versions == {VERSION}
    assert await one.find("pi_1") == ProviderRecord("pi_1", "order", "authorized", "EUR", 5000, 0, 0)


async def test_captured_and_partly_paid_back(one: Stripe, server: StripeServer) -> None:
    ref = await held(one)
    for asked in (Asked(), AGAIN):
        assert await ask(one, capturing(ref, asked=asked)) == Captured()
        assert await ask(one, paying_back(ref, asked=asked)) == Refunded()
    assert await one.find(ref) == ProviderRecord(ref, "order", "captured", "EUR", 5000, 5000, 2000)
    assert (server.effects[f"captured {ref}"], server.effects[f"refunded {ref}"]) == (1, 1)
    assert [r["metadata"] for r in server.refunds.values()] == [
        {"refund_id": "refund", "payment_id": "payment"}
    ]


async def test_voided_and_nothing_of_it_counts_as_paid_back(one: Stripe) -> None:
    ref = await held(one)
    assert await ask(one, Void("v", ref)) == Voided()
    assert await ask(one, Void("another key", ref)) == Voided()
    assert await one.find(ref) == ProviderRecord(ref, "order", "voided", "EUR", 5000, 0, 0)
    assert await ask(one, capturing(ref)) == Rejected("canceled")


async def test_what_was_captured_is_not_voided(one: Stripe) -> None:
    ref = await held(one)
    await ask(one, capturing(ref))
    assert await ask(one, Void("v", ref)) == Rejected("already_captured")


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"), [("JPY", 500, 500), ("ISK", 500, 50_000), ("KWD", 5120, 5120)]
)
async def test_other_currencies_are_asked_as_stripe_counts_them(
    one: Stripe, server: StripeServer, currency: str, ours: int, theirs: int
) -> None:
    result = await ask(one, authorizing(amount=ours, currency=currency))
    assert result == Authorized("pi_1")
    assert server.intents["pi_1"]["amount"] == theirs
    assert await ask(one, Capture("c", "pi_1", ours, currency)) == Captured()
    assert await ask(one, PayBack("r", "pi_1", ours, "refund", currency)) == Refunded()
    record = await one.find("pi_1")
    assert record
    assert (record.amount, record.captured, record.refunded) == (ours, ours, ours)


@pytest.mark.parametrize("operation", [
    authorizing(amount=5124, currency="KWD"), Capture("c", "pi_1", 5124, "KWD"), PayBack("r", "pi_1", 1, "refund", "KWD"),
])  # fmt: skip
async def test_an_amount_that_stripe_cannot_write_is_not_asked_for(
    one: Stripe, server: StripeServer, operation: Operation
) -> None:
    assert await ask(one, operation) == Rejected("invalid_amount")
    assert server.asked == []


# ---- no, definitely


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_authenticationRequiredOffSession", "authentication_required"),
        ("pm_needs_action", "authentication_required"),
    ],
)
async def test_a_declined_card_leaves_nothing_open_at_stripe(
    one: Stripe, server: StripeServer, token: str, code: str
) -> None:
    for asked in (Asked(), AGAIN):
        assert await ask(one, authorizing(token, asked=asked)) == Declined("pi_1", code)
    assert server.intents["pi_1"]["status"] == "canceled"
    assert server.effects["canceled pi_1"] == 1
    record = await one.find("pi_1")
    assert record
    assert record.status == "declined"


async def test_a_decline_counts_only_when_the_intent_is_closed(one: Stripe, server: StripeServer) -> None:
    server.fail("/cancel", "status", status=503)
    assert isinstance(await ask(one, authorizing("pm_needs_action")), Unknown)
    assert server.intents["pi_1"]["status"] == "requires_action"
    assert await ask(one, authorizing("pm_needs_action", asked=AGAIN)) == Declined(
        "pi_1", "authentication_required"
    )
    assert server.intents["pi_1"]["status"] == "canceled"


async def test_a_customer_who_confirmed_in_time_is_authorized(one: Stripe, server: StripeServer) -> None:
    server.fail("/cancel", "status", status=503)
    await ask(one, authorizing("pm_needs_action"))
    server.intents["pi_1"] |= {"status": "succeeded", "amount_received": 5000}
    assert await ask(one, authorizing("pm_needs_action", asked=AGAIN)) == Authorized("pi_1")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (authorizing("tok_ok"), "unknown_token"),
        (authorizing(amount=49), "invalid_amount"),
    ],
)
async def test_what_stripe_will_never_do_is_rejected(one: Stripe, operation: Operation, code: str) -> None:
    assert await ask(one, operation) == Rejected(code)


async def test_a_wrong_request_is_rejected_and_loud(one: Stripe, server: StripeServer) -> None:
    server.fail("/payment_intents", "status", status=400, code="parameter_unknown")
    before = refusals()
    assert await ask(one, authorizing()) == Rejected("parameter_unknown")
    assert refusals() == before + 1


def refusals() -> float:
    labels = {"provider": "stripe"}
    return REGISTRY.get_sample_value("orderhub_payments_provider_refusals_total", labels) or 0


async def test_more_than_is_left_cannot_be_paid_back(one: Stripe) -> None:
    ref = await held(one)
    await ask(one, capturing(ref))
    assert await ask(one, paying_back(ref, amount=5001)) == Rejected("charge_already_refunded")


async def test_a_part_that_somebody_captured_at_stripe_is_at_odds(one: Stripe, server: StripeServer) -> None:
    ref = await held(one)
    server.intents[ref] |= {"status": "succeeded", "amount_received": 4000}
    assert await ask(one, capturing(ref)) == Rejected("captured_differently")


# ---- not yet known: the same key again


@pytest.mark.parametrize("how", ["hang", "reset", "half"])
@pytest.mark.parametrize("path", ["/payment_intents", "/capture", "/cancel", "/refunds"])
async def test_an_answer_that_was_lost_is_unknown_and_the_same_key_tells(
    server: StripeServer, path: str, how: str
) -> None:
    async with adapter(server) as one, adapter(server, seconds=0.5) as hasty:
        steps = await prepared(one, server, path)
        server.fail(path, how)
        lost = await ask(hasty if how == "hang" else one, steps(Asked()))
        assert isinstance(lost, Unknown), lost
        assert lost.away
        assert isinstance(await ask(one, steps(AGAIN)), Authorized | Captured | Voided | Refunded)
    assert set(server.effects.values()) == {1}, "nothing twice"


async def prepared(one: Stripe, server: StripeServer, path: str) -> Any:
    """What asks for this path's change; what has to be there for it is there."""
    if path == "/payment_intents":
        return lambda asked: authorizing(asked=asked)
    ref = await held(one)
    if path == "/refunds":
        await ask(one, capturing(ref))
    asking = {
        "/capture": lambda asked: capturing(ref, asked=asked),
        "/cancel": lambda asked: Void("v", ref, asked),
        "/refunds": lambda asked: paying_back(ref, asked=asked),
    }
    return asking[path]


NOT_NOW = [
    (429, "rate_limit", {}, Transient("rate_limit")),
    (429, "rate_limit", {"Retry-After": "7"}, Transient("rate_limit", wait=7.0)),
    (429, "lock_timeout", {"Retry-After": "soon"}, Transient("lock_timeout")),
    (409, "lock_timeout", {}, Transient("lock_timeout")),
    (409, "idempotency_key_in_use", {}, Unknown("Stripe answered 409 idempotency_key_in_use")),
    (500, "", {}, Unknown("Stripe answered 500")),
    (503, "", {}, Unknown("Stripe answered 503", away=True)),
    (401, "", {}, Transient("Stripe refuses our API key (401)", away=True)),
    (403, "", {}, Transient("Stripe refuses our API key (403)", away=True)),
    (302, "", {"Location": "/elsewhere"}, Unknown("Stripe answered 302 invalid_request_error")),
]


@pytest.mark.parametrize("path", ["/payment_intents", "/capture", "/cancel", "/refunds"])
@pytest.mark.parametrize(("status", "code", "headers", "result"), NOT_NOW)
async def test_what_is_not_definite_is_asked_again(
    one: Stripe,
    server: StripeServer,
    path: str,
    status: int,
    code: str,
    headers: dict[str, str],
    result: Result,
) -> None:
    steps = await prepared(one, server, path)
    server.fail(path, "status", status=status, code=code, headers=headers)
    assert await ask(one, steps(Asked())) == result
    assert isinstance(await ask(one, steps(AGAIN)), Authorized | Captured | Voided | Refunded)


@pytest.mark.parametrize(
    ("status", "headers", "body", "result"),
    [
        (200, {}, b'{"id": "\xff"}', Unknown("unreadable answer of Stripe: ")),
        (400, {}, b'{"error": {"code": "\xff"}}', Unknown("Stripe answered 400, unreadable: ")),
        (424, {}, b'{"error": {"type": "api_error"}}', Unknown("Stripe answered 424 api_error")),
        (429, {"Retry-After": "7"}, b"<html>", Transient("rate_limit", wait=7.0)),
        (429, {"Retry-After": "nan"}, b'{"error": {"code": "rate_limit"}}', Transient("rate_limit")),
    ],
)
async def test_what_is_no_answer_of_stripes_costs_no_other_its_own(
    one: Stripe, server: StripeServer, status: int, headers: dict[str, str], body: bytes, result: Result
) -> None:
    server.fail("/payment_intents", "raw", status=status, headers=headers, body=body)
    results = await one.execute([authorizing(key=f"k{n}", payment_id=f"p{n}") for n in range(3)])
    (other,) = [found for found in results if not isinstance(found, Authorized)]
    assert isinstance(other, Transient | Unknown)
    assert type(other) is type(result)
    assert other.reason.startswith(result.reason)
    assert getattr(other, "wait", 0) == getattr(result, "wait", 0)


async def asked_in_vain(one: Stripe, words: str) -> None:
    """Nothing is given up, since it is a setting that is wrong."""
    before = refusals()
    operations = (authorizing(), capturing("pi_1"), Void("v", "pi_1"), paying_back("pi_1"))
    for operation in operations:
        result = await ask(one, operation)
        assert isinstance(result, Transient), result
        assert result.away
        assert words in result.reason
    assert refusals() == before + len(operations)
    with pytest.raises(Unavailable, match=words):
        await one.find("pi_1")
    with pytest.raises(Unavailable, match=words):
        [page async for page in one.listing(CLOCK.now())]


async def test_an_address_where_stripes_api_is_not_gives_no_payment_up(server: StripeServer) -> None:
    server.url += "/v1"
    async with adapter(server) as one:
        await asked_in_vain(one, "ORDERHUB_PAYMENTS_STRIPE_URL")


async def test_a_version_that_stripe_does_not_speak_gives_no_payment_up(
    one: Stripe, server: StripeServer
) -> None:
    server.speaks = "2031-01-01.elder"
    await asked_in_vain(one, f"does not speak {VERSION}")


async def test_nobody_there_is_transient() -> None:
    timeout = timedelta(seconds=2)
    async with stripe("http://127.0.0.1:9", API_KEY, clock=CLOCK, timeout=timeout, parallel=1) as one:
        result = await ask(one, authorizing())
        assert isinstance(result, Transient)
        assert result.away
        with pytest.raises(Unavailable, match="cannot be reached"):
            await one.find("pi_1")


async def test_one_that_hangs_holds_up_no_other_and_what_found_no_room_was_not_asked(
    server: StripeServer,
) -> None:
    async with adapter(server, seconds=2, parallel=2) as one:
        server.fail("/payment_intents", "hang", times=1)
        asked = [authorizing(key=f"k{n}", payment_id=f"p{n}") for n in range(6)]
        results = await one.execute(asked)
        assert sum(isinstance(r, Authorized) for r in results) == 5
        assert sum(isinstance(r, Unknown) for r in results) == 1
        server.fail("/payment_intents", "hang", times=2)
        results = await one.execute([authorizing(key=f"l{n}", payment_id=f"q{n}") for n in range(3)])
    assert sorted(type(r).__name__ for r in results) == ["Transient", "Unknown", "Unknown"]


async def test_a_key_of_another_account_gives_no_payment_up(one: Stripe) -> None:
    for operation in (capturing("pi_foreign"), Void("v", "pi_foreign"), paying_back("pi_foreign")):
        result = await ask(one, operation)
        assert isinstance(result, Transient), result
        assert "is it another's" in result.reason


async def test_processing_is_asked_for_until_it_is_over(one: Stripe, server: StripeServer) -> None:
    assert isinstance(await ask(one, authorizing("pm_processing")), Unknown)
    server.intents["pi_1"] |= {"status": "requires_capture"}
    assert await ask(one, authorizing("pm_processing", asked=AGAIN)) == Authorized("pi_1")


@pytest.mark.parametrize(
    ("ends_as", "result"),
    [("succeeded", Refunded()), ("failed", Rejected("expired_or_canceled_card")), ("canceled", Rejected("refund_canceled"))],
)  # fmt: skip
async def test_a_refund_that_takes_its_time_is_asked_for_until_it_is_over(
    one: Stripe, server: StripeServer, ends_as: str, result: Result
) -> None:
    ref = await held(one)
    await ask(one, capturing(ref))
    server.refund_status = "pending"
    assert isinstance(await ask(one, paying_back(ref)), Unknown)
    (refund,) = server.refunds.values()
    refund |= {"status": ends_as}
    if ends_as == "failed":
        refund |= {"failure_reason": "expired_or_canceled_card"}
    assert await ask(one, paying_back(ref, asked=AGAIN)) == result


# ---- keys that are forgotten, that repeat a fault, or that were used before


@pytest.mark.parametrize("path", ["/payment_intents", "/capture", "/cancel", "/refunds"])
async def test_after_a_day_what_there_is_is_looked_for_before_anything_is_asked(
    one: Stripe, server: StripeServer, path: str
) -> None:
    steps = await prepared(one, server, path)
    server.fail(path, "reset")
    assert isinstance(await ask(one, steps(Asked())), Unknown)
    server.saved.clear()
    assert isinstance(await ask(one, steps(LONG_AGO)), Authorized | Captured | Voided | Refunded)
    assert set(server.effects.values()) == {1}, "nothing twice, though the key is forgotten"


async def test_after_a_day_what_is_not_there_is_asked_for(one: Stripe, server: StripeServer) -> None:
    assert await ask(one, authorizing(asked=LONG_AGO)) == Authorized("pi_1")
    assert await ask(one, capturing("pi_1", asked=LONG_AGO)) == Captured()
    assert await ask(one, paying_back("pi_1", asked=LONG_AGO)) == Refunded()
    assert set(server.effects.values()) == {1}


async def test_the_refund_of_this_payment_is_found_among_many(one: Stripe, server: StripeServer) -> None:
    ref = await held(one)
    await ask(one, capturing(ref))
    for n in range(7):
        await ask(one, PayBack(f"r{n}", ref, 10, f"refund {n}", "EUR", "payment"))
    server.saved.clear()
    assert await ask(one, PayBack("r0", ref, 10, "refund 0", "EUR", "payment", LONG_AGO)) == Refunded()
    assert len(server.refunds) == 7


async def test_capture_and_void_are_asked_under_another_key_when_theirs_repeats_a_fault(
    one: Stripe, server: StripeServer
) -> None:
    for verb, steps in (("/capture", capturing), ("/cancel", lambda ref, asked: Void("v", ref, asked))):
        server.intents.clear()
        server.saved.clear()
        ref = await held(one)
        server.fail(verb, "saved")
        assert isinstance(await ask(one, steps(ref, asked=Asked())), Unknown)
        assert isinstance(await ask(one, steps(ref, asked=AGAIN)), Captured | Voided)


async def test_an_authorization_behind_a_repeated_fault_is_found_or_stays_unknown(
    one: Stripe, server: StripeServer
) -> None:
    server.fail("/payment_intents", "saved")
    for asked in (Asked(), AGAIN):
        assert await ask(one, authorizing(asked=asked)) == Unknown("Stripe answered 500")
    assert server.intents == {}
    form = {"payment_method": "pm_card_visa", "amount": "5000", "currency": "eur"}
    server.create({**form, "metadata[order_id]": "order", "metadata[payment_id]": "payment"})
    assert await ask(one, authorizing(asked=AGAIN)) == Authorized("pi_1")


async def test_a_refund_behind_a_repeated_fault_is_found_or_stays_unknown(
    one: Stripe, server: StripeServer
) -> None:
    ref = await held(one)
    await ask(one, capturing(ref))
    server.fail("/refunds", "saved")
    for asked in (Asked(), AGAIN):
        assert await ask(one, paying_back(ref, asked=asked)) == Unknown("Stripe answered 500")
    server.refund({"payment_intent": ref, "amount": "2000", "metadata[refund_id]": "refund"})
    assert await ask(one, paying_back(ref, asked=AGAIN)) == Refunded()


async def test_a_key_that_asked_in_other_words_is_looked_after(one: Stripe, server: StripeServer) -> None:
    """As an older release may have: what it did counts, and nothing is done again."""
    ref = await held(one)
    assert await ask(one, authorizing("pm_card_mastercard", asked=AGAIN)) == Authorized(ref)
    server.saved["c"] = ("other words", 200, {})
    assert await ask(one, capturing(ref, asked=AGAIN)) == Rejected("idempotency_error")
    server.capture(server.intents[ref], {"amount_to_capture": "5000"})
    assert await ask(one, capturing(ref, asked=AGAIN)) == Captured()
    server.saved["r"] = ("other words", 200, {})
    assert await ask(one, paying_back(ref, asked=AGAIN)) == Rejected("idempotency_error")
    server.refund({"payment_intent": ref, "amount": "2000", "metadata[refund_id]": "refund"})
    assert await ask(one, paying_back(ref, asked=AGAIN)) == Refunded()


async def test_what_the_search_cannot_know_yet_is_not_given_up(one: Stripe, server: StripeServer) -> None:
    await held(one)
    server.indexed = False
    other = authorizing("pm_card_mastercard", asked=AGAIN)
    assert isinstance(await ask(one, other), Unknown)
    settled = Asked(3, CLOCK.now() - timedelta(hours=2))
    assert await ask(one, authorizing("pm_card_mastercard", asked=settled)) == Rejected("idempotency_error")


# ---- listing


async def test_the_listing_turns_its_pages(one: Stripe) -> None:
    for n in range(7):
        await ask(one, authorizing(key=f"k{n}", payment_id=f"p{n}", reference=f"order {n}"))
    pages = [page async for page in one.listing(CLOCK.now())]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert {record.reference for page in pages for record in page} == {f"order {n}" for n in range(7)}


async def test_a_listing_that_cannot_be_had_is_unavailable(server: StripeServer) -> None:
    async with adapter(server, key="sk_test_of_somebody_else") as one:
        with pytest.raises(Unavailable, match="API key"):
            [page async for page in one.listing(CLOCK.now())]


async def test_what_stripe_does_not_have_is_not_found(one: Stripe) -> None:
    assert await one.find("pi_nowhere") is None
