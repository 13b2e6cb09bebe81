"""Registered relying parties over gRPC, for operators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from orderhub_chassis import idempotency
from orderhub_chassis.calls import current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Transaction
from orderhub_contracts.auth.v1 import oidc_pb2 as pb
from orderhub_contracts.auth.v1 import oidc_pb2_grpc

from orderhub_auth.provider import store
from orderhub_auth.provider.errors import ClientNotFound
from orderhub_auth.provider.registration import Registration
from orderhub_auth.provider.relying_parties import Registered, RelyingParties

REPLAYED = ("x-idempotency-replayed", "true")
SCOPE = "clients"


class ClientServicer(oidc_pb2_grpc.ClientServiceServicer):  # type: ignore[misc]
    def __init__(self, parties: RelyingParties, cursors: Cursors) -> None:
        self._uses = parties
        self._cursors = cursors

    async def CreateClient(self, request: pb.CreateClientRequest, context: Any) -> pb.RegisteredClient:
        _need_operator()
        call, given = current_call.get(), _registration(request.settings)
        made: list[Registered] = []

        async def work(tx: Transaction) -> pb.RegisteredClient:
            made[:] = [await self._uses.register(tx, given)]
            # What is kept for a repeated request has no secret in it: that was shown once.
            return encoded(Registered(made[0].party))

        answer, replayed = await idempotency.once(
            self._uses.db, call, "auth.CreateClient", pb.RegisteredClient, work
        )
        if replayed:
            await context.send_initial_metadata((REPLAYED,))
            return answer
        return encoded(made[0])

    async def GetClient(self, request: pb.GetClientRequest, context: Any) -> pb.RegisteredClient:
        _need_operator()
        return encoded(Registered(await self._uses.one(_id(request.id))))

    async def ListClients(self, request: pb.ListClientsRequest, context: Any) -> pb.ListClientsResponse:
        _need_operator()
        limit, cursor = page_limit(request.page.limit), request.page.cursor
        before = UUID(self._cursors.decode(SCOPE, cursor)[0]) if cursor else None
        found = await store.list_clients(self._uses.db, before=before, limit=limit + 1)
        following = self._cursors.encode(SCOPE, [str(found[limit - 1].id)]) if len(found) > limit else ""
        items = [encoded(Registered(party)) for party in found[:limit]]
        return pb.ListClientsResponse(items=items, next_cursor=following)

    async def UpdateClient(self, request: pb.UpdateClientRequest, context: Any) -> pb.RegisteredClient:
        _need_operator()
        given = _registration(request.settings) if request.HasField("settings") else None
        disabled = request.disabled if request.HasField("disabled") else None
        return encoded(await self._uses.change(_id(request.id), given, disabled))

    async def DeleteClient(self, request: pb.GetClientRequest, context: Any) -> pb.DeleteClientResponse:
        _need_operator()
        await self._uses.delete(_id(request.id))
        return pb.DeleteClientResponse()

    async def RenewSecret(self, request: pb.GetClientRequest, context: Any) -> pb.RegisteredClient:
        _need_operator()
        return encoded(await self._uses.renew_secret(_id(request.id)))


def _need_operator() -> None:
    current_call.get().caller.need("operator", "service")


def _id(text: str) -> UUID:
    """Raises ClientNotFound."""
    try:
        return UUID(text)
    except ValueError:
        raise ClientNotFound from None


def _registration(given: pb.ClientSettings) -> Registration:
    return Registration(
        given.name, tuple(given.redirect_uris), tuple(given.post_logout_redirect_uris), tuple(given.grant_types),
        given.token_endpoint_auth_method, tuple(given.scopes), given.jwks, given.backchannel_logout_uri,
        given.id_token_signed_response_alg, given.require_pkce, given.first_party, tuple(given.roles), given.vendor_id,
    )  # fmt: skip


def encoded(registered: Registered) -> pb.RegisteredClient:
    party = registered.party
    settings = pb.ClientSettings(
        name=party.name, redirect_uris=party.redirect_uris,
        post_logout_redirect_uris=party.post_logout_redirect_uris, grant_types=party.grant_types,
        token_endpoint_auth_method=party.auth_method, scopes=party.scopes, jwks=party.jwks,
        backchannel_logout_uri=party.backchannel_logout_uri, id_token_signed_response_alg=party.id_token_alg,
        require_pkce=party.require_pkce, first_party=party.first_party, roles=party.roles,
        vendor_id=str(party.vendor_id or ""),
    )  # fmt: skip
    return pb.RegisteredClient(
        id=str(party.id), settings=settings, disabled=party.disabled, created_at=rfc3339(party.created_at),
        updated_at=rfc3339(party.updated_at), secret=registered.secret,
    )  # fmt: skip
