"""Shapes of `admin/clients`: relying parties of the OpenID Provider."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from orderhub_gateway.schemas.auth import Role
from orderhub_gateway.schemas.common import Input

Uri = Annotated[str, Meta(min_length=1, max_length=2000)]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
ClientScope = Literal["openid", "profile", "email", "address", "phone", "offline_access", "api"]
IdTokenAlg = Literal["RS256", "ES256"]


class RegisterClient(Input):
    """`first_party` shows no consent page. `roles` are what it may do as itself, by client_credentials."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    redirect_uris: Annotated[list[Uri], Meta(max_length=20)] = msgspec.field(default_factory=list)
    post_logout_redirect_uris: Annotated[list[Uri], Meta(max_length=20)] = msgspec.field(default_factory=list)
    backchannel_logout_uri: Annotated[str, Meta(max_length=2000)] = ""
    grant_types: Annotated[list[GrantType], Meta(min_length=1, max_length=4)] = msgspec.field(
        default_factory=lambda: ["authorization_code"]
    )
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    scopes: Annotated[list[ClientScope], Meta(min_length=1, max_length=7)] = msgspec.field(
        default_factory=lambda: ["openid"]
    )
    jwks: dict[str, Any] | None = None
    id_token_signed_response_alg: IdTokenAlg = "RS256"
    require_pkce: bool = False
    first_party: bool = False
    roles: Annotated[list[Role], Meta(max_length=4)] = msgspec.field(default_factory=list)
    vendor_id: UUID | None = None


class ReplaceClient(RegisterClient):
    """All of it: what is left out gets its default. A disabled client loses everything that it was issued."""

    disabled: bool = False


class OAuthClient(msgspec.Struct, kw_only=True):
    """`client_secret` is in the answer that makes it, and nowhere else."""

    client_id: str
    client_secret: str | None
    name: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    backchannel_logout_uri: str
    grant_types: list[str]
    token_endpoint_auth_method: str
    scopes: list[str]
    jwks: dict[str, Any] | None
    id_token_signed_response_alg: str
    require_pkce: bool
    first_party: bool
    roles: list[str]
    vendor_id: str | None
    disabled: bool
    created_at: str
    updated_at: str
