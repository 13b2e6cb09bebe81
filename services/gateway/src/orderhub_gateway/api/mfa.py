"""`auth/mfa/…`: second factors, and the second step of a login."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from orderhub_contracts.auth.v1 import mfa_pb2 as pb

from orderhub_gateway.api.auth import client_of, limit_account
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, context_of, peers_of
from orderhub_gateway.convert import auth as convert
from orderhub_gateway.responses import NO_STORE, Json, Raw
from orderhub_gateway.schemas.auth import TokenPair
from orderhub_gateway.schemas.mfa import (
    ConfirmTotp,
    EnrollTotp,
    RecoveryCodes,
    RecoveryCodesLeft,
    TotpEnrolment,
    VerifyFactor,
    WithFactor,
)


@post(
    "/auth/mfa/verify", dto=JsonBody[VerifyFactor], return_dto=None,
    operation_id="verifySecondFactor", status_code=200,
)  # fmt: skip
async def verify(request: HttpRequest, data: JSONBody[VerifyFactor]) -> Response[TokenPair]:
    """Finish a login that asked for a second factor. A login takes five wrong codes; then it begins again."""
    mfa = peers_of(request).mfa
    message = pb.VerifySecondFactorRequest(
        mfa_token=data.mfa_token, code=data.code, client=client_of(request)
    )
    pair = await mfa(mfa.stub.VerifySecondFactor, message)
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post(
    "/auth/mfa/totp/enroll", dto=JsonBody[EnrollTotp], return_dto=None, operation_id="enrollTotp", status_code=200
)  # fmt: skip
async def enroll(request: HttpRequest, data: JSONBody[EnrollTotp]) -> Response[TotpEnrolment]:
    """Get a secret for an authenticator app. Nobody is asked for a code before a first one has confirmed it."""
    await _limit(request)
    mfa = peers_of(request).mfa
    made = await mfa(mfa.stub.EnrollTotp, pb.EnrollTotpRequest(current_password=data.current_password))
    return Json(TotpEnrolment(secret=made.secret, otpauth_uri=made.otpauth_uri), 200, [NO_STORE])


@post(
    "/auth/mfa/totp/confirm", dto=JsonBody[ConfirmTotp], return_dto=None, operation_id="confirmTotp", status_code=200
)  # fmt: skip
async def confirm(request: HttpRequest, data: JSONBody[ConfirmTotp]) -> Response[RecoveryCodes]:
    """Switch the second factor on by a first code of the app. All other sessions of the user end."""
    mfa = peers_of(request).mfa
    made = await mfa(mfa.stub.ConfirmTotp, pb.ConfirmTotpRequest(code=data.code))
    return Json(RecoveryCodes(recovery_codes=list(made.codes)), 200, [NO_STORE])


@post(
    "/auth/mfa/totp/disable", dto=JsonBody[WithFactor], return_dto=None, operation_id="disableTotp", status_code=204
)  # fmt: skip
async def disable(request: HttpRequest, data: JSONBody[WithFactor]) -> Response[None]:
    """Switch the second factor off; its recovery codes are void."""
    await _limit(request)
    mfa = peers_of(request).mfa
    message = pb.DisableTotpRequest(current_password=data.current_password, code=data.code)
    await mfa(mfa.stub.DisableTotp, message)
    return Raw(204, b"", [])


@post(
    "/auth/mfa/recovery-codes", dto=JsonBody[WithFactor], return_dto=None,
    operation_id="renewRecoveryCodes", status_code=200,
)  # fmt: skip
async def renew_codes(request: HttpRequest, data: JSONBody[WithFactor]) -> Response[RecoveryCodes]:
    """Get new recovery codes; the old ones are void."""
    await _limit(request)
    mfa = peers_of(request).mfa
    message = pb.RenewRecoveryCodesRequest(current_password=data.current_password, code=data.code)
    made = await mfa(mfa.stub.RenewRecoveryCodes, message)
    return Json(RecoveryCodes(recovery_codes=list(made.codes)), 200, [NO_STORE])


@get("/auth/mfa/recovery-codes", operation_id="countRecoveryCodes")
async def count_codes(request: HttpRequest) -> Response[RecoveryCodesLeft]:
    """How many recovery codes are left; the codes themselves nobody can show."""
    mfa = peers_of(request).mfa
    found = await mfa(mfa.stub.CountRecoveryCodes, pb.CountRecoveryCodesRequest())
    return Json(RecoveryCodesLeft(left=found.left), 200, [NO_STORE])


@delete("/admin/users/{user_id:uuid}/mfa", operation_id="switchOffMfa", status_code=204)
async def switch_off(request: HttpRequest, user_id: FromPath[UUID]) -> Response[None]:
    """Switch the second factor of a user off who has lost the app and the recovery codes; the user is told."""
    mfa = peers_of(request).mfa
    await mfa(mfa.stub.SwitchOffMfa, pb.SwitchOffMfaRequest(user_id=str(user_id)))
    return Raw(204, b"", [])


async def _limit(request: HttpRequest) -> None:
    """Guesses at the current password of an account are slow here too."""
    await limit_account(request, context_of(request).call.caller.user_id)


ROUTES: list[Any] = [verify, enroll, confirm, disable, renew_codes, count_codes, switch_off]
