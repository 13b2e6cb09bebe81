"""Wrong passwords over HTTP: 429 with an honest Retry-After, by the address that the gateway saw."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

PASSWORD = "a password for tests"


async def test_who_guesses_is_told_how_long_to_wait_and_others_log_in(open_gateway: Any) -> None:
    api = await open_gateway(auth={"wrong_passwords_per_place": 3}, trusted_proxies="127.0.0.1")
    user = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    assert (await api("POST", "/v1/auth/register", json=user)).status_code == 202

    async def login(password: str, address: str) -> Any:
        headers = {"x-forwarded-for": address}
        return await api("POST", "/v1/auth/login", json={**user, "password": password}, headers=headers)

    answers = [await login("a guess", "203.0.113.7") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    held = answers[-1]
    assert (held.json()["code"], held.headers["retry-after"]) == ("auth.guessed_too_often", "1")
    assert held.headers["content-type"] == "application/problem+json"
    assert (await login(PASSWORD, "203.0.113.7")).status_code == 429
    assert (await login(PASSWORD, "198.51.100.1")).status_code == 200
