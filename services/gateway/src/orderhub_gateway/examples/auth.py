"""Examples of logging in."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import A_USER, TOKENS, Example, problem

AUTH: Final[dict[str, tuple[Example, ...]]] = {
    "register": (
        Example(
            "customer", "Become a customer", "anybody", 201, TOKENS,
            {"email": "grace@example.org", "password": "a long password", "name": "Grace"},
        ),
        Example(
            "refused-password", "The password is too short", "anybody", 400,
            problem(
                400, "Bad Request", "request.length", "/password: expected str of length >= 10",
                {"pointer": "/password", "code": "length", "detail": "expected str of length >= 10"},
            ),
            {"email": "grace@example.org", "password": "short"},
        ),
    ),
    "login": (
        Example(
            "login", "Log in", "anybody", 200, TOKENS,
            {"email": "ada@example.org", "password": "a password for tests"},
        ),
        Example(
            "refused", "Wrong password, or unknown address", "anybody", 401,
            problem(
                401, "Unauthorized", "auth.wrong_credentials", "the e-mail address or the password is wrong"
            ),
            {"email": "nobody@example.org", "password": "a wrong password"},
        ),
    ),
    "refresh": (
        Example("refresh", "Exchange the token", "anybody", 200, TOKENS, {"refresh_token": "ohr_c2VjcmV0"}),
        Example(
            "refused", "Spent, revoked or unknown", "anybody", 401,
            problem(
                401, "Unauthorized", "auth.refresh_refused",
                "the refresh token is not valid any more: log in again",
            ),
            {"refresh_token": "ohr_unknown"},
        ),
    ),
    "logout": (Example("logout", "Log out", "anybody", 204, None, {"refresh_token": "ohr_c2VjcmV0"}),),
    "getMe": (Example("me", "Who am I", "customer", 200, A_USER),),
}  # fmt: skip
