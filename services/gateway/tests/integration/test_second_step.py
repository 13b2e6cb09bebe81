"""Second factors over HTTP: what a login answers that is not over, and what the gateway adds."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pyotp
from scenes import next_code

PASSWORD = "a password for tests"


class Person:
    """A customer with a second factor, the tokens it had before, and its app."""

    def __init__(
        self, email: str, mine: dict[str, str], app: pyotp.TOTP, recovery: list[str], used: str
    ) -> None:
        self.email, self.mine, self.app, self.recovery, self.used = email, mine, app, recovery, used


async def a_person(api: Any) -> Person:
    user = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    made = {**user, "roles": ["customer"]}
    await api("POST", "/v1/admin/users", json=made, headers=await api.as_("operator"))
    pair = await api("POST", "/v1/auth/login", json=user)
    mine = {"authorization": f"Bearer {pair.json()['access_token']}"}
    enrolled = await api("POST", "/v1/auth/mfa/totp/enroll", json={}, headers=mine)
    assert enrolled.headers["cache-control"] == "no-store"
    app = pyotp.parse_uri(enrolled.json()["otpauth_uri"])
    assert app.secret == enrolled.json()["secret"]
    used = app.now()
    confirmed = await api("POST", "/v1/auth/mfa/totp/confirm", json={"code": used}, headers=mine)
    assert (confirmed.status_code, confirmed.headers["cache-control"]) == (200, "no-store")
    return Person(user["email"], mine, app, confirmed.json()["recovery_codes"], used)


async def login(api: Any, email: str, password: str = PASSWORD) -> httpx.Response:
    answer: httpx.Response = await api("POST", "/v1/auth/login", json={"email": email, "password": password})
    return answer


async def test_a_login_with_a_second_factor_answers_a_problem_that_leads_to_the_second_step(api: Any) -> None:
    person = await a_person(api)
    asked = await login(api, person.email)
    assert asked.status_code == 401
    assert asked.headers["content-type"] == "application/problem+json"
    assert asked.headers["cache-control"] == "no-store"
    problem = asked.json()
    assert problem["code"] == "auth.mfa_required"
    assert problem["type"] == "urn:orderhub:problem:auth.mfa_required"
    assert set(problem) == {
        "type", "title", "status", "detail", "code", "trace_id", "errors", "mfa_token"
    }  # fmt: skip
    body = {"mfa_token": problem["mfa_token"], "code": next_code(person.app)}
    # A token that is over must not keep anybody from logging in.
    headers = {"authorization": "Bearer over", "user-agent": "Laptop/1"}
    answer = await api("POST", "/v1/auth/mfa/verify", json=body, headers=headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert set(answer.json()) == {
        "access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in", "user"
    }  # fmt: skip
    mine = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await api("GET", "/v1/auth/me", headers=mine)).json()["mfa_enabled"] is True
    sessions = (await api("GET", "/v1/auth/sessions", headers=mine)).json()["items"]
    [current] = [session for session in sessions if session["current"]]
    assert (current["address"], current["user_agent"]) == ("127.0.0.1", "Laptop/1")


async def test_who_does_not_know_the_password_does_not_learn_of_the_second_factor(api: Any) -> None:
    person = await a_person(api)
    varying = ("date", "x-request-id", "ratelimit", "traceparent", "content-length")
    answers = [
        await login(api, email, "a wrong password") for email in (person.email, f"{uuid4().hex}@example.org")
    ]
    told = [
        (
            answer.status_code,
            {**answer.json(), "trace_id": ""},
            {name: value for name, value in answer.headers.items() if name not in varying},
        )
        for answer in answers
    ]
    assert told[0] == told[1]
    assert "mfa_token" not in told[0][1]


async def test_recovery_codes_are_counted_and_never_shown_again(api: Any) -> None:
    person = await a_person(api)
    token = (await login(api, person.email)).json()["mfa_token"]
    body = {"mfa_token": token, "code": person.recovery[0]}
    assert (await api("POST", "/v1/auth/mfa/verify", json=body)).status_code == 200
    left = await api("GET", "/v1/auth/mfa/recovery-codes", headers=person.mine)
    assert left.json() == {"left": 9}
    again = await api("POST", "/v1/auth/mfa/verify", json=body)
    assert (again.status_code, again.json()["code"]) == (401, "auth.mfa_token_refused")


async def test_a_wrong_code_names_its_field_and_the_wait_after_many_is_in_retry_after(api: Any) -> None:
    person = await a_person(api)
    token = (await login(api, person.email)).json()["mfa_token"]
    for _ in range(5):
        wrong = await api("POST", "/v1/auth/mfa/verify", json={"mfa_token": token, "code": "not one"})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/code")
    over = await api("POST", "/v1/auth/mfa/verify", json={"mfa_token": token, "code": "not one"})
    assert (over.status_code, over.json()["code"]) == (401, "auth.mfa_token_refused")
    token = (await login(api, person.email)).json()["mfa_token"]
    for _ in range(5):
        await api("POST", "/v1/auth/mfa/verify", json={"mfa_token": token, "code": person.used})
    token = (await login(api, person.email)).json()["mfa_token"]
    body = {"mfa_token": token, "code": next_code(person.app)}
    waits = await api("POST", "/v1/auth/mfa/verify", json=body)
    assert (waits.status_code, waits.json()["code"]) == (429, "auth.codes_too_fast")
    assert 50 <= int(waits.headers["retry-after"]) <= 60


async def test_an_operator_sees_who_has_a_second_factor_and_switches_it_off(api: Any) -> None:
    person, operator = await a_person(api), await api.as_("operator")
    [user] = [
        user
        for user in (await api("GET", "/v1/admin/users", headers=operator)).json()["items"]
        if user["email"] == person.email
    ]
    assert user["mfa_enabled"]
    path = f"/v1/admin/users/{user['id']}"
    assert (await api("DELETE", f"{path}/mfa", headers=operator)).status_code == 204
    assert (await api("GET", path, headers=operator)).json()["mfa_enabled"] is False
    assert (await login(api, person.email)).status_code == 200


async def test_guesses_at_the_current_password_are_slow_here_too(open_gateway: Any) -> None:
    api = await open_gateway(login_rate_per_account=0.01, login_burst_per_account=4)
    person = await a_person(api)
    guess = {"current_password": "a guess", "code": "000000"}
    answers = [
        await api("POST", f"/v1/auth/mfa/{path}", json=guess, headers=person.mine)
        for path in ("totp/disable", "recovery-codes", "totp/disable", "recovery-codes")
    ]
    assert answers[0].json()["errors"][0]["pointer"] == "/current_password"
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_what_a_body_may_not_have_is_named(api: Any) -> None:
    mine = await api.as_("customer")
    for path, body, pointer in (
        ("verify", {"code": "000000"}, "/mfa_token"),
        ("verify", {"mfa_token": "ohm_x", "code": "000000", "user_id": "x"}, "/user_id"),
        ("totp/enroll", {"secret": "JBSWY3DPEHPK3PXP"}, "/secret"),
        ("totp/confirm", {"code": ""}, "/code"),
        ("totp/confirm", {"code": 123456}, "/code"),
        ("totp/disable", {}, "/code"),
        ("recovery-codes", {"code": "x" * 41}, "/code"),
    ):
        answer = await api("POST", f"/v1/auth/mfa/{path}", json=body, headers=mine)
        assert answer.status_code == 400, (path, body)
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text


async def test_the_document_says_what_a_login_may_answer(api: Any) -> None:
    document = (await api("GET", "/openapi.json")).json()
    responses = document["paths"]["/api/v1/auth/login"]["post"]["responses"]
    shapes = responses["401"]["content"]["application/problem+json"]["schema"]["anyOf"]
    assert [shape["$ref"].rpartition("/")[2] for shape in shapes] == ["MfaRequired", "Problem"]
    required = document["components"]["schemas"]["MfaRequired"]["required"]
    assert "mfa_token" in required
    assert set(document["components"]["schemas"]["Problem"]["required"]) < set(required)
