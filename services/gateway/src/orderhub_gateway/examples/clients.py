"""Examples of relying parties."""

from __future__ import annotations

from typing import Any, Final

from orderhub_gateway.examples.things import AT, CLIENT, NOTHING, Example, page, problem

BODY: Final[dict[str, Any]] = {"name": "Aquarist app", "redirect_uris": ["https://app.example/callback"]}
A_CLIENT: Final[dict[str, Any]] = {
    "client_id": CLIENT, "client_secret": None, **BODY, "post_logout_redirect_uris": [], "backchannel_logout_uri": "",
    "grant_types": ["authorization_code"], "token_endpoint_auth_method": "client_secret_basic", "scopes": ["openid"],
    "jwks": None, "id_token_signed_response_alg": "RS256", "require_pkce": False, "first_party": False, "roles": [],
    "vendor_id": None, "disabled": False, "created_at": AT, "updated_at": AT,
}  # fmt: skip
WITH_SECRET: Final = {**A_CLIENT, "client_secret": "ohs_c2VjcmV0"}
AT_CLIENT: Final = {"client_id": CLIENT}

CLIENTS: Final[dict[str, tuple[Example, ...]]] = {
    "registerClient": (
        Example("web", "An application with a server", "operator", 201, WITH_SECRET, BODY),
        Example(
            "refused", "Plain http is for this machine alone", "operator", 400,
            problem(
                400, "Bad Request", "uri", "/redirect_uris/0: must be https; http is for 127.0.0.1, [::1] and localhost",
                {
                    "pointer": "/redirect_uris/0", "code": "uri",
                    "detail": "must be https; http is for 127.0.0.1, [::1] and localhost",
                },
            ),
            {**BODY, "redirect_uris": ["http://app.example/callback"]},
        ),
    ),
    "listClients": (Example("all", "All of them", "operator", 200, page(A_CLIENT)),),
    "getClient": (
        Example("one", "One of them", "operator", 200, A_CLIENT, None, AT_CLIENT),
        Example(
            "unknown", "None", "operator", 404,
            problem(404, "Not Found", "auth.client_not_found", "there is no such client"), None,
            {"client_id": NOTHING},
        ),
    ),
    "replaceClient": (
        Example(
            "disable", "Disable it: whatever it was issued ends", "operator", 200, {**A_CLIENT, "disabled": True},
            {**BODY, "disabled": True}, AT_CLIENT,
        ),
    ),
    "renewClientSecret": (
        Example("new", "A new secret, the old one is worth nothing", "operator", 200, WITH_SECRET, None, AT_CLIENT),
    ),
    "deleteClient": (Example("gone", "Remove it", "operator", 204, None, None, AT_CLIENT),),
}  # fmt: skip
