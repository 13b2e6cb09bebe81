"""A small server that speaks Stripe's shapes over HTTP and can fail in all the ways that the network and Stripe can.

It is an edge of the tests, written from Stripe's public reference: PaymentIntents with manual capture, refunds, search,
idempotency keys that keep their answer. `fail` says what goes wrong with the next matching requests.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aiohttp import web

API_KEY = "sk_test_of_the_tests_only"
SECRET = "whsec_of_the_tests_only"
DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_authenticationRequiredOffSession": ("authentication_required", "authentication_required"),
}
STATES = {"pm_needs_action": "requires_action", "pm_processing": "processing"}
ROUTES = re.compile(r"/v1/(payment_intents(/[^/]+(/capture|/cancel)?)?|refunds(/[^/]+)?)")


def sign(body: bytes, at: float, *secrets: str) -> str:
    """A Stripe-Signature header by each of the secrets."""
    signed = b"%d.%s" % (int(at), body)
    made = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets or (SECRET,)]
    return ",".join([f"t={int(at)}", *(f"v1={one}" for one in made)])


def event(id: str, type: str, about: dict[str, Any]) -> bytes:
    return json.dumps({"id": id, "object": "event", "type": type, "data": {"object": about}}).encode()


@dataclass
class Failure:
    """`how`: status (nothing is done, that is answered), saved (the same, and kept under the key), hang, reset or half
    (it is done, and the answer is late, lost or cut), raw (it is done, and `body` is answered)."""

    how: str
    status: int = 500
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class StripeServer:
    """`intents` and `refunds` are its books; `asked` is every request as (method, path, key)."""

    url: str = ""
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    saved: dict[str, tuple[str, int, dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    refund_status: str = "succeeded"
    versions: set[str] = field(default_factory=set)
    speaks: str = "2026-08-26.dahlia"
    may_not_read: str = ""
    """The end of a path that the API key has no permission for."""
    indexed: bool = True
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def fail(self, path: str, how: str, times: int = 1, **over: Any) -> None:
        """The next requests that change something whose path ends so."""
        self.failures.setdefault(path, []).extend(Failure(how, **over) for _ in range(times))

    def of_order(self, order_id: object) -> list[dict[str, Any]]:
        return [i for i in self.intents.values() if i["metadata"].get("order_id") == str(order_id)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, key = request.path, request.headers.get("Idempotency-Key", "")
        self.asked.append((request.method, path, key))
        self.versions.add(request.headers.get("Stripe-Version", ""))
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return web.json_response(refusal("invalid_request_error", "", "Invalid API Key"), status=401)
        if (version := request.headers.get("Stripe-Version")) != self.speaks:
            words = f"Invalid Stripe API version: {version}"
            return web.json_response(refusal("invalid_request_error", "", words), status=400)
        if not ROUTES.fullmatch(path):
            words = f"Unrecognized request URL ({request.method}: {path})"
            return web.json_response(refusal("invalid_request_error", "", words), status=404)
        if self.may_not_read and path.endswith(self.may_not_read):
            words = "The provided key does not have the required permissions for this endpoint"
            return web.json_response(refusal("invalid_request_error", "", words), status=403)
        if request.method == "GET":
            status, body = self.look(path, dict(request.query))
            return web.json_response(body, status=status)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        failure = self._failure(path)
        if failure and failure.how == "status":
            body = refusal("api_error" if failure.status >= 500 else "invalid_request_error", failure.code)
            return web.json_response(body, status=failure.status, headers=failure.headers)
        status, body, repeated = self._answer(path, key, form, failure)
        return await self._give(request, failure, status, body, repeated)

    def _failure(self, path: str) -> Failure | None:
        for end, waiting in self.failures.items():
            if path.endswith(end) and waiting:
                return waiting.pop(0)
        return None

    def _answer(
        self, path: str, key: str, form: dict[str, str], failure: Failure | None
    ) -> tuple[int, dict[str, Any], bool]:
        words = json.dumps([path, form], sort_keys=True)
        if key in self.saved:
            asked, status, body = self.saved[key]
            if asked != words:
                return (
                    400,
                    refusal("idempotency_error", "", "Keys can only be used with the same parameters"),
                    False,
                )
            return status, body, True
        if failure and failure.how == "saved":
            status, body = failure.status, refusal("api_error", "")
        else:
            status, body = self.change(path, form)
        # What fails validation is not kept; declines are.
        if status in (200, 402) or status >= 500:
            self.saved[key] = (words, status, json.loads(json.dumps(body)))
        return status, body, False

    async def _give(
        self, request: web.Request, failure: Failure | None, status: int, body: dict[str, Any], repeated: bool
    ) -> web.StreamResponse:
        """As it should be, or not."""
        how = failure.how if failure else ""
        if how == "hang":
            await self.closing.wait()
        if how in ("reset", "half"):
            assert request.transport is not None, "the client has gone by itself"
        if how == "reset":
            request.transport.abort()
        if how == "half":
            text = json.dumps(body).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            request.transport.write(head.encode() + text[: len(text) // 2])  # type: ignore[attr-defined]
            request.transport.close()
        if failure and how == "raw":
            return web.Response(status=failure.status, body=failure.body, headers=failure.headers)
        headers = {"Idempotent-Replayed": "true"} if repeated else {}
        return web.json_response(body, status=status, headers=headers)

    # ---- what is there

    def look(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind, _, id = path.removeprefix("/v1/").partition("/")
        if id == "search":
            wanted = query["query"].partition(":'")[2].rstrip("'")
            found = [i for i in self.intents.values() if i["metadata"].get("payment_id") == wanted]
            return 200, {"data": found if self.indexed else [], "has_more": False}
        if id:
            things = self.intents if kind == "payment_intents" else self.refunds
            return (200, things[id]) if id in things else (404, missing("intent"))
        return 200, self._page(kind, query)

    def _page(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        things = list(reversed((self.intents if kind == "payment_intents" else self.refunds).values()))
        if ref := query.get("payment_intent"):
            things = [one for one in things if one["payment_intent"] == ref]
        if after := query.get("starting_after"):
            things = things[[one["id"] for one in things].index(after) + 1 :]
        # Small pages whatever was asked for, so that a few rows turn them.
        limit = min(int(query["limit"]), 3)
        return {"data": things[:limit], "has_more": len(things) > limit}

    # ---- what changes something

    def change(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        parts = path.removeprefix("/v1/").split("/")
        if parts == ["payment_intents"]:
            return self.create(form)
        if parts == ["refunds"]:
            return self.refund(form)
        intent = self.intents.get(parts[1])
        if intent is None:
            return 404, missing("intent")
        return self.capture(intent, form) if parts[2] == "capture" else self.cancel(intent)

    def create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        token, amount = form["payment_method"], int(form["amount"])
        if not token.startswith("pm_"):
            return 400, missing("payment_method")
        if amount < 50 and form["currency"] == "eur":
            return 400, refusal("invalid_request_error", "amount_too_small", param="amount")
        status = STATES.get(token, "requires_payment_method" if token in DECLINES else "requires_capture")
        id = f"pi_{next(self.numbers)}"
        held = status == "requires_capture"
        intent = {
            "id": id, "object": "payment_intent", "status": status, "amount": amount, "amount_received": 0,
            "amount_capturable": amount if held else 0, "currency": form["currency"],
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
            "latest_charge": {"id": f"ch_{id}", "status": "succeeded", "amount_refunded": 0} if held else None,
        }  # fmt: skip
        self.intents[id] = intent
        self.effects[f"authorized {id}"] += held
        if token in DECLINES:
            code, decline = DECLINES[token]
            error = refusal("card_error", code, decline_code=decline)
            error["error"]["payment_intent"] = intent
            return 402, error
        return 200, intent

    def capture(self, intent: dict[str, Any], form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if intent["status"] != "requires_capture":
            return 400, refusal("invalid_request_error", "payment_intent_unexpected_state")
        intent |= {"status": "succeeded", "amount_received": int(form["amount_to_capture"])}
        intent["amount_capturable"] = 0
        self.effects[f"captured {intent['id']}"] += 1
        return 200, intent

    def cancel(self, intent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if intent["status"] in ("canceled", "succeeded"):
            return 400, refusal("invalid_request_error", "payment_intent_unexpected_state")
        if intent["latest_charge"]:
            intent["latest_charge"]["amount_refunded"] = intent["amount"]
        intent |= {"status": "canceled", "amount_capturable": 0}
        self.effects[f"canceled {intent['id']}"] += 1
        return 200, intent

    def refund(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        intent, amount = self.intents.get(form["payment_intent"]), int(form["amount"])
        if intent is None:
            return 404, missing("intent")
        if intent["latest_charge"]["amount_refunded"] + amount > intent["amount_received"]:
            return 400, refusal("invalid_request_error", "charge_already_refunded")
        intent["latest_charge"]["amount_refunded"] += amount
        id = f"re_{next(self.numbers)}"
        self.refunds[id] = {
            "id": id, "object": "refund", "status": self.refund_status, "amount": amount,
            "payment_intent": intent["id"],
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
        }  # fmt: skip
        self.effects[f"refunded {intent['id']}"] += 1
        return 200, self.refunds[id]


def refusal(type: str, code: str, message: str = "no", **over: Any) -> dict[str, Any]:
    return {"error": {"type": type, "message": message, **({"code": code} if code else {}), **over}}


def missing(what: str) -> dict[str, Any]:
    return refusal("invalid_request_error", "resource_missing", f"No such {what}", param=what)


@asynccontextmanager
async def running() -> AsyncIterator[StripeServer]:
    server = StripeServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.closing.set()
        await runner.cleanup()
