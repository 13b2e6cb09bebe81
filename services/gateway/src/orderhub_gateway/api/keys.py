"""`admin/keys`: the keys that sign tokens, for operators; and their public parts, for everybody."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import JSONBody
from orderhub_contracts.auth.v1 import keys_pb2 as pb

from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, change, parts_of, peers_of
from orderhub_gateway.convert import keys as convert
from orderhub_gateway.responses import Json, Raw
from orderhub_gateway.schemas.keys import RotateKeys, SigningKeys

JWK_SET = b"application/jwk-set+json"
"""RFC 7517, section 8.5.2."""


@get("/admin/keys", operation_id="listSigningKeys")
async def list_keys(request: HttpRequest) -> Response[SigningKeys]:
    """The published signing keys, and which of them signs."""
    peer = peers_of(request).keys
    answer = await peer(peer.stub.ListSigningKeys, pb.ListSigningKeysRequest())
    return Json(convert.signing_keys(answer))


@post(
    "/admin/keys/rotate",
    dto=JsonBody[RotateKeys], return_dto=None, operation_id="rotateSigningKeys", status_code=200,
)  # fmt: skip
async def rotate_keys(
    request: HttpRequest, data: JSONBody[RotateKeys | None] = None
) -> Response[SigningKeys]:
    """Publish the next signing keys, which sign once everybody can know them.

    With `now`, for keys that may be known to others: fresh ones sign at once, all others leave the published set, and
    every token that they signed is refused.
    """
    peer, data = peers_of(request).keys, data or RotateKeys()
    message = pb.RotateSigningKeysRequest(algorithm=data.algorithm or "", now=data.now)
    answer, headers = await change(request, peer, peer.stub.RotateSigningKeys, message, data)
    return Json(convert.signing_keys(answer), 200, headers)


@get("/oauth2/jwks", include_in_schema=False)
async def jwks(request: HttpRequest) -> Response[Any]:
    """The JSON Web Key Set of this installation (OpenID Connect Discovery 1.0, section 3, `jwks_uri`)."""
    found = await parts_of(request).published.current()
    cached = b"public, max-age=%d" % found.max_age
    return Raw(200, found.text.encode(), [(b"cache-control", cached)], JWK_SET)


ROUTES: list[Any] = [list_keys, rotate_keys]
ROOT: list[Any] = [jwks]
