"""The public keys of other issuers, which come from real HTTP servers: when they are asked for, and what counts while they are away."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from idp import SLOWLY, at, ec_key, encoded, parsed, truth
from joserfc.jwk import ECKey
from orderhub_gateway import discovery, metrics
from orderhub_gateway.errors import IssuerAway
from orderhub_gateway.keys import public_keys


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
    assert idp.asked == {what: times + 1 for what, times in before.items()}
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


@pytest.mark.parametrize("left", ["something else", "the old keys"])
async def test_keys_that_moved_are_found_whatever_is_left_in_their_place(
    idp: Any, open_gate: Any, left: str
) -> None:
    gate = await open_gate(idp.settings(**SLOWLY))
    old = json.dumps({"keys": idp.published()}).encode()
    idp.jwks = old if left == "the old keys" else b"<html>Moved</html>"
    idp.metadata = {"jwks_uri": f"{idp.url}/moved"}
    idp.keys = [ec_key()]
    gate.clock.advance(timedelta(seconds=6))
    assert await gate.caller(at(idp, gate).token())


async def test_keys_are_asked_for_in_the_background_without_any_token(
    idp: Any, open_gate: Any, eventually: Any
) -> None:
    gate = await open_gate(idp.settings(jwks_refresh=1, jwks_keep=60))
    asked = idp.asked["jwks"]
    gate.clock.advance(timedelta(seconds=50))
    await eventually(lambda: truth(idp.asked["jwks"] > asked))
    await eventually(lambda: truth(gate.access._trusted[idp.url].keys.good_for > 50))


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
    ({"metadata": {"jwks_uri": "http://127.0.0.1:9/certs"}}, "it cannot be reached (refused)"),
]  # fmt: skip


async def test_an_answer_that_is_no_good_is_said_to_be_so_and_followed_nowhere(idp: Any) -> None:
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


async def test_an_issuer_that_never_answers_is_given_up(idp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
