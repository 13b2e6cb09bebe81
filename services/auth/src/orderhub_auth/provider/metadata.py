"""What the provider says of itself (OpenID Connect Discovery 1.0, section 3; RFC 8414)."""

from __future__ import annotations

import json

from orderhub_auth.provider import model
from orderhub_auth.provider.authentication import ASSERTION_ALGS
from orderhub_auth.provider.registration import ID_TOKEN_ALGS


def metadata(issuer: str) -> str:
    """As JSON."""
    at = f"{issuer}/oauth2"
    claims = sorted({name for names in model.CLAIMS_OF.values() for name in names})
    confidential = [method for method in model.AUTH_METHODS if method != "none"]
    return json.dumps(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "userinfo_endpoint": f"{at}/userinfo",
            "jwks_uri": f"{at}/jwks",
            "revocation_endpoint": f"{at}/revoke",
            "introspection_endpoint": f"{at}/introspect",
            "end_session_endpoint": f"{at}/logout",
            "device_authorization_endpoint": f"{at}/device",
            "scopes_supported": list(model.SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": list(model.GRANTS),
            "acr_values_supported": list(model.ACRS),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ID_TOKEN_ALGS),
            "token_endpoint_auth_methods_supported": list(model.AUTH_METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
            "revocation_endpoint_auth_methods_supported": list(model.AUTH_METHODS),
            "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
            "introspection_endpoint_auth_methods_supported": confidential,
            "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
            "display_values_supported": ["page", "popup", "touch", "wap"],
            "claim_types_supported": ["normal"],
            "claims_supported": [
                "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", *claims,
            ],
            "ui_locales_supported": ["en"],
            "claims_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "require_request_uri_registration": False,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
        }
    )  # fmt: skip
