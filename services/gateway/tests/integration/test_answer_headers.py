"""The headers that every answer has, whatever it is: for browsers, for caches, for clients of routes on their way out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_gateway.retirements import RETIRED, Retirement

NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
ANSWERS: list[tuple[str, str, str, str, int]] = [
    ("probe", "GET", "/livez", "anybody", 200),
    ("metrics", "GET", "/metrics", "anybody", 200),
    ("document", "GET", "/openapi.json", "anybody", 200),
    ("no-such-route", "GET", "/nothing", "anybody", 404),
    ("no-such-method", "DELETE", "/livez", "anybody", 405),
    ("mine", "GET", "/v1/auth/me", "customer", 200),
    ("mine-head", "HEAD", "/v1/auth/me", "customer", 200),
    ("no-token", "GET", "/v1/auth/me", "anybody", 401),
    ("forbidden", "GET", "/v1/admin/users", "customer", 403),
    ("malformed", "POST", "/v1/auth/login", "anybody", 400),
    ("nobody-behind", "GET", "/v1/orders", "customer", 503),
]


@pytest.mark.parametrize(
    ("method", "path", "role", "status"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_every_answer_tells_browsers_to_guess_and_load_nothing(
    api: Any, method: str, path: str, role: str, status: int
) -> None:
    answer = await api(method, path, headers=await api.as_(role))
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == NO_PAGE
    assert "strict-transport-security" not in answer.headers, "this installation is http"
    kept_back = answer.headers.get("cache-control") == "no-store"
    assert kept_back is (role != "anybody")
    assert "server" not in answer.headers
    for name in ("x-content-type-options", "content-security-policy", "cache-control"):
        assert len(answer.headers.get_list(name)) <= 1


async def test_a_refused_token_a_key_and_a_cookie_make_an_answer_private_too(api: Any) -> None:
    for header in ({"authorization": "Bearer x"}, {"x-api-key": "x"}, {"cookie": "a=b"}):
        answer = await api("GET", f"/v1/products/{uuid4()}", headers=header)
        assert answer.headers["cache-control"] == "no-store", header
    assert "cache-control" not in (await api("GET", f"/v1/products/{uuid4()}")).headers


async def test_what_a_route_says_itself_stands_alone(api: Any) -> None:
    page = await api("GET", "/docs")
    (policy,) = page.headers.get_list("content-security-policy")
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    user = {"email": f"{uuid4().hex}@example.org", "password": "a long password"}
    registered = await api("POST", "/v1/auth/register", json=user, headers={"cookie": "a=b"})
    assert registered.headers.get_list("cache-control") == ["no-store"]


async def test_an_installation_on_https_is_to_be_asked_over_https_alone(open_gateway: Any) -> None:
    api = await open_gateway(public_url="https://shop.example")
    for path in ("/livez", "/nothing", "/v1/auth/me"):
        answer = await api("GET", path)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


ORIGINS: list[tuple[str, bool]] = [
    ("https://shop.example", True),
    ("https://SHOP.example", False),
    ("http://shop.example", False),
    ("https://shop.example:444", False),
    ("https://shop.example.evil.example", False),
    ("https://evil-shop.example", False),
    ("https://shop.example/", False),
    ("null", False),
    ("*", False),
    ("https://shop.example https://evil.example", False),
]


@pytest.mark.parametrize(("origin", "known"), ORIGINS, ids=[str(number) for number in range(len(ORIGINS))])
async def test_cors_is_for_the_origins_of_the_list_and_never_for_credentials(
    open_gateway: Any, origin: str, known: bool
) -> None:
    api = await open_gateway(cors_origins=("https://shop.example",))
    asked = {"origin": origin, "access-control-request-method": "POST"}
    for answer in (
        await api("OPTIONS", "/v1/orders", headers=asked),
        await api("GET", "/v1/products", headers={"origin": origin}),
        await api("GET", "/v1/auth/me", headers={"origin": origin, "authorization": "Bearer x"}),
    ):
        assert ("access-control-allow-origin" in answer.headers) is known
        assert answer.headers.get("access-control-allow-origin", origin) == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["vary"] == "Origin"


DOUBLED = (
    "authorization", "content-type", "idempotency-key", "if-match", "x-request-id", "traceparent", "x-api-key",
)  # fmt: skip


@pytest.mark.parametrize("name", DOUBLED)
async def test_a_header_that_may_stand_once_stands_once(api: Any, name: str) -> None:
    token = f"Bearer {await api.token('customer')}"
    value = token if name == "authorization" else "x"
    for second in (value, "other"):
        for path in ("/v1/auth/me", "/livez"):
            answer = await api("GET", path, headers=[(name, value), (name.title(), second)])
            assert (answer.status_code, answer.json()["code"]) == (400, "request.header_doubled"), answer.text
            assert name in answer.json()["detail"]


async def test_headers_that_may_stand_twice_do(api: Any) -> None:
    headers = [
        ("accept", "text/html"),
        ("accept", "*/*"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
    ]
    assert (await api("GET", "/v1/auth/me", headers=headers)).status_code == 401


@pytest.fixture
def retired(monkeypatch: pytest.MonkeyPatch) -> Retirement:
    """GET auth/me, for as long as the test runs."""
    entry = Retirement(
        since=datetime(2026, 3, 1, tzinfo=UTC),
        sunset=datetime(2026, 9, 1, 12, 30, tzinfo=UTC),
        link="https://shop.example/changes#me",
    )
    monkeypatch.setitem(RETIRED, ("/api/v1/auth/me", "GET"), entry)
    return entry


async def test_a_route_on_its_way_out_says_so_in_headers_and_in_the_document(
    api: Any, retired: Retirement
) -> None:
    for role, status in (("customer", 200), ("anybody", 401)):
        answer = await api("GET", "/v1/auth/me", headers=await api.as_(role))
        assert answer.status_code == status
        assert answer.headers["deprecation"] == "@1772323200"
        assert answer.headers["sunset"] == "Tue, 01 Sep 2026 12:30:00 GMT"
        assert answer.headers.get_list("link") == [
            '<https://shop.example/changes#me>; rel="deprecation"; type="text/html"',
            '<https://shop.example/changes#me>; rel="sunset"; type="text/html"',
        ]
    others = await api("PATCH", "/v1/auth/me", headers=await api.as_("customer"), json={})
    assert "deprecation" not in others.headers
    paths = (await api("GET", "/openapi.json")).json()["paths"]
    assert {
        (path, method) for path, item in paths.items() for method in item if item[method].get("deprecated")
    } == {("/api/v1/auth/me", "get")}


async def test_a_route_that_nobody_announced_an_end_for_has_no_sunset(
    api: Any, retired: Retirement, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(retired, sunset=None)
    monkeypatch.setitem(RETIRED, ("/api/v1/auth/me", "GET"), without)
    answer = await api("GET", "/v1/auth/me", headers=await api.as_("customer"))
    assert "sunset" not in answer.headers
    assert len(answer.headers.get_list("link")) == 1


@pytest.mark.parametrize(
    ("refuses", "days", "status"),
    [(True, -1, 200), (True, 1, 410), (False, 1, 200)],
    ids=["before", "after", "after-and-served"],
)
async def test_after_its_sunset_a_route_is_gone_where_the_setting_says_so(
    open_gateway: Any, retired: Retirement, refuses: bool, days: int, status: int
) -> None:
    assert retired.sunset
    clock = ManualClock(retired.sunset + timedelta(days=days))
    api = await open_gateway(clock=clock, sunset_refuses=refuses)
    answer = await api("GET", "/v1/auth/me", headers=await api.as_("customer"))
    assert answer.status_code == status
    assert answer.headers["sunset"]
    if status == 410:
        assert answer.json()["code"] == "request.gone"


def test_no_route_ends_before_it_is_deprecated() -> None:
    with pytest.raises(ValueError, match="RFC 9745"):
        Retirement(datetime(2026, 3, 1, tzinfo=UTC), "https://shop.example", datetime(2026, 2, 1, tzinfo=UTC))


def test_nothing_is_on_its_way_out_at_present() -> None:
    assert RETIRED == {}
