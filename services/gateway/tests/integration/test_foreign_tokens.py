"""Tokens of other issuers: which of them count, for whom, and what those may do."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from idp import SLOWLY, at, encoded
from joserfc.jwk import ECKey, RSAKey
from orderhub_gateway.errors import TokenRefused, VendorMissing
from orderhub_gateway.tokens import principal_id

MINUTE = 60


def over(**claims: Any) -> Callable[[Any, int], str]:
    """A token that is good but for these claims; a number counts from now where the claim is a time."""
    times = ("exp", "nbf", "iat")

    def make(idp: Any, now: int) -> str:
        moved = {
            name: now + v if name in times and type(v) is int and v < 10**9 else v
            for name, v in claims.items()
        }
        return idp.token(**moved)

    return make


def head(**header: Any) -> Callable[[Any, int], str]:
    return lambda idp, now: idp.token(head=header)


def with_header(changed: dict[str, Any]) -> Callable[[Any, int], str]:
    """A header that no library would write, with the signature of another."""

    def make(idp: Any, now: int) -> str:
        _, claims, signature = idp.token().split(".")
        kid = idp.keys[-1].thumbprint()
        raw = json.dumps({"alg": "ES256", "typ": "JWT", "kid": kid, **changed}).encode()
        return ".".join([encoded(raw), claims, signature])

    return make


def hmac_with_the_public_key(idp: Any, now: int) -> str:
    """The old trick (RFC 8725, section 2.1): a public key taken for a shared secret."""
    pem = idp.keys[-1].as_pem(private=False)
    unsigned = with_header({"alg": "HS256"})(idp, now).rpartition(".")[0]
    return f"{unsigned}.{encoded(hmac.digest(pem, unsigned.encode(), 'sha256'))}"


def own_key_in_the_header(idp: Any, now: int) -> str:
    stranger = ECKey.generate_key("P-256", private=True)
    header = {"jwk": stranger.as_dict(private=False), "kid": idp.keys[-1].thumbprint()}
    return idp.token(stranger, head=header)


def tampered(idp: Any, now: int) -> str:
    first, _, signature = idp.token().split(".")
    claims = json.dumps(idp.claims(realm_access={"roles": ["staff"]})).encode()
    return ".".join([first, encoded(claims), signature])


GOOD: list[Callable[[Any, int], str]] = [
    over(), over(aud="orderhub"), over(aud=["orderhub"]), over(nbf=0), over(iat=None),
    over(exp=-29), over(nbf=29), over(iat=29), over(exp=1.5e9 * 2),
    head(x5t="abc", something="else"), head(typ="at+jwt"),
    lambda idp, now: idp.token(head={"typ": "application/AT+JWT"}, typ=None),
    lambda idp, now: idp.token(idp.keys[0]),
    lambda idp, now: idp.token(idp.keys[0], head={"alg": "PS256"}),
]  # fmt: skip
BAD: list[tuple[Callable[[Any, int], str], str]] = [
    (over(iss="https://elsewhere.example"), "not believed"),
    (lambda idp, now: idp.token(iss=f"{idp.url}/"), "not believed"),
    (lambda idp, now: idp.token(iss=idp.url.upper()), "not believed"),
    (over(iss=None), "not valid"), (over(iss=["x"]), "not valid"),
    (over(aud="account"), "not for this API"), (over(aud="orderhub2"), "not for this API"), (over(aud=[]), "not for this API"),
    (over(aud="orderhub-api"), "not for this API"), (over(aud=None), "not valid"), (over(aud={"orderhub": 1}), "not valid"),
    (over(exp=-30), "has expired"), (over(exp=0 - MINUTE), "has expired"), (over(exp=None), "not valid"),
    (over(exp="never"), "not valid"), (over(exp=True), "not valid"), (over(exp=10**12), "not valid"),
    (over(exp=float("inf")), "not valid"), (over(exp=float("nan")), "not valid"),
    (over(nbf=31), "not valid yet"), (over(iat=MINUTE), "not valid yet"), (over(nbf="x"), "not valid"),
    (over(sub=None), "not valid"), (over(sub=""), "not valid"), (over(sub=7), "not valid"), (over(sub="x" * 256), "not valid"),
    (over(typ="ID"), "no access token"), (over(typ="Refresh"), "no access token"), (over(typ="Offline"), "no access token"),
    (over(typ="Logout"), "no access token"), (over(typ="DPoP"), "no access token"), (over(typ=None), "no access token"),
    (lambda idp, now: idp.token(head={"typ": "at+jwt"}, typ="ID"), "no access token"),
    (lambda idp, now: idp.token(head={"typ": "logout+jwt"}, typ=None), "no access token"),
    (over(cnf={"jkt": "x"}), "bound to a key"),
    (hmac_with_the_public_key, "a way that is not allowed"),
    (with_header({"alg": "none"}), "a way that is not allowed"), (with_header({"alg": "ES384"}), "a way that is not allowed"),
    (with_header({"alg": "RS256"}), "unknown key"), (with_header({"alg": 7}), "not valid"), (with_header({"kid": None}), "not valid"),
    (with_header({"kid": "unknown"}), "unknown key"), (with_header({"kid": "x" * 5000}), "unknown key"),
    (with_header({"crit": ["exp"]}), "not valid"), (with_header({"crit": 5}), "not valid"), (with_header({"b64": 5}), "not valid"),
    (own_key_in_the_header, "not valid"), (tampered, "not valid"),
    (lambda idp, now: idp.token() + "x", "not valid"), (lambda idp, now: idp.token().rpartition(".")[0] + ".", "not valid"),
    (lambda idp, now: idp.token() + ".x", "not valid"), (lambda idp, now: "..", "not valid"), (lambda idp, now: "x" * 9000, "not valid"),
    (lambda idp, now: encoded(b"[" * 3000) + ".e30.x", "not valid"),
    (lambda idp, now: idp.token(padding="x" * 8000), "not valid"),
]  # fmt: skip


async def test_every_good_token_of_the_table_counts_and_every_bad_one_is_refused(
    idp: Any, open_gate: Any, rsa: RSAKey
) -> None:
    idp.keys.insert(0, rsa)
    gate = await open_gate(idp.settings(**SLOWLY))
    now = int(at(idp, gate).clock.now().timestamp())
    for number, make in enumerate(GOOD):
        caller = await gate.caller(make(idp, now))
        assert caller.roles == {"customer"}, number
    for number, (bad, why) in enumerate(BAD):
        with pytest.raises(TokenRefused) as refused:
            pytest.fail(f"{number} counts: {await gate.caller(bad(idp, now))}")
        assert why in refused.value.detail, (number, refused.value.detail)


async def test_an_algorithm_that_the_issuer_does_not_use_is_refused(
    idp: Any, open_gate: Any, rsa: RSAKey
) -> None:
    idp.keys.append(rsa)
    gate = await open_gate(idp.settings(algorithms=["ES256"]))
    at(idp, gate)
    assert (await gate.caller(idp.token(idp.keys[0]))).roles == {"customer"}
    assert "not allowed" in (await gate.refusal(idp.token(rsa))).detail


async def test_a_key_signs_only_with_the_algorithm_that_its_jwk_names(
    idp: Any, open_gate: Any, rsa: RSAKey
) -> None:
    idp.keys = [rsa]
    idp.jwks = json.dumps({"keys": [{**idp.published()[0], "alg": "RS256"}]}).encode()
    gate = await open_gate(idp.settings(**SLOWLY))
    at(idp, gate)
    assert (await gate.caller(idp.token())).roles == {"customer"}
    assert "unknown key" in (await gate.refusal(idp.token(head={"alg": "PS256"}))).detail


async def test_two_issuers_with_the_same_subject_are_two_people(make_idp: Any, open_gate: Any) -> None:
    one, two = await make_idp(), await make_idp()
    gate = await open_gate(one.settings(), two.settings())
    callers = [await gate.caller(at(idp, gate).token(sub="the same")) for idp in (one, two)]
    assert [caller.user_id for caller in callers] == [principal_id(idp.url, "the same") for idp in (one, two)]
    assert callers[0].user_id != callers[1].user_id
    assert await gate.caller(one.token(sub="the same", jti="another")) == callers[0]
    assert callers[0].session_id == ""


async def test_a_key_of_one_issuer_signs_nothing_for_another(make_idp: Any, open_gate: Any) -> None:
    one, two = await make_idp(), await make_idp()
    gate = await open_gate(one.settings(**SLOWLY), two.settings(**SLOWLY))
    at(one, gate), at(two, gate)
    assert "unknown key" in (await gate.refusal(two.token(one.keys[0]))).detail
    # Also not where both publish a key under the same name.
    borrowed = {"kid": two.keys[0].thumbprint()}
    assert "not valid" in (await gate.refusal(two.token(one.keys[0], head=borrowed))).detail


ROLES: list[tuple[Any, set[str]]] = [
    (["customer"], {"customer"}), (["staff", "customer"], {"operator", "customer"}), (["operator"], set()),
    (["service"], set()), (["Customer"], set()), ("customer staff", {"customer", "operator"}), ([], set()), (None, set()),
    ({"customer": True}, set()), ([7, None, ["staff"], "customer"], {"customer"}),
]  # fmt: skip


async def test_roles_count_by_the_map_alone(idp: Any, open_gate: Any) -> None:
    gate = await open_gate(idp.settings())
    at(idp, gate)
    for given, expected in ROLES:
        assert (await gate.caller(idp.token(realm_access={"roles": given}))).roles == expected, given
    for strange in ("customer", ["customer"], 7, {}):
        assert (await gate.caller(idp.token(realm_access=strange))).roles == set(), strange
    assert (await gate.caller(idp.token(realm_access=None, roles=["staff"]))).roles == set()


async def test_a_vendor_is_the_one_that_its_claim_names_or_nobody(idp: Any, open_gate: Any) -> None:
    gate, vendor = await open_gate(idp.settings()), str(uuid4())
    at(idp, gate)
    seller = {"roles": ["seller", "customer"]}
    found = await gate.caller(idp.token(realm_access=seller, vendor_id=vendor.upper()))
    assert (found.roles, found.vendor_id) == ({"vendor", "customer"}, vendor)
    for wrong in (None, "", "the shop", 7, [vendor], f"{vendor} or another"):
        refusal = await gate.refusal(idp.token(realm_access=seller, vendor_id=wrong))
        assert isinstance(refusal, VendorMissing), wrong
        assert "vendor_id" in refusal.detail
    assert (await gate.caller(idp.token(vendor_id=vendor))).vendor_id == ""
