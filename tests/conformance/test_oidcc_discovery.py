"""The Config OP plan."""

from __future__ import annotations

from oidcc.conditions import server
from oidcc.op import DISCOVERY, Op

OAUTH = "/.well-known/oauth-authorization-server"


def test_oidcc_discovery_endpoint_verification(op: Op) -> None:
    """Discovery says what the specifications want, and what is there.

    - status 200, application/json, at the well-known place under the issuer; the issuer is the one that was asked
    - the issuer is a URL without query or fragment; every endpoint and URI is absolute, with the issuer's scheme
    - response_types_supported has code; response_modes_supported has query; grant_types_supported has authorization_code
    - subject_types_supported are those of the standard; id_token_signing_alg_values_supported has RS256, and not none
    - token_endpoint_auth_methods_supported has client_secret_basic and _post
    - scopes_supported has openid, and only what a scope may be; claims_supported has the claims of the scopes
    - claims_parameter_supported, request_parameter_supported and request_uri_parameter_supported are told
    - code_challenge_methods_supported is an array; without plain
    - the JWKS has public keys alone, complete, each with a kid of its own, and one for every algorithm that is named
    - (ours) the RFC 8414 document says the same; logout by the back channel, with sid, and iss in answers are told
    """
    found = op.fetch(f"{op.issuer}{DISCOVERY}")
    server.document_is_json(found)
    told = found.json()
    server.issuer_is_where_it_was_found(told, op.provider.url)
    server.endpoints_are_urls(told, op.provider.url)
    server.values_include(told, "response_types_supported", "code")
    server.values_include(told, "response_modes_supported", "query")
    server.values_include(told, "grant_types_supported", "authorization_code", "refresh_token")
    server.values_include(told, "subject_types_supported")
    assert set(told["subject_types_supported"]) <= {"public", "pairwise"}
    assert told["subject_types_supported"]
    server.values_include(told, "id_token_signing_alg_values_supported", "RS256")
    server.algorithms_are_named(told, "id_token_signing_alg_values_supported")
    assert "none" not in told["id_token_signing_alg_values_supported"]
    methods = ("client_secret_basic", "client_secret_post")
    server.values_include(told, "token_endpoint_auth_methods_supported", *methods)
    server.values_include(told, "scopes_supported", "openid", "profile", "email", "address", "phone")
    server.scopes_are_readable(told)
    server.values_include(told, "claims_supported", "sub", "name", "email", "address", "phone_number")
    server.flag_is(told, "claims_parameter_supported", True)
    server.flag_is(told, "request_parameter_supported", False)
    server.flag_is(told, "request_uri_parameter_supported", False)
    server.values_include(told, "code_challenge_methods_supported", "S256")
    assert "plain" not in told["code_challenge_methods_supported"]
    server.keys_are_sound(op.keys)
    server.keys_have(op.keys, *told["id_token_signing_alg_values_supported"])
    assert op.fetch(f"{op.issuer}{OAUTH}").json() == told
    for flag in (
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "authorization_response_iss_parameter_supported",
    ):
        server.flag_is(told, flag, True)
