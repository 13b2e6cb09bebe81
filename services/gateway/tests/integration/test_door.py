"""What is decided at the door: framing, JSON, headers, tokens. Nothing but auth is behind this gateway."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from orderhub_chassis.clock import ManualClock

SHIP_TO = {"name": "Ada", "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
LINE = {"product_id": "0198c0de-0000-7000-8000-000000000001", "quantity": 1}
ORDER: dict[str, Any] = {"lines": [LINE], "ship_to": SHIP_TO, "payment": {"token": "tok_ok"}}
JSON = {"content-type": "application/json"}
EXAMPLE_APP = "https://app.example"
"""Of an example: a client's own address, which no page asks."""
SVG_NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
"""A name that only looks like an address; nobody fetches it."""


def changed(path: str, value: Any) -> bytes:
    """The order with one field changed; `lines.0.quantity` names it."""
    body = json.loads(json.dumps(ORDER))
    *way, last = path.split(".")
    target = body
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return json.dumps(body).encode()


def without(path: str) -> bytes:
    body = json.loads(changed(path, None))
    *way, last = path.split(".")
    target = body
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    del target[last]
    return json.dumps(body).encode()


def assert_problem(answer: Any, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"urn:orderhub:problem:{code}"
    assert len(problem["trace_id"]) == 32
    assert problem["trace_id"] in answer.headers["traceparent"]
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer], answer.text
    return problem


BAD_BODIES = [
    (b"", "request.invalid", ""),
    (b"{", "request.malformed_json", None),
    (b"[]", "request.type", ""),
    (b"null", "request.type", ""),
    (b'"x"', "request.type", ""),
    (json.dumps(ORDER).encode() + b"x", "request.malformed_json", None),
    (json.dumps(ORDER).encode("utf-16"), "request.malformed_json", None),
    (changed("comment", "x").replace(b'"x"', b'"\xff"'), "request.malformed_json", None),
    (changed("comment", "x").replace(b'"x"', b'"\\ud800"'), "request.malformed_json", None),
    (changed("comment", "a\0b"), "request.characters", "/comment"),
    (changed("ship_to.name", "a\0b"), "request.characters", "/ship_to/name"),
    (changed("lines.0.sku", "\0"), "request.characters", "/lines/0/sku"),
    (changed("lines", []), "request.length", "/lines"),
    (changed("lines", [LINE] * 101), "request.length", "/lines"),
    (changed("lines", {}), "request.type", "/lines"),
    (changed("lines.0.quantity", 0), "request.range", "/lines/0/quantity"),
    (changed("lines.0.quantity", -1), "request.range", "/lines/0/quantity"),
    (changed("lines.0.quantity", 10**30), "request.range", "/lines/0/quantity"),
    (changed("lines.0.quantity", "2"), "request.type", "/lines/0/quantity"),
    (changed("lines.0.quantity", 1.5), "request.type", "/lines/0/quantity"),
    (changed("lines.0.quantity", True), "request.type", "/lines/0/quantity"),
    (changed("lines.0.quantity", None), "request.type", "/lines/0/quantity"),
    (changed("lines.0.product_id", "7"), "request.format", "/lines/0/product_id"),
    (changed("lines.0.colour", "red"), "request.unknown", "/lines/0/colour"),
    (changed("a/b~c", 1), "request.unknown", "/a~1b~0c"),
    (changed("ship_to.lat", 91), "request.range", "/ship_to/lat"),
    (changed("ship_to.lat", 1), "request.required", "/ship_to/lon"),
    (changed("ship_to.lon", 1), "request.required", "/ship_to/lat"),
    (changed("ship_to.country", "Germany"), "request.length", "/ship_to/country"),
    (changed("ship_to.country", "de"), "request.pattern", "/ship_to/country"),
    (changed("ship_to.name", ""), "request.length", "/ship_to/name"),
    (changed("ship_to.name", "x" * 201), "request.length", "/ship_to/name"),
    (changed("payment", "tok_ok"), "request.type", "/payment"),
    (changed("payment.token", 7), "request.type", "/payment/token"),
    (without("payment"), "request.required", "/payment"),
    (without("ship_to.city"), "request.required", "/ship_to/city"),
    (json.dumps(ORDER).encode()[:-1] + b', "payment": {"token": "tok_ok"}}', "request.doubled", "/payment"),
    (changed("comment", "X").replace(b'"X"', b"[" * 100_000), "request.too_deep", None),
    (changed("comment", [[[[[[[["deep"]]]]]]]]), "request.type", "/comment"),
    (b'{"lines": ' + b"[" * 100_000, "request.too_deep", None),
    (b'{"nothing": ' + b"[" * 100_000, "request.too_deep", None),
    (changed("ship_to.lat", 1).replace(b'"lat": 1', b'"lat": NaN'), "request.malformed_json", None),
    (changed("ship_to.lat", 1).replace(b'"lat": 1', b'"lat": 1e999'), None, None),
]


async def test_every_wrong_body_is_refused_with_its_field_named(api: Any) -> None:
    headers = await api.as_("customer", **JSON)
    for number, (body, code, pointer) in enumerate(BAD_BODIES):
        key = {"idempotency-key": str(number)}
        answer = await api("POST", "/v1/orders", content=body, headers=headers | key)
        assert answer.status_code == 400, (body[:200], answer.text)
        assert_problem(answer, 400, code or answer.json()["code"], pointer)


async def test_a_missing_body_is_said_to_be_missing(api: Any) -> None:
    headers = await api.as_("customer", **JSON, **{"idempotency-key": "k"})
    problem = assert_problem(await api("POST", "/v1/orders", headers=headers), 400, "request.invalid", "")
    assert problem["errors"][0] == {"pointer": "", "code": "required", "detail": "a JSON body is required"}


async def test_a_good_body_passes_the_door(api: Any) -> None:
    headers = await api.as_("customer", **{"idempotency-key": "k", "x-request-id": "my-id"})
    answer = await api("POST", "/v1/orders", json=ORDER, headers=headers)
    assert_problem(answer, 503, "unavailable")  # nobody is behind this door
    assert answer.headers["retry-after"] == "1"


async def test_bodies_are_json_in_utf_8(api: Any) -> None:
    cases: list[Any] = [
        ("application/json", 503), ("Application/JSON; charset=UTF-8", 503), ('application/json;charset="utf-8"', 503),
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("multipart/form-data", 415),
        ("application/json; charset=latin1", 415), ("application/jsonx", 415), ("", 415),
    ]  # fmt: skip
    for content_type, status in cases:
        headers = await api.as_("customer", **{"content-type": content_type, "idempotency-key": "k"})
        answer = await api("POST", "/v1/orders", content=json.dumps(ORDER), headers=headers)
        assert answer.status_code == status, answer.text
        if status == 415:
            assert_problem(answer, 415, "request.unsupported_content_type")


async def test_who_does_not_take_json_is_told_so(api: Any) -> None:
    cases: list[Any] = [
        ("*/*", False), ("application/json", False), ("text/html, */*;q=0.1", False), ("application/*", False),
        ("application/problem+json", False), ("", False),
        ("text/html", True), ("application/xml;q=0.9", True), ("application/*;q=0", True),
    ]  # fmt: skip
    for accept, refused in cases:
        answer = await api("GET", "/v1/auth/me", headers=await api.as_("customer", accept=accept))
        assert answer.status_code == (406 if refused else 200)


async def test_unknown_addresses_and_wrong_methods_are_problems(api: Any) -> None:
    headers = await api.as_("operator")
    for path in ("/v1/nothing", "/api/v2/orders", "/nothing", "/api", "/v1/orders/a/b/c", "/v1/orders/%00"):
        assert_problem(await api("GET", path, headers=headers), 404, "request.no_such_route")
    for method, path, allowed in (
        ("PUT", "/v1/orders", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/orders", {"GET", "HEAD", "POST"}),
        ("GET", "/v1/auth/login", {"POST"}),
        ("GET", "/v1/products/import", {"POST"}),
        ("TRACE", "/v1/orders", {"GET", "HEAD", "POST"}),
        ("POST", "/livez", {"GET", "HEAD"}),
    ):
        answer = await api(method, path, headers=headers)
        assert_problem(answer, 405, "request.method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed


async def test_an_id_that_is_none_is_nothing(api: Any) -> None:
    cases: list[Any] = ["7", "x", "0198c0de", "%F0%9F%90%9F", "..%2f..", "0198c0de-0000-7000-8000-00000000000g"]  # fmt: skip
    for id in cases:
        headers = await api.as_("operator")
        for path in ("orders", "payments", "deliveries", "products", "vendors", "admin/sagas"):
            assert_problem(
                await api("GET", f"/v1/{path}/{id}", headers=headers), 404, "request.no_such_route"
            )


async def test_a_wrong_query_parameter_is_named(api: Any) -> None:
    cases: list[Any] = [
        ("limit=0", "/query/limit"), ("limit=201", "/query/limit"), ("limit=x", "/query/limit"),
        ("limit=-1", "/query/limit"), ("limit=9" + "9" * 40, "/query/limit"), ("limit=", "/query/limit"),
        ("limit=1&limit=2", "/query/limit"), ("limit=1&lim%69t=2", "/query/limit"), ("status=NOPE", "/query/status"), ("vendor_id=7", "/query/vendor_id"),
        ("created_after=yesterday", "/query/created_after"), ("cursor=%00", "/query/cursor"),
        ("status=%00", "/query/status"),
    ]  # fmt: skip
    for query, pointer in cases:
        answer = await api("GET", f"/v1/orders?{query}", headers=await api.as_("customer"))
        assert answer.status_code == 400, query + answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_query_parameter_that_the_route_does_not_have_is_named(api: Any) -> None:
    role, key = await api.as_("operator"), {"idempotency-key": "k"}
    cases: list[Any] = [
        ("GET", "orders", "limmit=1", "/query/limmit"), ("GET", "orders", "limit=1&Limit=2", "/query/Limit"),
        ("GET", "orders", "limit=1&x", "/query/x"), ("GET", "orders", "=1", "/query/"),
        ("GET", "orders", "a/b~c=1", "/query/a~1b~0c"), ("GET", "orders", "gr%C3%B6%C3%9Fe=1", "/query/größe"),
        ("GET", "products", "order_id=1", "/query/order_id"), ("HEAD", "orders", "limmit=1", None),
        ("GET", f"orders/{uuid4()}", "expand=lines", "/query/expand"), ("GET", "auth/me", "x=1", "/query/x"),
        ("POST", "orders", "dry_run=true", "/query/dry_run"), ("POST", "auth/login", "x=1", "/query/x"),
        ("POST", f"orders/{uuid4()}/cancel", "x=1", "/query/x"), ("DELETE", f"products/{uuid4()}", "x=1", "/query/x"),
    ]  # fmt: skip
    for method, path, query, pointer in cases:
        body = {"json": ORDER} if method == "POST" else {}
        roles = await api.as_("customer") if path.startswith("orders") else role
        answer = await api(method, f"/v1/{path}?{query}", headers=roles | key, **body)
        assert answer.status_code == 400, (method, path, query, answer.text)
        if pointer is not None:
            problem = assert_problem(answer, 400, "request.unknown", pointer)
            assert problem["errors"][0]["code"] == "unknown"


async def test_who_may_not_ask_at_all_is_told_that_first(api: Any) -> None:
    assert_problem(await api("GET", "/v1/orders?limmit=1"), 401, "auth.unauthenticated")
    courier = await api.as_("courier")
    assert_problem(await api("GET", "/v1/admin/sagas?limmit=1", headers=courier), 403, "auth.forbidden")


async def test_a_query_that_is_no_utf_8_is_refused(api: Any) -> None:
    cases: list[Any] = ["q=%ff", "q=%c3%28", "%ff=1", "q=%ed%a0%80"]  # fmt: skip
    for query in cases:
        assert_problem(await api("GET", f"/v1/products?{query}"), 400, "request.malformed_query")


async def test_bodies_have_a_limit_whether_they_say_their_length_or_not(open_gateway: Any) -> None:
    api = await open_gateway(body_limit=2000, import_limit=3000)

    async def slices() -> Any:
        for _ in range(4):
            yield b" " * 1000

    headers = await api.as_("customer", **JSON, **{"idempotency-key": "k"})
    for content in (b" " * 2001, slices()):
        answer = await api("POST", "/v1/orders", content=content, headers=headers)
        assert_problem(answer, 413, "request.too_large")
    vendor = await api.as_("vendor", **{"content-type": "text/csv"})
    assert (await api("POST", "/v1/products/import", content=b"x" * 2500, headers=vendor)).status_code == 503
    answer = await api("POST", "/v1/products/import", content=b"x" * 3001, headers=vendor)
    assert_problem(answer, 413, "request.too_large")


async def test_json_may_be_nested_as_deep_as_the_setting_says(open_gateway: Any) -> None:
    api = await open_gateway(json_depth=8)
    headers = await api.as_("customer", **JSON, **{"idempotency-key": "k"})
    for levels, code in ((7, "request.type"), (8, "request.too_deep")):
        nested = b"[" * levels + b"]" * levels
        answer = await api("POST", "/v1/orders", content=b'{"comment":' + nested + b"}", headers=headers)
        problem = assert_problem(answer, 400, code)
    assert problem["detail"] == "the JSON is nested deeper than 8 levels"


async def test_an_import_is_text(api: Any) -> None:
    cases: list[Any] = [
    (b"sku\xff", "text/csv", "request.malformed_csv"),
    (b"sku\0", "text/csv; charset=utf-8", "request.malformed_csv"),
    (b"{}", "application/json", "request.unsupported_content_type"),
]  # fmt: skip
    for content, content_type, code in cases:
        headers = await api.as_("vendor", **{"content-type": content_type})
        answer = await api("POST", "/v1/products/import", content=content, headers=headers)
        assert answer.status_code in (400, 415)
        assert answer.json()["code"] == code


async def test_a_body_that_does_not_come_is_408(open_gateway: Any) -> None:
    api = await open_gateway(request_limit=timedelta(seconds=0.2))
    token = await api.token("customer")
    reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port)
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nidempotency-key: k\r\n"
    )
    writer.write(f"{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{".encode())
    answer = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"request.too_slow"' in answer
    writer.close()
    await writer.wait_closed()


async def test_some_routes_need_an_idempotency_key(api: Any) -> None:
    cases: list[Any] = ["/v1/orders", f"/v1/payments/{LINE['product_id']}/refunds", "/v1/deliveries"]  # fmt: skip
    for path in cases:
        bodies = {
            "/v1/orders": ("customer", ORDER),
            "/v1/deliveries": ("vendor", {"order_id": str(uuid4())}),
        }
        role, body = bodies.get(path, ("vendor", {"reason": "scratched"}))
        answer = await api("POST", path, json=body, headers=await api.as_(role))
        assert_problem(answer, 400, "idempotency.key_required")


async def test_an_idempotency_key_is_visible_ascii(api: Any) -> None:
    cases: list[Any] = ["x" * 256, "with space", "ключ".encode(), b"\x7f", b"\x01"]  # fmt: skip
    for key in cases:
        token = await api.token("customer")
        headers = [("authorization", f"Bearer {token}"), ("idempotency-key", key)]
        answer = await api("POST", "/v1/orders", json=ORDER, headers=headers)
        # a control character already fails as HTTP
        code = "request.malformed" if key in (b"\x7f", b"\x01") else "idempotency.key_malformed"
        assert_problem(answer, 400, code)


async def test_a_request_id_is_taken_over_or_made(api: Any) -> None:
    cases: list[Any] = [("abc-1.2:3_4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("", False)]  # fmt: skip
    for given, kept in cases:
        answer = await api("GET", "/ping", headers={"x-request-id": given})
        assert (answer.headers["x-request-id"] == given) is kept
        assert len(answer.headers["x-request-id"]) > 8


async def test_a_trace_goes_on(api: Any) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await api("GET", "/v1/nothing", headers={"traceparent": given})
    assert answer.json()["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert answer.headers["traceparent"] != given
    for nonsense in (
        b"nonsense",
        b"x" * 55,
        b"\xe9" * 55,
        b"00-" + b"Z" * 52,
        f"00-{'0' * 32}-{'1' * 16}-01",
    ):
        again = await api("GET", "/v1/nothing", headers=[("traceparent", nonsense)])
        assert len(again.json()["trace_id"].strip("0")) > 20


async def test_no_header_that_goes_on_to_the_services_breaks_a_call(api: Any) -> None:
    token = ("authorization", f"Bearer {await api.token('customer')}")
    answer = await api("GET", "/v1/auth/me", headers=[token, ("traceparent", b"\xe9" * 55)])
    assert answer.status_code == 200
    for given in (b'"\xe9"', b'"a\tb"'):
        answer = await api("GET", "/v1/auth/me", headers=[token, ("if-match", given)])
        assert_problem(answer, 400, "request.if_match_malformed")


async def test_a_head_is_a_get_without_the_body(api: Any) -> None:
    headers = await api.as_("customer")
    head, get = [await api(method, "/v1/auth/me", headers=headers) for method in ("HEAD", "GET")]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_cors_lets_in_who_is_on_the_list_and_nobody_else(open_gateway: Any) -> None:
    api = await open_gateway(cors_origins=("https://shop.example",))
    asked = {"access-control-request-method": "POST"}
    preflight = await api("OPTIONS", "/v1/orders", headers={"origin": "https://shop.example", **asked})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    answer = await api("GET", "/v1/nothing", headers={"origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["vary"] == "Origin"
    for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
        answer = await api("OPTIONS", "/v1/orders", headers={"origin": origin, **asked})
        assert "access-control-allow-origin" not in answer.headers


async def test_the_gateway_is_not_ready_before_the_set_up_is_done(
    open_gateway: Any, tmp_path: Path, eventually: Any
) -> None:
    file = tmp_path / "ready"
    api = await open_gateway(ready_file=file)

    async def waits_for_that_alone() -> bool:
        waiting = await api("GET", "/readyz")
        assert waiting.status_code == 503
        return bool(waiting.json()["reasons"] == {"setup": "the installation is being set up"})

    await eventually(waits_for_that_alone)
    assert (await api("GET", "/livez")).status_code == 200
    file.touch()
    assert (await api("GET", "/readyz")).status_code == 200
    assert (await api("GET", "/health")).json() == {"status": "ok"}


async def test_the_documentation_comes_from_here_alone(api: Any) -> None:
    page = (await api("GET", "/docs")).text
    assets = [part.split('"')[0] for mark in ('src="', 'href="') for part in page.split(mark)[1:]]
    assert sorted(assets) == ["docs/docs.css", "docs/docs.js", "docs/docs.svg", "openapi.json"]
    for path in ("docs", *assets):
        answer = await api("GET", f"/{path}")
        assert answer.status_code == 200
        for scheme in ("http://", "https://", 'src="//', "url(//", '"//'):
            assert scheme not in answer.text.replace(SVG_NAMESPACE, "").replace(EXAMPLE_APP, "").replace(
                "http://app.example", ""
            ), path
    assert (await api("GET", "/docs/../settings.py")).status_code == 404
    assert (await api("GET", "/docs/docs.html")).status_code == 404


async def test_metrics_name_routes_by_their_template(api: Any) -> None:
    await api("GET", f"/v1/orders/{uuid4()}")
    text = (await api("GET", "/metrics")).text
    assert 'route="/api/v1/orders/{order_id}"' in text
    assert "orderhub_gateway_jwks_refreshes_total" in text


async def test_tokens_that_are_none_are_refused(api: Any) -> None:
    good = await api.token("customer")
    head, claims, signature = good.split(".")
    forged = [
        "x", "a.b.c", f"{head}.{claims}.", f"{head}.{claims}", f"{head}.{claims}.{signature[::-1]}",
        f"eyJhbGciOiJub25lIn0.{claims}.", f"{head}.eyJyb2xlcyI6WyJvcGVyYXRvciJdfQ.{signature}", "x" * 5000,
        "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vIn0." + claims + "." + signature,
    ]  # fmt: skip
    for token in forged:
        answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        assert_problem(answer, 401, "auth.token_refused")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for scheme in (f"Basic {good}", good, "Bearer"):
        answer = await api("GET", "/v1/auth/me", headers={"authorization": scheme})
        assert_problem(answer, 401, "auth.token_refused")
    assert (await api("GET", "/v1/auth/me", headers={"authorization": f"bearer {good}"})).status_code == 200


async def test_a_token_ends_when_it_says_though_it_was_known(open_gateway: Any) -> None:
    clock = ManualClock()
    api = await open_gateway(clock=clock)
    headers = await api.as_("customer")
    assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 200
    clock.advance(timedelta(minutes=15, seconds=1))
    answer = await api("GET", "/v1/auth/me", headers=headers)
    assert_problem(answer, 401, "auth.token_refused")
    expired = await api("POST", "/v1/auth/login", json={"email": "a@b.cd", "password": "x"}, headers=headers)
    assert_problem(expired, 401, "auth.wrong_credentials")  # the expired token was not looked at


async def test_a_token_of_another_installation_is_refused(open_gateway: Any) -> None:
    api = await open_gateway(audience="somebody-else")
    answer = await api("GET", "/v1/auth/me", headers=await api.as_("customer"))
    assert_problem(answer, 401, "auth.token_refused")


async def test_register_login_refresh_logout_as_a_client_does(api: Any) -> None:
    user = {"email": "Grace@Example.org", "password": "a long password"}
    registered = await api("POST", "/v1/auth/register", json={**user, "name": "Grace"})
    assert (registered.status_code, registered.content) == (202, b"")
    login = await api("POST", "/v1/auth/login", json=user)
    assert login.headers["cache-control"] == "no-store"
    pair = login.json()
    assert pair["user"] == {
        "id": pair["user"]["id"], "email": "grace@example.org", "name": "Grace", "roles": ["customer"],
        "email_verified": False, "vendor_id": None, "issuer": None,
    }  # fmt: skip
    assert set(pair) == {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "refresh_expires_in",
        "user",
    }
    rotated = await api("POST", "/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    me = await api(
        "GET", "/v1/auth/me", headers={"authorization": f"Bearer {rotated.json()['access_token']}"}
    )
    assert me.json().items() >= pair["user"].items()
    end = {"refresh_token": rotated.json()["refresh_token"]}
    assert (await api("POST", "/v1/auth/logout", json=end)).status_code == 204
    assert_problem(await api("POST", "/v1/auth/refresh", json=end), 401, "auth.refresh_refused")


async def test_operators_make_and_list_users(api: Any) -> None:
    headers = await api.as_("operator", **{"idempotency-key": "one"})
    body = {"email": "c@example.org", "password": "a long password", "roles": ["courier"]}
    first, second = [await api("POST", "/v1/admin/users", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    other = {**body, "email": "d@example.org"}
    answer = await api("POST", "/v1/admin/users", json=other, headers=headers)
    assert_problem(answer, 422, "idempotency.key_reused")
    listed = await api("GET", "/v1/admin/users?role=courier", headers=headers)
    assert listed.json() == {"items": [first.json()], "next_cursor": None}
    assert_problem(
        await api("GET", "/v1/admin/users?cursor=nonsense", headers=headers),
        400,
        "cursor.malformed",
        "/query/cursor",
    )
