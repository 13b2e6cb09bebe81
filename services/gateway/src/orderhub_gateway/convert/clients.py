"""Relying parties."""

from __future__ import annotations

import msgspec
from orderhub_contracts.auth.v1 import oidc_pb2 as pb

from orderhub_gateway.schemas.clients import OAuthClient, RegisterClient


def to_settings(body: RegisterClient) -> pb.ClientSettings:
    return pb.ClientSettings(
        name=body.name,
        redirect_uris=body.redirect_uris,
        post_logout_redirect_uris=body.post_logout_redirect_uris,
        backchannel_logout_uri=body.backchannel_logout_uri,
        grant_types=body.grant_types,
        token_endpoint_auth_method=body.token_endpoint_auth_method,
        scopes=body.scopes,
        jwks=msgspec.json.encode(body.jwks).decode() if body.jwks is not None else "",
        id_token_signed_response_alg=body.id_token_signed_response_alg,
        require_pkce=body.require_pkce,
        first_party=body.first_party,
        roles=body.roles,
        vendor_id=str(body.vendor_id or ""),
    )


def client(message: pb.RegisteredClient) -> OAuthClient:
    given = message.settings
    return OAuthClient(
        client_id=message.id,
        client_secret=message.secret or None,
        name=given.name,
        redirect_uris=list(given.redirect_uris),
        post_logout_redirect_uris=list(given.post_logout_redirect_uris),
        backchannel_logout_uri=given.backchannel_logout_uri,
        grant_types=list(given.grant_types),
        token_endpoint_auth_method=given.token_endpoint_auth_method,
        scopes=list(given.scopes),
        jwks=msgspec.json.decode(given.jwks) if given.jwks else None,
        id_token_signed_response_alg=given.id_token_signed_response_alg,
        require_pkce=given.require_pkce,
        first_party=given.first_party,
        roles=list(given.roles),
        vendor_id=given.vendor_id or None,
        disabled=message.disabled,
        created_at=message.created_at,
        updated_at=message.updated_at,
    )
