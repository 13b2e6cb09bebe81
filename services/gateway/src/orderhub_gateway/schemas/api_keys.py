"""Shapes of `api-keys`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orderhub_gateway.schemas.common import Input

KeyName = Annotated[str, Meta(min_length=1, max_length=100)]
Expiry = Annotated[datetime, Meta(tz=True)]
Scope = Literal[
    "vendors:write", "products:write", "stock:write", "animals:write", "orders:read", "orders:write", "payments:read",
    "payments:refund", "deliveries:read", "deliveries:write",
]  # fmt: skip


class CreateApiKey(Input):
    """`vendor_id` is for operators; a vendor's own is its own. Without `expires_at` a key lives as long as any may."""

    name: KeyName
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=20)]
    vendor_id: UUID | UnsetType = UNSET
    expires_at: Expiry | UnsetType = UNSET


class UpdateApiKey(Input):
    """What is left out stays. Scopes stay anyway: make another key, and revoke this one."""

    name: KeyName | UnsetType = UNSET
    expires_at: Expiry | UnsetType = UNSET


class ApiKey(msgspec.Struct, kw_only=True):
    """`prefix` is how the key begins. `last_used_at` is exact to the minute."""

    id: str
    vendor_id: str
    name: str
    prefix: str
    scopes: list[str]
    created_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None
    revoked_at: str | None


class CreatedApiKey(ApiKey, kw_only=True):
    """`key` is shown this once: nobody keeps it."""

    key: str
