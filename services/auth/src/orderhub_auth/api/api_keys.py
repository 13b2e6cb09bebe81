"""API keys over gRPC."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from orderhub_chassis.calls import current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.errors import invalid_field, uuid_field
from orderhub_contracts.api_keys import Presented
from orderhub_contracts.auth.v1 import api_keys_pb2 as pb
from orderhub_contracts.auth.v1 import api_keys_pb2_grpc

from orderhub_auth import errors, queries
from orderhub_auth.api_keys.model import ApiKey
from orderhub_auth.api_keys.uses import ApiKeys, KeyChange, NewKey

MOST_AT_ONCE = 1000


class ApiKeyServicer(api_keys_pb2_grpc.ApiKeyServiceServicer):  # type: ignore[misc]
    def __init__(self, keys: ApiKeys, cursors: Cursors) -> None:
        self._keys = keys
        self._cursors = cursors

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Any) -> pb.CreateApiKeyResponse:
        """Under no Idempotency-Key: what is kept for a repetition would hold the key."""
        vendor_id = _acting_vendor(request.vendor_id)
        new = NewKey(vendor_id, request.name, request.scopes, request.expires_at)
        made, text = await self._keys.create(new, UUID(current_call.get().caller.user_id))
        return pb.CreateApiKeyResponse(api_key=_encoded(made), key=text)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Any) -> pb.ListApiKeysResponse:
        vendor_id = _whose()
        if vendor_id is None and request.vendor_id:
            vendor_id = uuid_field("/query/vendor_id", request.vendor_id)
        limit, scope = page_limit(request.page.limit), f"api-keys:{vendor_id}"
        before = UUID(self._cursors.decode(scope, request.page.cursor)[0]) if request.page.cursor else None
        found = await queries.list_api_keys(self._keys.db, vendor_id, before=before, limit=limit + 1)
        following = self._cursors.encode(scope, [str(found[limit - 1].id)]) if len(found) > limit else ""
        return pb.ListApiKeysResponse(items=map(_encoded, found[:limit]), next_cursor=following)

    async def GetApiKey(self, request: pb.GetApiKeyRequest, context: Any) -> pb.ApiKey:
        vendor_id = _whose()
        found = await queries.api_key(self._keys.db, _id(request.id))
        if found is None or vendor_id not in (None, found.vendor_id):
            raise errors.ApiKeyNotFound
        return _encoded(found)

    async def UpdateApiKey(self, request: pb.UpdateApiKeyRequest, context: Any) -> pb.ApiKey:
        change = KeyChange(
            request.name if request.HasField("name") else None,
            request.expires_at if request.HasField("expires_at") else None,
        )
        return _encoded(await self._keys.change(_id(request.id), _whose(), change))

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Any) -> pb.RevokeApiKeyResponse:
        await self._keys.revoke(_id(request.id), _whose())
        return pb.RevokeApiKeyResponse()

    async def ResolveApiKeys(
        self, request: pb.ResolveApiKeysRequest, context: Any
    ) -> pb.ResolveApiKeysResponse:
        current_call.get().caller.need("service")
        if len(request.keys) > MOST_AT_ONCE:
            raise invalid_field("/keys", "length", f"must be at most {MOST_AT_ONCE}")
        presented = [Presented(one.public_id, one.key_hash) for one in request.keys]
        return pb.ResolveApiKeysResponse(keys=map(_resolved, await self._keys.resolve(presented)))


def _whose() -> UUID | None:
    """Whose keys the caller may see: those of its vendor; None for an operator, who sees all."""
    caller = current_call.get().caller
    caller.need("vendor", "operator")
    return None if caller.has("operator") else UUID(caller.vendor_id)


def _acting_vendor(asked: str) -> UUID:
    """For whom the caller acts: operators name the vendor, a vendor is itself."""
    own = _whose()
    if own is None:
        return uuid_field("/vendor_id", asked)
    if asked and uuid_field("/vendor_id", asked) != own:
        raise errors.VendorNotFound
    return own


def _id(text: str) -> UUID:
    """Raises ApiKeyNotFound: what is no UUID names nothing."""
    current_call.get().caller.need("vendor", "operator")
    try:
        return UUID(text)
    except ValueError:
        raise errors.ApiKeyNotFound from None


def _encoded(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        id=str(key.id), vendor_id=str(key.vendor_id), name=key.name, prefix=key.prefix, scopes=key.scopes,
        created_by=str(key.created_by), created_at=rfc3339(key.created_at), expires_at=rfc3339(key.expires_at),
        last_used_at=_time(key.last_used_at), revoked_at=_time(key.revoked_at),
    )  # fmt: skip


def _resolved(key: ApiKey | None) -> pb.ResolvedApiKey:
    if key is None:
        return pb.ResolvedApiKey()
    return pb.ResolvedApiKey(
        good=True, id=str(key.id), vendor_id=str(key.vendor_id), scopes=key.scopes,
        expires_at=int(key.expires_at.timestamp()),
    )  # fmt: skip


def _time(at: datetime | None) -> str:
    return rfc3339(at) if at else ""
