"""Examples of second factors."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import COURIER, NOTHING, TOKENS, Example, problem

PASSWORD: Final = "a password for tests"
CODE: Final = "492039"
RECOVERY_CODES: Final = {"recovery_codes": ["k3vq-2mzd-u7aw-x5tn", "b6ry-hq4e-n2ls-o7cf"]}
WRONG_CODE: Final = problem(
    400, "Bad Request", "auth.wrong_code", "/code: is wrong, or was used already",
    {"pointer": "/code", "code": "wrong", "detail": "is wrong, or was used already"},
)  # fmt: skip
NOT_ENABLED: Final = problem(409, "Conflict", "auth.mfa_not_enabled", "this user has no second factor")
MFA: Final[dict[str, tuple[Example, ...]]] = {
    "verifySecondFactor": (
        Example(
            "code", "With a code of the app", "anybody", 200, TOKENS,
            {"mfa_token": "ohm_c2VjcmV0", "code": CODE},
        ),
        Example(
            "refused", "Used, too late, or too many wrong codes: log in again", "anybody", 401,
            problem(
                401, "Unauthorized", "auth.mfa_token_refused", "this login is not open any more: log in again"
            ),
            {"mfa_token": "ohm_unknown", "code": "000000"},
        ),
    ),
    "enrollTotp": (
        Example(
            "enroll", "A secret for the app", "courier", 200,
            {
                "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                "otpauth_uri": "otpauth://totp/OrderHub:ada%40example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
                "&issuer=OrderHub",
            },
            {"current_password": PASSWORD},
        ),
    ),
    "confirmTotp": (
        Example("confirm", "With a first code of the app", "courier", 200, RECOVERY_CODES, {"code": CODE}),
        Example("refused", "Wrong, or used already", "courier", 400, WRONG_CODE, {"code": "no code"}),
    ),
    "disableTotp": (
        Example(
            "disable", "With a code of the app", "courier", 204, None,
            {"current_password": PASSWORD, "code": CODE},
        ),
        Example(
            "refused", "There is none", "customer", 409, NOT_ENABLED,
            {"current_password": PASSWORD, "code": "000000"},
        ),
    ),
    "renewRecoveryCodes": (
        Example(
            "renew", "New ones", "courier", 200, RECOVERY_CODES, {"current_password": PASSWORD, "code": CODE}
        ),
        Example(
            "refused", "Wrong, or used already", "courier", 400, WRONG_CODE,
            {"current_password": PASSWORD, "code": "k3vq-2mzd-u7aw-x5tn"},
        ),
    ),
    "countRecoveryCodes": (Example("left", "How many are left", "customer", 200, {"left": 0}),),
    "switchOffMfa": (
        Example("lost", "Who has lost everything", "operator", 204, None, parameters={"user_id": COURIER}),
        Example(
            "unknown", "Nobody", "operator", 404,
            problem(404, "Not Found", "auth.user_not_found", "there is no such user"),
            parameters={"user_id": NOTHING},
        ),
    ),
}  # fmt: skip
MFA_REQUIRED: Final = Example(
    "second-factor", "The password is right, and a second factor is needed", "anybody", 401,
    {
        **problem(
            401, "Unauthorized", "auth.mfa_required",
            "a second factor is needed: send a code to auth/mfa/verify",
        ),
        "mfa_token": "ohm_c2VjcmV0",
    },
    {"email": "grace@example.org", "password": PASSWORD},
)  # fmt: skip
"""Of the login."""
