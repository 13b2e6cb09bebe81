"""Examples of logging in."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.mfa import MFA_REQUIRED
from orderhub_gateway.examples.things import (
    A_ME,
    A_SESSION,
    NOTHING,
    SESSION,
    TOKENS,
    Example,
    page,
    problem,
)

CODE_REFUSED: Final = problem(
    400, "Bad Request", "auth.code_refused", "/code: is not valid any more: ask for a new one",
    {"pointer": "/code", "code": "refused", "detail": "is not valid any more: ask for a new one"},
)  # fmt: skip
AUTH: Final[dict[str, tuple[Example, ...]]] = {
    "register": (
        Example(
            "customer", "Become a customer", "anybody", 202, None,
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
        MFA_REQUIRED,
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
    "logoutAll": (Example("logout-all", "Log out everywhere", "customer", 204, None),),
    "listSessions": (Example("sessions", "Where one is logged in", "customer", 200, page(A_SESSION)),),
    "revokeSession": (
        Example("revoke", "End one", "customer", 204, None, parameters={"session_id": SESSION}),
        Example(
            "unknown", "Another user's, ended already, or none", "customer", 404,
            problem(404, "Not Found", "auth.session_not_found", "there is no such session"),
            parameters={"session_id": NOTHING},
        ),
    ),
    "changePassword": (
        Example(
            "change", "Change it", "vendor", 204, None,
            {"current_password": "a password for tests", "new_password": "another long password"},
        ),
        Example(
            "refused", "The current password is another one", "courier", 400,
            problem(
                400, "Bad Request", "auth.wrong_password",
                "/current_password: is not the password of this user",
                {"pointer": "/current_password", "code": "wrong", "detail": "is not the password of this user"},
            ),
            {"current_password": "a wrong password", "new_password": "another long password"},
        ),
    ),
    "requestPasswordReset": (
        Example("request", "Ask for a code by mail", "anybody", 202, None, {"email": "ada@example.org"}),
    ),
    "confirmPasswordReset": (
        Example(
            "refused", "Unknown, used, or too late", "anybody", 400,
            CODE_REFUSED,
            {"code": "c2VjcmV0", "new_password": "another long password"},
        ),
    ),
    "requestEmailVerification": (Example("request", "Ask for a mail", "customer", 202, None),),
    "confirmEmailVerification": (
        Example(
            "refused", "Unknown, used, or too late", "anybody", 400,
            CODE_REFUSED,
            {"code": "c2VjcmV0"},
        ),
    ),
    "getMe": (Example("me", "Who am I", "customer", 200, A_ME),),
    "updateMe": (
        Example(
            "address", "Where I live", "customer", 200, A_ME,
            {
                "phone": "+49 30 1234567",
                "address": {
                    "street_address": "Invalidenstr. 1", "locality": "Berlin", "postal_code": "10115", "country": "DE"
                },
            },
        ),
        Example(
            "refused", "Roles are given by operators", "customer", 400,
            problem(
                400, "Bad Request", "request.unknown", "/roles: is not a field of this object",
                {"pointer": "/roles", "code": "unknown", "detail": "is not a field of this object"},
            ),
            {"roles": ["operator"]},
        ),
    ),
}  # fmt: skip
