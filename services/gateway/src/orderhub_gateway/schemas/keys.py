"""Shapes of `admin/keys`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from orderhub_gateway.schemas.common import Input

Algorithm = Literal["ES256", "RS256"]


class SigningKey(msgspec.Struct, kw_only=True):
    """A published key. `signs_until` and `published_until` are known once the next key is there."""

    kid: str
    algorithm: Algorithm
    state: Literal["prepublished", "signing", "retired"]
    created_at: str
    signs_from: str
    signs_until: str | None
    published_until: str | None


class SigningKeys(msgspec.Struct, kw_only=True):
    """All that are published."""

    items: list[SigningKey]


class RotateKeys(Input):
    """Without `algorithm` the keys of both. `now`: the keys may be known to others, their tokens count no more."""

    algorithm: Algorithm | None = None
    now: Annotated[
        bool, Meta(description="Take the keys back at once, with every token that they signed.")
    ] = False
