"""`api-keys`: keys with which a vendor's own programs call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from orderhub_contracts.auth.v1 import api_keys_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, IdFilter, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, id_text, page, page_request, peers_of
from orderhub_gateway.convert import api_keys as convert
from orderhub_gateway.responses import NO_STORE, Json, Raw
from orderhub_gateway.schemas.api_keys import ApiKey, CreateApiKey, CreatedApiKey, UpdateApiKey
from orderhub_gateway.schemas.common import Page


@post("/api-keys", dto=JsonBody[CreateApiKey], return_dto=None, operation_id="createApiKey", status_code=201)
async def create_api_key(request: HttpRequest, data: JSONBody[CreateApiKey]) -> Response[CreatedApiKey]:
    """Make a key for the vendor's own programs. The answer has the key; nothing and nobody shows it again."""
    keys = peers_of(request).api_keys
    made = await keys(keys.stub.CreateApiKey, convert.to_create(data))
    return Json(convert.created(made), 201, [NO_STORE])


@get("/api-keys", operation_id="listApiKeys")
async def list_api_keys(
    request: HttpRequest, vendor_id: IdFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[ApiKey]]:
    """The vendor's keys, those that are over among them; for operators everybody's, or one vendor's."""
    keys = peers_of(request).api_keys
    message = pb.ListApiKeysRequest(vendor_id=id_text(vendor_id), page=page_request(limit, cursor))
    return Json(page(await keys(keys.stub.ListApiKeys, message), convert.api_key), 200, [NO_STORE])


@get("/api-keys/{key_id:uuid}", operation_id="getApiKey")
async def get_api_key(request: HttpRequest, key_id: FromPath[UUID]) -> Response[ApiKey]:
    """A key without what is secret of it."""
    keys = peers_of(request).api_keys
    found = await keys(keys.stub.GetApiKey, pb.GetApiKeyRequest(id=str(key_id)))
    return Json(convert.api_key(found), 200, [NO_STORE])


@patch("/api-keys/{key_id:uuid}", dto=JsonBody[UpdateApiKey], return_dto=None, operation_id="updateApiKey")
async def update_api_key(
    request: HttpRequest, key_id: FromPath[UUID], data: JSONBody[UpdateApiKey]
) -> Response[ApiKey]:
    """Another name, or another end."""
    keys = peers_of(request).api_keys
    changed = await keys(keys.stub.UpdateApiKey, convert.to_update(str(key_id), data))
    return Json(convert.api_key(changed), 200, [NO_STORE])


@delete("/api-keys/{key_id:uuid}", operation_id="revokeApiKey", status_code=204)
async def revoke_api_key(request: HttpRequest, key_id: FromPath[UUID]) -> Response[None]:
    """Revoke it for good: within a second it is refused everywhere."""
    keys = peers_of(request).api_keys
    await keys(keys.stub.RevokeApiKey, pb.RevokeApiKeyRequest(id=str(key_id)))
    return Raw(204, b"", [])


ROUTES: list[Any] = [create_api_key, list_api_keys, get_api_key, update_api_key, revoke_api_key]
