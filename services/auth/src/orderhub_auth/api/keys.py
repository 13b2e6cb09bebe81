"""The signing keys over gRPC, for operators."""

from __future__ import annotations

from typing import Any

from orderhub_chassis import idempotency
from orderhub_chassis.calls import current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.db import Transaction
from orderhub_chassis.errors import invalid_field
from orderhub_contracts.auth.v1 import keys_pb2 as pb
from orderhub_contracts.auth.v1 import keys_pb2_grpc

from orderhub_auth import schedule
from orderhub_auth.api.accounts import REPLAYED
from orderhub_auth.keys import ALGORITHMS, StoredKey
from orderhub_auth.rotation import Rotation
from orderhub_auth.store import token_keys


class KeyServicer(keys_pb2_grpc.KeyServiceServicer):  # type: ignore[misc]
    def __init__(self, rotation: Rotation) -> None:
        self._rotation = rotation

    async def ListSigningKeys(
        self, request: pb.ListSigningKeysRequest, context: Any
    ) -> pb.ListSigningKeysResponse:
        current_call.get().caller.need("operator", "service")
        await self._rotation.ring.reload()
        return pb.ListSigningKeysResponse(items=self._shown(self._rotation.ring.all()))

    async def RotateSigningKeys(
        self, request: pb.RotateSigningKeysRequest, context: Any
    ) -> pb.RotateSigningKeysResponse:
        call = current_call.get()
        call.caller.need("operator", "service")
        if request.algorithm and request.algorithm not in ALGORITHMS:
            raise invalid_field("/algorithm", "enum", f"must be one of {', '.join(ALGORITHMS)}")
        made = await self._rotation.prepared([request.algorithm] if request.algorithm else ALGORITHMS)

        async def work(tx: Transaction) -> pb.RotateSigningKeysResponse:
            for key in made:
                rotate = self._rotation.take_over if request.now else self._rotation.follow
                await rotate(tx, key, by=call.caller.user_id)
            return pb.RotateSigningKeysResponse(items=self._shown(await token_keys.load_keys(tx)))

        db = self._rotation.db
        answer, replayed = await idempotency.once(
            db, call, "auth.RotateSigningKeys", pb.RotateSigningKeysResponse, work
        )
        await self._rotation.changed()
        if replayed:
            await context.send_initial_metadata((REPLAYED,))
        return answer

    def _shown(self, keys: list[StoredKey] | tuple[StoredKey, ...]) -> list[pb.SigningKey]:
        """Those of the published set, by algorithm, the next or newest first."""
        times, now = self._rotation.ring.times, self._rotation.db.clock.now()
        found = []
        for key in sorted(schedule.published(keys, times, now), key=lambda key: key.alg):
            standing = schedule.standing(key, keys, times, now)
            until = [rfc3339(at) if at else "" for at in (standing.signs_until, standing.published_until)]
            found.append(
                pb.SigningKey(
                    kid=key.kid, algorithm=key.alg, state=standing.state, created_at=rfc3339(key.created_at),
                    signs_from=rfc3339(key.signs_from), signs_until=until[0], published_until=until[1],
                )
            )  # fmt: skip
        return found
