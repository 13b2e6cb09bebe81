"""Attacks on the door of a running gateway, each with the code of its refusal.

Tokens of other issuers are in test_foreign_tokens.py, broken HTTP in test_wire.py, clients that take their time in
unit/test_slow_clients.py, roles and other people's things in test_rbac.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import behind
import pytest
from forging import Made, Mould, by_the_attackers_key, hmac_by, raw, signed, tampered, unsigned, with_head
from idp import SLOWLY, at
from joserfc.jwk import ECKey
from orderhub_chassis.calls import Call, service_caller
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub


class Listener:
    """A server of the attacker's: it counts who comes."""

    def __init__(self) -> None:
        self.asked = 0
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked += 1
            writer.close()

        server = await asyncio.start_server(count, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener().listening() as listening:
        yield listening


async def mould_of(api: Any, url: str) -> Mould:
    answer = await api._auth.call(
        AuthServiceStub(api._auth.channel).GetJwks,
        auth_pb2.GetJwksRequest(),
        call=Call(caller=service_caller("gateway")),
    )
    [key] = [key for key in json.loads(answer.jwks_json)["keys"] if key["kty"] == "EC"]
    return Mould(
        await api.token("customer"), ECKey.import_key(key), ECKey.generate_key("P-256", private=True), url
    )


def assert_refused(answer: Any, code: str, status: int = 401) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


FORGED: dict[str, Made] = {
    "alg-none": unsigned("none"),
    "alg-none-with-a-signature": unsigned("none", keep=True),
    "alg-None": unsigned("None"),
    "alg-NONE": unsigned("NONE"),
    "alg-nOnE": unsigned("nOnE"),
    "alg-empty": unsigned(""),
    "alg-missing": with_head(alg=None),
    "alg-is-a-list": with_head(alg=["ES256", "none"]),
    "alg-of-another-curve": with_head(alg="ES384"),
    "alg-of-another-family": with_head(alg="RS256"),
    "hmac-by-the-public-pem": hmac_by(lambda key: key.as_pem(private=False)),
    "hmac-by-the-public-der": hmac_by(lambda key: key.as_der(private=False)),
    "hmac-by-the-public-jwk": hmac_by(lambda key: json.dumps(key.as_dict(private=False)).encode()),
    "hmac-by-nothing": hmac_by(lambda key: b""),
    "hmac-512-by-the-public-pem": hmac_by(lambda key: key.as_pem(private=False), "HS512"),
    "kid-path": with_head(kid="../../../../etc/passwd"),
    "kid-device": with_head(kid="/dev/null"),
    "kid-url": with_head(kid="file:///etc/passwd"),
    "kid-sql": with_head(kid="x' UNION SELECT 'secret' --"),
    "kid-shell": with_head(kid="$(touch /tmp/owned)|sh"),
    "kid-nul": with_head(kid="\0"),
    "kid-long": with_head(kid="x" * 5000),
    "kid-empty": with_head(kid=""),
    "kid-missing": with_head(kid=None),
    "kid-is-a-number": with_head(kid=7),
    "kid-is-a-table": with_head(kid={"$ne": ""}),
    "kid-unknown": with_head(kid="unknown"),
    "jku": by_the_attackers_key(jku="URL"),
    "jku-under-a-new-kid": by_the_attackers_key(jku="URL", kid="mine"),
    "x5u": by_the_attackers_key(x5u="URL"),
    "x5c": by_the_attackers_key(x5c=["AAAA"]),
    "jwk": by_the_attackers_key(jwk="JWK"),
    "jwk-under-a-new-kid": by_the_attackers_key(jwk="JWK", kid="mine"),
    "signed-by-somebody": by_the_attackers_key(),
    "claims-changed": tampered(roles=["operator"]),
    "claims-prolonged": tampered(exp=9_999_999_999),
    "no-signature": lambda mould: mould.token.rpartition(".")[0] + ".",
    "half-a-signature": lambda mould: mould.token[:-40],
    "zero-signature": lambda mould: mould.token.rpartition(".")[0] + "." + "A" * 86,
    "two-parts": lambda mould: mould.token.rpartition(".")[0],
    "four-parts": lambda mould: mould.token + ".x",
    "five-parts": lambda mould: mould.token + ".x.y",
    "two-tokens": lambda mould: f"{mould.token}, Bearer {mould.token}",
    "larger-than-8-kB": lambda mould: mould.token + "A" * 8192,
    "critical-header": with_head(crit=["exp"], exp=1),
    "typ-of-an-id-token": with_head(typ="JWT"),
    "header-twice": lambda mould: (
        raw(f'{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{mould.kid}"}}'.encode())
        + mould.token[mould.token.index(".") :]
    ),
    "header-deep": lambda mould: raw(b"[" * 3000) + mould.token[mould.token.index(".") :],
    "header-not-utf-8": lambda mould: raw(b'{"alg":"\xff"}') + mould.token[mould.token.index(".") :],
}


async def test_no_forged_token_opens_the_door_and_nobody_asks_where_it_points(
    api: Any, listener: Listener
) -> None:
    mould = await mould_of(api, listener.url)
    good = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {mould.token}"})
    assert good.status_code == 200
    for name, make in FORGED.items():
        answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {make(mould)}"})
        assert (name, answer.status_code) == (name, 401), answer.text
        assert_refused(answer, "auth.token_refused")
        assert mould.kid not in answer.text
    assert listener.asked == 0


async def test_the_same_headers_of_a_token_of_another_issuer_point_nowhere_either(
    idp: Any, open_gate: Any, listener: Listener
) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    at(idp, gate)
    stranger = ECKey.generate_key("P-256", private=True)
    public = stranger.as_dict(private=False)
    for head in (
        {"jku": f"{listener.url}/k"},
        {"x5u": f"{listener.url}/c"},
        {"jwk": public},
        {"x5c": ["AAAA"]},
    ):
        for kid in (idp.keys[-1].thumbprint(), "mine"):
            refusal = await gate.refusal(idp.token(stranger, head={**head, "kid": kid}))
            assert refusal.code == "auth.token_refused"
    assert listener.asked == 0


class Auth:
    """Our own issuer, with its private key in the test's hand."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", private=True)
        self.asked = 0

    async def jwks(self) -> str:
        self.asked += 1
        return json.dumps({"keys": [{**self.key.as_dict(private=False), "kid": "main"}]})

    def token(self, now: int, head: bytes | None = None, more: bytes = b"", **over: Any) -> str:
        """Well signed, whatever it says; `more` are members that stand before all others."""
        claims = {
            "iss": "http://own.example", "aud": "orderhub-api", "sub": str(uuid4()), "sid": "s",
            "exp": now + 900, "iat": now, "roles": ["customer"], "vendor_id": "", **over,
        }  # fmt: skip
        body = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
        return signed(
            head or b'{"alg":"ES256","typ":"at+jwt","kid":"main"}',
            body.replace(b"{", b"{" + more, 1),
            self.key,
        )


GOOD: dict[str, dict[str, Any]] = {
    "as-it-is": {}, "without-iat": {"iat": None}, "begins-now": {"nbf": 0}, "a-little-ahead": {"iat": 29, "nbf": 29},
    "last-second": {"exp": 1},
}  # fmt: skip
WELL_SIGNED: dict[str, dict[str, Any]] = {
    "expired": {"exp": 0},
    "expired-long-ago": {"exp": -86_400},
    "never-expires": {"exp": None},
    "expires-in-words": {"exp": "never"},
    "not-yet-nbf": {"nbf": 31},
    "not-yet-iat": {"iat": 31},
    "nbf-in-words": {"nbf": "tomorrow"},
    "nbf-out-of-time": {"nbf": 10**15},
    "foreign-issuer": {"iss": "https://elsewhere.example"},
    "issuer-with-a-slash": {"iss": "http://own.example/"},
    "issuers": {"iss": ["http://own.example"]},
    "foreign-audience": {"aud": "another-api"},
    "audiences": {"aud": ["orderhub-api", "another-api"]},
    "no-audience": {"aud": None},
    "internal-audience": {"aud": "orderhub-internal"},
    "no-subject": {"sub": None},
    "roles-in-words": {"roles": "operator"},
    "no-roles": {"roles": None},
    "twice-roles": {"more": b'"roles":["operator"],'},
    "twice-subject": {"more": b'"sub":"another",'},
    "twice-exp": {"more": b'"exp":9999999999,'},
    "twice-by-an-escape": {"more": b'"r\\u006fles":["operator"],'},
    "twice-inside": {"act": {}, "more": b'"act2":{"a":1,"a":2},'},
    "twice-alg": {"head": b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"main"}'},
    "twice-kid": {"head": b'{"kid":"x","alg":"ES256","typ":"at+jwt","kid":"main"}'},
    "id-token": {"head": b'{"alg":"ES256","typ":"JWT","kid":"main"}'},
    "no-typ": {"head": b'{"alg":"ES256","kid":"main"}'},
    "critical": {"head": b'{"alg":"ES256","typ":"at+jwt","kid":"main","crit":["b64"],"b64":false}'},
    "larger-than-8-kB": {"padding": "x" * 8000},
}


def moved(over: dict[str, Any], now: int) -> dict[str, Any]:
    """Times count from now."""
    times = ("exp", "nbf", "iat")
    return {
        name: now + value if name in times and type(value) is int else value for name, value in over.items()
    }


@pytest.mark.parametrize("name", GOOD)
async def test_a_token_of_our_own_within_its_time_counts(open_gate: Any, name: str) -> None:
    auth = Auth()
    gate = await open_gate(own=auth.jwks)
    now = int(gate.clock.now().timestamp())
    caller = await gate.caller(auth.token(now, **moved(GOOD[name], now)))
    assert caller.roles == {"customer"}


@pytest.mark.parametrize("name", WELL_SIGNED)
async def test_a_token_that_is_well_signed_and_says_something_else_is_refused(
    open_gate: Any, name: str
) -> None:
    auth = Auth()
    gate = await open_gate(own=auth.jwks)
    now = int(gate.clock.now().timestamp())
    refusal = await gate.refusal(auth.token(now, **moved(WELL_SIGNED[name], now)))
    assert refusal.code == "auth.token_refused"


async def test_claims_that_stand_twice_are_refused_of_another_issuer_too(idp: Any, open_gate: Any) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    at(idp, gate)
    head = {"alg": "ES256", "typ": "JWT", "kid": idp.keys[-1].thumbprint()}
    claims = json.dumps(idp.claims()).encode()
    assert await gate.caller(signed(head, claims, idp.keys[-1]))
    doubled = claims.replace(b"{", b'{"realm_access":{"roles":["staff"]},', 1)
    assert (await gate.refusal(signed(head, doubled, idp.keys[-1]))).code == "auth.token_refused"


async def test_made_up_key_ids_make_the_gateway_ask_once_per_interval(
    open_gate: Any,
) -> None:
    auth = Auth()
    gate = await open_gate(own=auth.jwks)

    def made_up() -> str:
        head = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": uuid4().hex}).encode()
        return auth.token(int(gate.clock.now().timestamp()), head)

    async def flood() -> None:
        for refusal in await asyncio.gather(*(gate.refusal(made_up()) for _ in range(50))):
            assert refusal.code == "auth.token_refused"

    assert await gate.caller(auth.token(int(gate.clock.now().timestamp())))
    before = auth.asked
    await flood()
    assert auth.asked == before, "the keys were asked for just now"
    for intervals in range(1, 4):
        gate.clock.advance(timedelta(seconds=5.1))
        await flood()
        await flood()
        assert auth.asked == before + intervals


SMUGGLED = {
    "x-user-id": "0198c0de-0000-7000-8000-0000000000aa", "x-roles": "operator", "x-role": "operator",
    "x-vendor-id": str(uuid4()), "x-forwarded-user": "root", "x-authenticated-user": "root", "x-internal": "1",
    "authorization-internal": "x", "x-authorization-internal": "x", "x-idempotency-key": "k", "x-if-match": '"1"',
    "x-fingerprint-bin": "AAAA", "grpc-timeout": "1n", "grpc-encoding": "gzip", "grpc-metadata-x-user-id": "root",
    "grpc-trace-bin": "AAAA", "grpc-tags-bin": "AAAA", "x-actor": "operator", "x-original-url": "/api/v1/admin/users",
    "x-rewrite-url": "/api/v1/admin/users", "x-http-method-override": "DELETE", "forwarded": "for=10.0.0.1", "te": "trailers",
    "x-forwarded-for": "10.0.0.1", "x-real-ip": "10.0.0.1", "baggage": "role=operator", "tracestate": "a=b",
}  # fmt: skip
GOES_ON = {"authorization-internal", "traceparent", "user-agent", "x-request-id"}


async def test_no_header_of_a_request_becomes_an_identity_or_goes_on_to_a_service(open_gateway: Any) -> None:
    orders = behind.Orders()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(behind.serving(orders))
        api = await open_gateway(orders_address=f"127.0.0.1:{port}")
        assert (await api("GET", "/v1/orders", headers=SMUGGLED)).json()["code"] == "auth.unauthenticated"
        headers = await api.as_("customer")
        customer = api.users["customer"]["id"]
        for name, value in SMUGGLED.items():
            answer = await api("GET", "/v1/orders", headers={**headers, name: value})
            assert answer.status_code == 200, (name, answer.text)
        assert (await api("GET", "/v1/orders", headers={**headers, **SMUGGLED})).status_code == 200
        assert len(orders.calls) == len(SMUGGLED) + 1
        for metadata, call, left in zip(orders.metadata, orders.callers, orders.left, strict=True):
            assert set(metadata) <= GOES_ON, metadata.keys()
            assert (call.caller.user_id, call.caller.roles) == (customer, {"customer"})
            assert (call.idempotency_key, call.if_match) == ("", "")
            assert left > 1


async def test_a_forwarded_address_is_believed_of_nobody(open_gateway: Any) -> None:
    api = await open_gateway(rate_per_address=0.001, burst_per_address=2)
    answers = [
        await api("GET", f"/v1/vendors/{uuid4()}", headers={"x-forwarded-for": f"10.0.0.{number}"})
        for number in range(4)
    ]
    assert [answer.status_code for answer in answers][2:] == [429, 429]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/orders/%0d%0aset-cookie:%20a=b",
        "/docs/%0d%0aset-cookie:%20a=b",
        "/v1/orders?cursor=%0d%0aset-cookie:%20a=b",
    ],
    ids=["path", "asset", "query"],
)
async def test_a_line_break_in_an_address_begins_no_header(api: Any, path: str) -> None:
    answer = await api("GET", path, headers={**await api.as_("customer"), "origin": "https://a.example"})
    assert answer.status_code >= 400
    assert "set-cookie" not in answer.headers


EMAIL, PASSWORD = "eve@example.org", "a long password"
STRAY: dict[str, Any] = {
    "roles": ["operator"], "role": "operator", "vendor_id": str(uuid4()), "email_verified": True, "id": str(uuid4()),
    "disabled": False, "created_at": "2020-01-01T00:00:00Z", "password_hash": "x", "epoch": 0, "__proto__": {},
}  # fmt: skip
TAKES: list[tuple[str, str, str, dict[str, Any], set[str]]] = [
    ("POST", "/v1/auth/register", "anybody", {"email": EMAIL, "password": PASSWORD}, set()),
    ("PATCH", "/v1/auth/me", "customer", {}, set()),
    ("POST", "/v1/auth/login", "anybody", {"email": EMAIL, "password": PASSWORD}, set()),
    ("POST", "/v1/auth/password/change", "customer", {"current_password": "x", "new_password": PASSWORD}, set()),
    ("POST", "/v1/auth/password/reset/confirm", "anybody", {"code": "x", "new_password": PASSWORD}, set()),
    (
        "POST", "/v1/admin/users", "operator", {"email": EMAIL, "password": PASSWORD, "roles": ["customer"]},
        {"roles", "vendor_id"},
    ),
    ("PATCH", f"/v1/admin/users/{uuid4()}", "operator", {}, {"roles", "vendor_id", "disabled"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "role", "body", "own"),
    TAKES,
    ids=["register", "me", "login", "change", "reset", "create", "update"],
)
async def test_no_body_that_takes_a_user_takes_more_than_it_says(
    api: Any, method: str, path: str, role: str, body: dict[str, Any], own: set[str]
) -> None:
    headers = await api.as_(role)
    for name, value in STRAY.items():
        if name in own:
            continue
        answer = await api(method, path, headers=headers, json={**body, name: value})
        assert_refused(answer, "request.unknown", 400)
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]


def shapes(value: Any, components: dict[str, Any], seen: set[str]) -> Any:
    """Every object of a schema, references followed."""
    if isinstance(value, list):
        for item in value:
            yield from shapes(item, components, seen)
    if not isinstance(value, dict):
        return
    if name := value.get("$ref", "").rpartition("/")[2]:
        if name not in seen:
            seen.add(name)
            yield from shapes(components[name], components, seen)
        return
    if "properties" in value:
        yield value
    for item in value.values():
        yield from shapes(item, components, seen)


async def test_every_body_of_the_api_is_closed_to_members_that_it_does_not_know(api: Any) -> None:
    document = (await api("GET", "/openapi.json")).json()
    found = 0
    for item in document["paths"].values():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for shape in shapes(content.get("schema", {}), document["components"]["schemas"], set()):
                found += 1
                assert shape.get("additionalProperties") is False, (operation["operationId"], shape)
    assert found > 25
