"""Signing keys."""

from __future__ import annotations

from typing import Any

from orderhub_contracts.auth.v1 import keys_pb2

from orderhub_gateway.schemas.keys import SigningKey, SigningKeys


def signing_keys(
    message: keys_pb2.ListSigningKeysResponse | keys_pb2.RotateSigningKeysResponse,
) -> SigningKeys:
    return SigningKeys(items=[_key(one) for one in message.items])


def _key(message: Any) -> SigningKey:
    return SigningKey(
        kid=message.kid,
        algorithm=message.algorithm,
        state=message.state,
        created_at=message.created_at,
        signs_from=message.signs_from,
        signs_until=message.signs_until or None,
        published_until=message.published_until or None,
    )
