"""Second factors over gRPC."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from orderhub_chassis.calls import current_call
from orderhub_contracts.auth.v1 import auth_pb2, mfa_pb2_grpc
from orderhub_contracts.auth.v1 import mfa_pb2 as pb

from orderhub_auth import errors, queries
from orderhub_auth.api.accounts import counted, own, seen_client, token_pair, uuid_or_none
from orderhub_auth.mfa import SecondFactors
from orderhub_auth.step_up import StepUp


class MfaServicer(mfa_pb2_grpc.MfaServiceServicer):  # type: ignore[misc]
    def __init__(self, factors: SecondFactors, step_up: StepUp) -> None:
        self._factors = factors
        self._step_up = step_up

    async def EnrollTotp(self, request: pb.EnrollTotpRequest, context: Any) -> pb.EnrollTotpResponse:
        made = await self._factors.enroll(*own(), request.current_password)
        return pb.EnrollTotpResponse(secret=made.secret, otpauth_uri=made.uri)

    async def ConfirmTotp(self, request: pb.ConfirmTotpRequest, context: Any) -> pb.RecoveryCodes:
        return pb.RecoveryCodes(codes=await self._factors.confirm(*own(), request.code))

    async def DisableTotp(self, request: pb.DisableTotpRequest, context: Any) -> pb.DisableTotpResponse:
        await self._factors.disable(*own(), request.current_password, request.code)
        return pb.DisableTotpResponse()

    async def RenewRecoveryCodes(
        self, request: pb.RenewRecoveryCodesRequest, context: Any
    ) -> pb.RecoveryCodes:
        codes = await self._factors.renew_codes(*own(), request.current_password, request.code)
        return pb.RecoveryCodes(codes=codes)

    async def CountRecoveryCodes(
        self, request: pb.CountRecoveryCodesRequest, context: Any
    ) -> pb.CountRecoveryCodesResponse:
        user_id, _ = own()
        return pb.CountRecoveryCodesResponse(
            left=await queries.recovery_codes_left(self._factors.db, user_id)
        )

    async def VerifySecondFactor(
        self, request: pb.VerifySecondFactorRequest, context: Any
    ) -> auth_pb2.TokenPair:
        verified = self._step_up.verify(request.mfa_token, request.code, seen_client(request.client))
        return token_pair(await counted("mfa", verified), self._step_up.issuing)

    async def SwitchOffMfa(self, request: pb.SwitchOffMfaRequest, context: Any) -> pb.SwitchOffMfaResponse:
        caller = current_call.get().caller
        caller.need("operator")
        user_id = uuid_or_none(request.user_id)
        if user_id is None:
            raise errors.UserNotFound
        await self._factors.switch_off(user_id, by=UUID(caller.user_id))
        return pb.SwitchOffMfaResponse()
