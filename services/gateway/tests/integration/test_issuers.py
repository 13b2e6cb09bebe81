"""Tokens of other issuers, whose keys come from real HTTP servers: which count, for whom, and when keys are away."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey, RSAKey
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure, Unavailable
from orderhub_gateway import discovery, metrics, verifier
from orderhub_gateway.errors import TokenRefused, VendorMissing
from orderhub_gateway.issuers import Issuer
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.tokens import principal_id
from orderhub_gateway.verifier import Verifier

OWN = "http://own.example"
SLOWLY = {"jwks_refresh": 3600, "jwks_keep": 7200}
"""So that within a test nothing but a token makes us ask again."""
Open = Callable[..., Awaitable[Verifier]]


class Gate:
    """A verifier with all that stands around it."""

    def __init__(self, access: Verifier, clock: ManualClock, readiness: GatedReadiness) -> None:
        self.access = access
        self.clock = clock
        self.readiness = readiness

    async def caller(self, token: str) -> Any:
        return self.access.known(token.encode()) or await self.access.verify(token.encode())

    async def refusal(self, token: str) -> Failure:
        with pytest.raises(Failure) as refused:
            await self.caller(token)
        return refused.value


@pytest.fixture
async def open_gate(eventually: Any) -> AsyncIterator[Callable[..., Awaitable[Gate]]]:
    """`await open_gate(idp.settings(…), …)`: a verifier that believes these, its first keys in hand where they serve."""
    async with AsyncExitStack() as stack:

        async def open_one(*issuers: dict[str, Any], own: Any = None, fetched: bool = True) -> Gate:
            clock, readiness = ManualClock(), GatedReadiness(None)
            settings: Any = type(
                "Given", (), {"public_url": OWN, "audience": "orderhub-api", "oidc_issuers": parsed(issuers)}
            )

            async def nobody() -> str:
                raise Unavailable("auth is not here")

            opening = verifier.opened(settings, clock, own or nobody, readiness)
            access = await stack.enter_async_context(opening)
            if fetched:
                keys = [access._trusted[one["issuer"]].keys for one in issuers]
                await eventually(lambda: truth(all(one.good_for > 0 for one in keys)))
            return Gate(access, clock, readiness)

        yield open_one


async def truth(value: Any) -> Any:
    return value


def parsed(issuers: Any) -> tuple[Issuer, ...]:
    return tuple(Issuer.model_validate(one) for one in issuers)


def at(idp: Any, gate: Gate) -> Any:
    """The issuer goes by the same clock."""
    idp.clock = gate.clock
    return idp


# --- which tokens count -----------------------------------------------------------------------------------------

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


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


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


# --- who it is, and what they may --------------------------------------------------------------------------------


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


# --- keys ---------------------------------------------------------------------------------------------------------


def checked(idp: Any, outcome: str = "good") -> float:
    return metrics.TOKENS.labels(idp.url, outcome)._value.get()


async def test_a_token_is_checked_once_and_known_until_it_expires(idp: Any, open_gate: Any) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    token = at(idp, gate).token()
    for _ in range(20):
        await gate.caller(token)
    assert checked(idp) == 1
    gate.clock.advance(timedelta(seconds=329))
    assert gate.access.known(token.encode())
    gate.clock.advance(timedelta(seconds=1))
    assert gate.access.known(token.encode()) is None
    assert "expired" in (await gate.refusal(token)).detail


async def test_a_new_key_is_asked_for_once_by_a_hundred_requests_at_a_time(
    idp: Any, open_gate: Any, eventually: Any
) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    old = at(idp, gate).token()
    idp.keys.append(ECKey.generate_key("P-256", private=True))
    gate.clock.advance(timedelta(seconds=6))
    before = dict(idp.asked)
    idp.gate.clear()
    asking = [asyncio.create_task(gate.caller(idp.token(jti=str(number)))) for number in range(100)]
    leaving = asking.pop()
    await eventually(lambda: truth(idp.asked["jwks"] > before["jwks"]))
    # One that goes away takes nothing from the others.
    leaving.cancel()
    idp.gate.set()
    assert {caller.roles for caller in await asyncio.gather(*asking)} == {frozenset({"customer"})}
    assert idp.asked == {"discovery": before["discovery"], "jwks": before["jwks"] + 1}
    assert (await gate.caller(old)).roles == {"customer"}


async def test_keys_that_nobody_has_make_us_ask_no_more_than_every_few_seconds(
    idp: Any, open_gate: Any
) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    at(idp, gate)
    strangers = [ECKey.generate_key("P-256", private=True) for _ in range(30)]
    gate.clock.advance(timedelta(seconds=6))
    before = idp.asked["jwks"]
    for _ in range(3):
        for stranger in strangers:
            assert "unknown key" in (await gate.refusal(idp.token(stranger))).detail
    assert idp.asked["jwks"] == before + 1
    # The one that was really looked for is not looked for again, although there would be time.
    gate.clock.advance(timedelta(seconds=6))
    await gate.refusal(idp.token(strangers[0]))
    assert idp.asked["jwks"] == before + 1
    await gate.refusal(idp.token(strangers[1]))
    assert idp.asked["jwks"] == before + 2
    gate.clock.advance(timedelta(seconds=30))
    await gate.refusal(idp.token(strangers[0]))
    assert idp.asked["jwks"] == before + 3


async def test_what_is_remembered_of_unknown_keys_is_bounded(
    idp: Any, open_gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orderhub_gateway import keys

    monkeypatch.setattr(keys, "ABSENT_AT_MOST", 3)
    gate = await open_gate(idp.settings(**SLOWLY))
    at(idp, gate)
    for _ in range(5):
        gate.clock.advance(timedelta(seconds=6))
        await gate.refusal(idp.token(ECKey.generate_key("P-256", private=True)))
    assert len(gate.access._trusted[idp.url].keys._absent) == 3


async def test_a_key_that_its_issuer_took_back_ends_the_tokens_that_it_signed(
    idp: Any, open_gate: Any
) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    stolen, kept = at(idp, gate).token(), idp.keys[0]
    assert (await gate.caller(stolen)).roles == {"customer"}
    idp.keys = [ECKey.generate_key("P-256", private=True)]
    gate.clock.advance(timedelta(seconds=6))
    fresh = idp.token()
    await gate.caller(fresh)
    assert gate.access.known(stolen.encode()) is None
    assert "unknown key" in (await gate.refusal(stolen)).detail
    # A key that stays is the same key, and its tokens stay known.
    idp.keys.append(kept)
    gate.clock.advance(timedelta(seconds=40))
    await gate.caller(idp.token(kept))
    assert gate.access.known(fresh.encode())


async def test_another_key_under_a_known_name_is_another_key(idp: Any, open_gate: Any) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    old = at(idp, gate).token(head={"kid": "main"})
    own = {"kid": "main", "use": "sig"}
    idp.jwks = json.dumps({"keys": [{**idp.keys[0].as_dict(private=False), **own}]}).encode()
    gate.clock.advance(timedelta(seconds=6))
    assert await gate.caller(old)
    idp.keys = [ECKey.generate_key("P-256", private=True)]
    idp.jwks = json.dumps({"keys": [{**idp.keys[0].as_dict(private=False), **own}]}).encode()
    gate.clock.advance(timedelta(seconds=6))
    await gate.access._trusted[idp.url].keys.refresh()
    assert "not valid" in (await gate.refusal(old)).detail
    assert await gate.caller(idp.token(head={"kid": "main"}))


async def test_keys_are_asked_for_in_the_background_without_any_token(
    idp: Any, open_gate: Any, eventually: Any
) -> None:
    gate = await open_gate(idp.settings(jwks_refresh=1, jwks_keep=60))
    asked = idp.asked["jwks"]
    gate.clock.advance(timedelta(seconds=50))
    await eventually(lambda: truth(idp.asked["jwks"] > asked))
    await eventually(lambda: truth(gate.access._trusted[idp.url].keys.good_for > 50))
    assert idp.asked["discovery"] == 1


async def test_an_issuer_that_is_away_is_done_without_for_a_while_and_then_refused_alone(
    make_idp: Any, open_gate: Any
) -> None:
    idp, other = await make_idp(), await make_idp()
    gate = await open_gate(idp.settings(**SLOWLY), other.settings(**SLOWLY))
    token = at(idp, gate).token(exp=int(gate.clock.now().timestamp()) + 90_000)
    await gate.caller(token)
    idp.status, idp.jwks = 503, b"down"
    gate.clock.advance(timedelta(seconds=6))
    away = await gate.refusal(idp.token(ECKey.generate_key("P-256", private=True)))
    assert (away.code, away.kind.value, away.retry_after) == ("auth.issuer_unavailable", "unavailable", 5)
    assert gate.readiness.notes == {f"issuer {idp.url}": "its keys cannot be had: it answered 503"}
    assert gate.readiness.reasons == {}
    asked = idp.asked["jwks"]
    for _ in range(20):
        await gate.refusal(idp.token(ECKey.generate_key("P-256", private=True)))
    assert idp.asked["jwks"] == asked
    # Known keys go on, for known tokens and for new ones, until they are too old.
    assert await gate.caller(token)
    assert await gate.caller(idp.token(jti="new"))
    gate.clock.advance(timedelta(seconds=7194))
    assert (await gate.refusal(token)).code == "auth.issuer_unavailable"
    assert await gate.caller(at(other, gate).token())
    idp.status, idp.jwks = 200, None
    gate.clock.advance(timedelta(seconds=6))
    assert await gate.caller(token)
    assert gate.readiness.notes == {}


async def test_an_issuer_that_is_away_at_the_start_is_found_when_it_is_back(
    idp: Any, open_gate: Any, eventually: Any
) -> None:
    idp.status, idp.jwks = 500, b""
    gate = await open_gate(idp.settings(), fetched=False)
    at(idp, gate)
    await eventually(lambda: truth(gate.readiness.notes))
    assert (await gate.refusal(idp.token())).code == "auth.issuer_unavailable"
    idp.status, idp.jwks = 200, None
    gate.clock.advance(timedelta(seconds=6))
    assert await gate.caller(idp.token())


ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"jwks": b"<html>"}, "its answer is no JWKS"), ({"jwks": b"[]"}, "its answer is no JWKS"),
    ({"jwks": b'{"keys": 7}'}, "its answer is no JWKS"), ({"jwks": b"[" * 100_000}, "its answer is no JWKS"),
    ({"jwks": b"\xff"}, "its answer is no JWKS"),
    ({"jwks": b'{"keys": []}'}, "its JWKS has no key to check tokens with"),
    ({"jwks": b'{"keys": [7, {"kty": "oct", "k": "AAAA", "kid": "a"}]}'}, "its JWKS has no key to check tokens with"),
    ({"jwks": b" " * 300_000}, "its answer is larger than 256 KiB"),
    ({"status": 404, "jwks": b""}, "it answered 404"),
    ({"location": "/realms/shop/elsewhere"}, "it answered 302"),
    ({"location": "https://elsewhere.example/certs"}, "it answered 302"),
    ({"metadata": {"issuer": "https://elsewhere.example"}}, "its discovery document is that of another issuer"),
    ({"metadata": {"jwks_uri": "http://elsewhere.example/certs"}}, "its discovery document gives a jwks_uri that is not https"),
    ({"metadata": {"jwks_uri": "file:///etc/passwd"}}, "its discovery document gives a jwks_uri that is not https"),
    ({"metadata": {"jwks_uri": 7}}, "its discovery document cannot be read"),
    ({"metadata": {"jwks_uri": "http://127.0.0.1:9/certs"}}, "it cannot be reached (ClientConnectorError)"),
]  # fmt: skip


async def test_an_answer_that_is_no_good_is_said_to_be_so_and_followed_nowhere(idp: Any) -> None:
    from orderhub_gateway.errors import IssuerAway
    from orderhub_gateway.keys import public_keys

    async with discovery.session() as http:
        for changes, reason in ANSWERS:
            was = {name: getattr(idp, name) for name in changes}
            for name, value in changes.items():
                setattr(idp, name, value)
            with pytest.raises(IssuerAway) as away:
                public_keys(await discovery.Fetch(http, parsed([idp.settings()])[0])())
            assert away.value.detail == reason
            for name, value in was.items():
                setattr(idp, name, value)
        # Asked again after a failure, discovery included; then what it said is kept.
        fetch = discovery.Fetch(http, parsed([idp.settings()])[0])
        for expected in (1, 1):
            before = idp.asked["discovery"]
            assert public_keys(await fetch())
            assert idp.asked["discovery"] - before == expected
            fetch._discovered = ""


async def test_an_issuer_that_never_answers_is_given_up(idp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from orderhub_gateway.errors import IssuerAway

    monkeypatch.setattr(discovery, "LONGEST_WAIT", 0.2)
    idp.gate.clear()
    async with discovery.session() as http:
        with pytest.raises(IssuerAway, match=r"^it did not answer within 0.2 s$"):
            await discovery.Fetch(http, parsed([idp.settings()])[0])()


async def test_an_https_issuer_cannot_send_us_to_this_machine() -> None:
    for uri, allowed in (("https://keys.example/certs", True), ("http://127.0.0.1:1/certs", False)):
        assert discovery._may_follow("https://login.example", uri) is allowed


async def test_a_jwks_url_of_the_settings_is_asked_without_discovery(idp: Any, open_gate: Any) -> None:
    gate = await open_gate(idp.settings(jwks_url=f"{idp.url}/certs"))
    assert await gate.caller(at(idp, gate).token())
    assert idp.asked["discovery"] == 0


async def test_keys_of_other_kinds_beside_a_good_one_do_no_harm(idp: Any, open_gate: Any) -> None:
    weak = {"kty": "RSA", "e": "AQAB", "n": encoded(b"\xff" * 255)}
    good = idp.published()[0]
    strange: list[Any] = [
        7, {}, {"kty": "XX", "kid": "a"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "EC", "crv": "P-999", "kid": "b"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "c"}, {"kty": "RSA", "n": 5, "e": "AQAB", "kid": "d"},
        {**weak, "kid": "weak"}, {**good, "kid": "encrypts", "use": "enc"}, {**good, "kid": "signs", "key_ops": ["sign"]},
        {**good, "kid": 7}, {**good, "alg": 7, "kid": "e"},
    ]  # fmt: skip
    idp.jwks = json.dumps({"keys": [*strange, good]}).encode()
    gate = await open_gate(idp.settings(**SLOWLY))
    assert await gate.caller(at(idp, gate).token())
    assert set(gate.access._trusted[idp.url].keys._keys) == {good["kid"]}


# --- at the door of a whole gateway --------------------------------------------------------------------------------


async def test_a_person_of_another_issuer_is_shown_by_what_the_token_says(
    idp: Any, open_gateway: Any
) -> None:
    api = await open_gateway(oidc_issuers=[idp.settings()])
    shown = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {idp.token()}"})
    assert shown.status_code == 200, shown.text
    assert shown.json() == {
        "id": principal_id(idp.url, idp.claims()["sub"]), "email": "ada@example.org", "name": "Ada",
        "roles": ["customer"], "email_verified": True, "vendor_id": None, "issuer": idp.url,
    }  # fmt: skip
    bare = idp.token(email=7, name=None, preferred_username="ada", email_verified="true")
    shown = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {bare}"})
    assert (shown.json()["email"], shown.json()["name"], shown.json()["email_verified"]) == ("", "ada", False)
    own = await api("GET", "/v1/auth/me", headers=await api.as_("customer"))
    assert (own.status_code, own.json()["issuer"]) == (200, None)


async def test_refusals_at_the_door_say_why(idp: Any, open_gateway: Any) -> None:
    api = await open_gateway(oidc_issuers=[idp.settings(**SLOWLY)])
    cases = [
        (idp.token(aud="other"), 401, "auth.token_refused"),
        (idp.token(realm_access={"roles": ["operator"]}), 403, "auth.forbidden"),
        (idp.token(realm_access={"roles": ["seller"]}), 403, "auth.vendor_missing"),
    ]
    for token, status, code in cases:
        answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert "ratelimit" in answer.headers


async def test_an_issuer_that_is_away_is_a_503_for_its_people_alone(
    idp: Any, open_gateway: Any, eventually: Any
) -> None:
    idp.status, idp.jwks = 500, b""
    api = await open_gateway(oidc_issuers=[idp.settings()])

    async def noted() -> Any:
        return (await api("GET", "/readyz")).json().get("notes")

    assert await eventually(noted) == {f"issuer {idp.url}": "its keys cannot be had: it answered 500"}

    async def ready() -> bool:  # Redis is asked once, too
        return bool((await api("GET", "/readyz")).status_code == 200)

    await eventually(ready)
    answer = await api("GET", "/v1/auth/me", headers={"authorization": f"Bearer {idp.token()}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "auth.issuer_unavailable"), answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert "127.0.0.1" not in answer.json()["detail"]
    assert (await api("GET", "/v1/auth/me", headers=await api.as_("customer"))).status_code == 200
    assert f'orderhub_gateway_issuer_away{{issuer="{idp.url}"}} 1.0' in (await api("GET", "/metrics")).text


@pytest.fixture
def oidc_issuers(idp: Any) -> list[Any]:
    return [idp.settings()]


async def test_customers_and_vendors_of_another_issuer_do_business(
    idp: Any, whole: Any, an_order_of: Any
) -> None:
    def bearer(sub: str, role: str, **claims: Any) -> dict[str, str]:
        token = idp.token(sub=sub, realm_access={"roles": [role]}, **claims)
        return {"authorization": f"Bearer {token}", "idempotency-key": uuid4().hex}

    seller = bearer("a vendor", "seller", vendor_id=whole.vendor_id)
    goods = {"sku": "FOREIGN-1", "title": "Driftwood", "kind": "good", "stock": 5, "price": {"amount_minor": 1500, "currency": "EUR"}}  # fmt: skip
    made = await whole("POST", "/v1/products", json=goods, headers=seller)
    assert (made.status_code, made.json()["vendor_id"]) == (201, whole.vendor_id), made.text
    ada = bearer("ada", "customer")
    placed = await whole(
        "POST", "/v1/orders", json=an_order_of(made.json()), headers={**ada, "prefer": "wait=20"}
    )
    assert placed.json()["status"] == "CONFIRMED", placed.text
    assert placed.json()["customer_id"] == principal_id(idp.url, "ada")
    path = f"/v1/orders/{placed.json()['id']}"
    readers = [ada, seller, bearer("an operator", "staff")]
    assert [(await whole("GET", path, headers=who)).status_code for who in readers] == [200, 200, 200]
    strangers = [
        bearer("eve", "customer"),
        bearer("b", "seller", vendor_id=str(uuid4())),
        await whole.as_("customer"),
    ]
    assert [(await whole("GET", path, headers=who)).status_code for who in strangers] == [404, 404, 404]
    paid = await whole("GET", f"/v1/payments?order_id={placed.json()['id']}", headers=ada)
    assert [payment["status"] for payment in paid.json()["items"]] == ["CAPTURED"]
