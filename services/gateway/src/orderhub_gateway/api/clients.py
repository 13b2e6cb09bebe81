"""`admin/clients`: relying parties of the OpenID Provider, for operators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from orderhub_contracts.auth.v1 import oidc_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, change, page, page_request, peers_of
from orderhub_gateway.convert import clients as convert
from orderhub_gateway.responses import Json, Raw
from orderhub_gateway.schemas.clients import OAuthClient, RegisterClient, ReplaceClient
from orderhub_gateway.schemas.common import Page

NO_STORE = (b"cache-control", b"no-store")


@post(
    "/admin/clients", dto=JsonBody[RegisterClient], return_dto=None, operation_id="registerClient",
    status_code=201,
)  # fmt: skip
async def register_client(request: HttpRequest, data: JSONBody[RegisterClient]) -> Response[OAuthClient]:
    """Register a relying party. Its secret is in this answer and nowhere else; a repeated request does not show it again."""
    parties = peers_of(request).relying_parties
    message = pb.CreateClientRequest(settings=convert.to_settings(data))
    made, headers = await change(request, parties, parties.stub.CreateClient, message, data)
    return Json(convert.client(made), 201, [*headers, NO_STORE])


@get("/admin/clients", operation_id="listClients")
async def list_clients(
    request: HttpRequest, limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[OAuthClient]]:
    """All relying parties."""
    parties = peers_of(request).relying_parties
    message = pb.ListClientsRequest(page=page_request(limit, cursor))
    return Json(page(await parties(parties.stub.ListClients, message), convert.client))


@get("/admin/clients/{client_id:uuid}", operation_id="getClient")
async def get_client(request: HttpRequest, client_id: FromPath[UUID]) -> Response[OAuthClient]:
    """One relying party."""
    parties = peers_of(request).relying_parties
    found = await parties(parties.stub.GetClient, pb.GetClientRequest(id=str(client_id)))
    return Json(convert.client(found))


@put(
    "/admin/clients/{client_id:uuid}", dto=JsonBody[ReplaceClient], return_dto=None, operation_id="replaceClient"
)  # fmt: skip
async def replace_client(
    request: HttpRequest, client_id: FromPath[UUID], data: JSONBody[ReplaceClient]
) -> Response[OAuthClient]:
    """Replace what is registered. A client that now needs a secret and had none gets one."""
    parties = peers_of(request).relying_parties
    message = pb.UpdateClientRequest(
        id=str(client_id), settings=convert.to_settings(data), disabled=data.disabled
    )
    changed = await parties(parties.stub.UpdateClient, message)
    return Json(convert.client(changed), 200, [NO_STORE])


@delete("/admin/clients/{client_id:uuid}", operation_id="deleteClient", status_code=204)
async def delete_client(request: HttpRequest, client_id: FromPath[UUID]) -> Response[None]:
    """Remove a relying party. Everything that it was issued ends, and what people allowed it is forgotten."""
    parties = peers_of(request).relying_parties
    await parties(parties.stub.DeleteClient, pb.GetClientRequest(id=str(client_id)))
    return Raw(204, b"", [])


@post("/admin/clients/{client_id:uuid}/secret", operation_id="renewClientSecret", status_code=200)
async def renew_secret(request: HttpRequest, client_id: FromPath[UUID]) -> Response[OAuthClient]:
    """Make a new secret. The old one is worth nothing from now on."""
    parties = peers_of(request).relying_parties
    renewed = await parties(parties.stub.RenewSecret, pb.GetClientRequest(id=str(client_id)))
    return Json(convert.client(renewed), 200, [NO_STORE])


ROUTES: list[Any] = [register_client, list_clients, get_client, replace_client, delete_client, renew_secret]
