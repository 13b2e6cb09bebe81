"""Sessions and passwords over HTTP: what the gateway adds, and how it keeps guesses slow."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

PASSWORD = "a password for tests"


async def registered(api: Any, **headers: str | bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The pair of tokens of a new customer, and the header that goes with it."""
    user = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    assert (await api("POST", "/v1/auth/register", json=user)).status_code == 202
    answer = await api("POST", "/v1/auth/login", json=user, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json(), {"authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_session_shows_the_address_that_the_gateway_saw_and_what_the_client_calls_itself(
    api: Any,
) -> None:
    _, mine = await registered(api, **{"user-agent": b"Laptop/1 (\xe9)", "x-user-agent": "not this"})
    answer = await api("GET", "/v1/auth/sessions", headers=mine)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    [session] = answer.json()["items"]
    assert (session["address"], session["user_agent"], session["current"]) == (
        "127.0.0.1",
        "Laptop/1 (\xe9)",
        True,
    )


async def test_a_session_that_is_ended_refreshes_nothing(api: Any) -> None:
    pair, mine = await registered(api)
    login = {"email": pair["user"]["email"], "password": PASSWORD}
    other = (await api("POST", "/v1/auth/login", json=login)).json()
    [newest, first] = (await api("GET", "/v1/auth/sessions", headers=mine)).json()["items"]
    assert (await api("DELETE", f"/v1/auth/sessions/{newest['id']}", headers=mine)).status_code == 204
    for token, status in ((other["refresh_token"], 401), (pair["refresh_token"], 200)):
        answer = await api("POST", "/v1/auth/refresh", json={"refresh_token": token})
        assert answer.status_code == status, answer.text
    gone = await api("DELETE", f"/v1/auth/sessions/{newest['id']}", headers=mine)
    assert (gone.status_code, gone.json()["code"]) == (404, "auth.session_not_found")
    assert (await api("POST", "/v1/auth/logout-all", headers=mine)).status_code == 204
    answer = await api("POST", "/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    assert answer.status_code == 401
    assert first["current"]


async def test_a_password_is_changed_by_who_knows_it_and_guesses_at_it_are_slow(open_gateway: Any) -> None:
    api = await open_gateway(login_rate_per_account=0.01, login_burst_per_account=3)
    pair, mine = await registered(api)
    right = {"current_password": PASSWORD, "new_password": "another long password"}
    wrong = {**right, "current_password": "a guess"}
    answers = [await api("POST", "/v1/auth/password/change", json=wrong, headers=mine) for _ in range(4)]
    assert answers[0].status_code == 400
    assert answers[0].json()["errors"][0]["pointer"] == "/current_password"
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    email = pair["user"]["email"]
    still = await api("POST", "/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert still.status_code == 200, "guesses at the change lock nobody out of the login"
    _, eve = await registered(api)
    assert (await api("POST", "/v1/auth/password/change", json=right, headers=eve)).status_code == 204


async def test_what_a_change_lacks_is_named(api: Any) -> None:
    _, mine = await registered(api)
    for body, pointer in (
        ({"current_password": PASSWORD}, "new_password"),
        ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
        (
            {"current_password": PASSWORD, "new_password": "another long password", "roles": ["operator"]},
            "roles",
        ),
    ):
        answer = await api("POST", "/v1/auth/password/change", json=body, headers=mine)
        assert answer.status_code == 400
        assert pointer in answer.json()["detail"]


async def test_who_asks_for_a_new_password_does_not_learn_who_is_a_user(api: Any) -> None:
    pair, _ = await registered(api)
    answers = [
        await api("POST", "/v1/auth/password/reset/request", json={"email": email})
        for email in (pair["user"]["email"], f"{uuid4().hex}@example.org", "no address")
    ]
    varying = ("date", "x-request-id", "ratelimit", "traceparent")
    told = [
        (a.status_code, a.content, {n: v for n, v in a.headers.items() if n not in varying}) for a in answers
    ]
    assert told == [told[0]] * 3
    assert told[0][:2] == (202, b"")


async def test_a_stale_token_keeps_nobody_from_a_new_password(api: Any) -> None:
    stale = {"authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"}
    body = {"code": "unknown", "new_password": "another long password"}
    for path, json in (("password/reset/confirm", body), ("email/verify/confirm", {"code": "unknown"})):
        answer = await api("POST", f"/v1/auth/{path}", json=json, headers=stale)
        assert (answer.status_code, answer.json()["code"]) == (400, "auth.code_refused")
