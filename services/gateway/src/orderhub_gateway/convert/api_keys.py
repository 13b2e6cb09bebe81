"""API keys."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from orderhub_chassis.clock import rfc3339
from orderhub_contracts.auth.v1 import api_keys_pb2 as pb

from orderhub_gateway.schemas.api_keys import ApiKey, CreateApiKey, CreatedApiKey, UpdateApiKey


def to_create(body: CreateApiKey) -> pb.CreateApiKeyRequest:
    return pb.CreateApiKeyRequest(
        vendor_id="" if body.vendor_id is UNSET else str(body.vendor_id),
        name=body.name,
        scopes=body.scopes,
        expires_at="" if body.expires_at is UNSET else rfc3339(body.expires_at),
    )


def to_update(id: str, body: UpdateApiKey) -> pb.UpdateApiKeyRequest:
    message = pb.UpdateApiKeyRequest(id=id)
    if body.name is not UNSET:
        message.name = body.name
    if body.expires_at is not UNSET:
        message.expires_at = rfc3339(body.expires_at)
    return message


def api_key(message: pb.ApiKey) -> ApiKey:
    return ApiKey(
        id=message.id,
        vendor_id=message.vendor_id,
        name=message.name,
        prefix=message.prefix,
        scopes=list(message.scopes),
        created_by=message.created_by,
        created_at=message.created_at,
        expires_at=message.expires_at,
        last_used_at=message.last_used_at or None,
        revoked_at=message.revoked_at or None,
    )


def created(message: pb.CreateApiKeyResponse) -> CreatedApiKey:
    return CreatedApiKey(**msgspec.structs.asdict(api_key(message.api_key)), key=message.key)
