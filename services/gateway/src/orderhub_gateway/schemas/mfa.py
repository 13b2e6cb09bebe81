"""Shapes of `auth/mfa/…`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from orderhub_chassis import problems

from orderhub_gateway.schemas.common import Input

# Six digits of the app, or a recovery code, with whatever spaces and hyphens somebody types.
FactorCode = Annotated[str, Meta(min_length=1, max_length=40)]
CurrentPassword = Annotated[
    str, Meta(max_length=200, description="May be left out within five minutes of the login.")
]


class EnrollTotp(Input):
    current_password: CurrentPassword = ""


class ConfirmTotp(Input):
    code: Annotated[str, Meta(min_length=1, max_length=40, description="Of the app.")]


class WithFactor(Input):
    """`code` is of the app, or a recovery code."""

    code: FactorCode
    current_password: CurrentPassword = ""


class VerifyFactor(Input):
    """`mfa_token` is of the problem that the login answered; `code` of the app, or a recovery code."""

    mfa_token: Annotated[str, Meta(min_length=1, max_length=200)]
    code: FactorCode


class TotpEnrolment(msgspec.Struct, kw_only=True):
    """What goes into the app: as a QR code of `otpauth_uri`, or `secret` by hand."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(msgspec.Struct, kw_only=True):
    """Each takes the place of the app once. They are shown here, and never again."""

    recovery_codes: list[str]


class RecoveryCodesLeft(msgspec.Struct, kw_only=True):
    left: int


class MfaRequired(problems.Problem, frozen=True, kw_only=True):
    """`auth.mfa_required`: the password is right; `mfa_token` and a code go to `auth/mfa/verify` within five minutes."""

    mfa_token: str
