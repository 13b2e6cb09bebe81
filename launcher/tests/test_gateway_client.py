"""How the command line speaks to the gateway: users by name, tokens kept while they last, problems on one line."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from orderhub import control, gateway, home
from orderhub.exits import Exit, Refused
from orderhub.gateway import Answer, Credentials


@pytest.fixture
def place(tmp_path: Path) -> home.Home:
    found = home.at(tmp_path)
    users = {
        "customer": {"email": "c@x.example", "password": "p1"},
        "vendors": {"Blue Lagoon Aquatics": {"email": "v@x.example", "password": "p2"}},
    }
    home.write_private(found.demo, {"gateway": "http://127.0.0.1:1", "users": users})
    return found


@pytest.mark.parametrize(
    ("user", "email"),
    [
        ("customer", "c@x.example"),
        ("c@x.example", "c@x.example"),
        ("blue-lagoon-aquatics", "v@x.example"),
        ("Blue Lagoon Aquatics", "v@x.example"),
    ],
)
def test_a_user_is_found_by_name_slug_or_address(user: str, email: str, place: home.Home) -> None:
    assert gateway.credentials(place, user).email == email


def test_somebody_else_needs_a_password(place: home.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(gateway.PASSWORD, raising=False)
    with pytest.raises(Refused, match=gateway.PASSWORD):
        gateway.credentials(place, "me@x.example")
    monkeypatch.setenv(gateway.PASSWORD, "mine")
    assert gateway.credentials(place, "me@x.example") == Credentials("me@x.example", "mine")


def test_an_unknown_name_is_answered_with_the_known_ones(place: home.Home) -> None:
    with pytest.raises(Refused, match="blue-lagoon-aquatics") as refused:
        gateway.credentials(place, "nobody")
    assert refused.value.code == Exit.USAGE


def token(seconds: float, name: str = "t") -> str:
    claims = (
        urlsafe_b64encode(json.dumps({"exp": time.time() + seconds, "name": name}).encode())
        .decode()
        .rstrip("=")
    )
    return f"head.{claims}.signature"


def test_a_token_is_kept_while_it_lasts_and_for_one_gateway(
    place: home.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins: list[str] = []

    def login(api: gateway.Gateway, who: Credentials) -> gateway.Gateway:
        logins.append(who.email)
        return gateway.Gateway(api.url, token(60.0 if len(logins) == 1 else 10.0, str(len(logins))))

    addresses = {"gateway": "http://127.0.0.1:1"}
    monkeypatch.setattr(control, "required", lambda _: home.Runtime(1, "", addresses=addresses))
    monkeypatch.setattr(gateway.Gateway, "login", login)
    first = gateway.as_user(place, "customer").token
    assert gateway.as_user(place, "customer").token == first
    assert len(logins) == 1
    addresses["gateway"] = "http://127.0.0.1:2"
    short = gateway.as_user(place, "customer").token
    assert short != first
    gateway.as_user(place, "customer")
    assert len(logins) == 3, "a token that is about to end is not used again"


@pytest.mark.parametrize(
    ("method", "headers", "repeated"),
    [("GET", {}, True), ("POST", {"idempotency-key": "k"}, True), ("POST", {}, False)],
)
def test_a_503_is_asked_again_where_that_does_no_harm(
    method: str, headers: dict[str, str], repeated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Mapping[str, str]] = []

    def exchange(
        api: gateway.Gateway, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> Answer:
        asked.append(headers)
        return Answer(503 if len(asked) < 3 else 200, {}, {"code": "unavailable", "title": "away"})

    monkeypatch.setattr(gateway.Gateway, "_exchange", exchange)
    monkeypatch.setattr(gateway, "AGAIN_SECONDS", 0)
    api = gateway.Gateway("http://127.0.0.1:1")
    if repeated:
        assert api.request(method, "orders", None, headers).status == 200
        assert asked == [headers] * 3
        return
    with pytest.raises(Refused, match="unavailable"):
        api.request(method, "orders", None, headers)
    assert len(asked) == 1


def test_a_503_that_lasts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.Gateway, "_exchange", lambda *_: Answer(503, {}, {"code": "unavailable"}))
    monkeypatch.setattr(gateway, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(gateway, "AGAIN_SECONDS", 0)
    with pytest.raises(Refused, match="unavailable"):
        gateway.Gateway("http://127.0.0.1:1").get("orders")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"detail": "no", "code": "x.y"}, "no (x.y)"),
        (
            {"title": "Bad", "code": "c", "errors": [{"pointer": "/a", "detail": "is odd"}]},
            "Bad (c): /a: is odd",
        ),
        ("<html>", "the gateway answered 502"),
        (None, "the gateway answered 502"),
    ],
)
def test_a_problem_becomes_one_line(body: object, line: str) -> None:
    assert gateway._problem(Answer(502, {}, body)) == line


SECOND_STEP = {
    "auth/login": Answer(401, {}, {"code": "auth.mfa_required", "mfa_token": "ohm_t"}),
    "auth/mfa/verify": Answer(200, {}, {"access_token": "a token"}),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What a login with a second factor sends."""
    sent: list[tuple[str, Any]] = []

    def exchange(api: gateway.Gateway, method: str, path: str, body: Any, headers: object) -> Answer:
        sent.append((path.removeprefix("/api/v1/"), body))
        return SECOND_STEP[sent[-1][0]]

    monkeypatch.setattr(gateway.Gateway, "_exchange", exchange)
    return sent


def test_a_login_with_a_second_factor_takes_its_code_from_the_environment(
    asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(gateway.MFA_CODE, "492039")
    api = gateway.Gateway("http://127.0.0.1:1").login(Credentials("me@x.example", "mine"))
    assert api.token == "a token"
    assert asked[-1] == ("auth/mfa/verify", {"mfa_token": "ohm_t", "code": "492039"})


def test_a_login_with_a_second_factor_and_no_code_says_where_to_put_it(
    asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(gateway.MFA_CODE, raising=False)
    with pytest.raises(Refused, match=gateway.MFA_CODE) as refused:
        gateway.Gateway("http://127.0.0.1:1").login(Credentials("me@x.example", "mine"))
    assert refused.value.code == Exit.USAGE
    assert len(asked) == 1


def test_nobody_at_home_is_one_line() -> None:
    with pytest.raises(Refused, match="does not answer"):
        gateway.Gateway("http://127.0.0.1:9").get("orders")
