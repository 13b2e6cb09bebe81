"""The internal token: who calls, for a minute, and nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from orderhub_chassis import calls
from orderhub_chassis.calls import ANONYMOUS, AUDIENCE, LIFETIME, Caller, InternalTokens
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Forbidden, Unauthenticated

KEY = "k" * 40
CALLER = Caller("u1", frozenset({"vendor", "customer"}), vendor_id="v1", session_id="s1")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens(clock):
    return InternalTokens(KEY, clock)


def signed(clock, key=KEY, algorithm="HS256", **over):
    claims = {
        "aud": AUDIENCE, "sub": "u1", "roles": ["operator"], "vendor_id": "", "sid": "",
        "exp": int(clock.now().timestamp()) + 60, **over,
    }  # fmt: skip
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(key.encode()), algorithms=[algorithm])


def test_a_token_carries_its_caller(tokens, clock):
    assert InternalTokens(KEY, clock).verify(tokens.sign(CALLER)) == CALLER


def test_no_token_is_refused_and_who_speaks_for_nobody_has_to_sign_that_too(tokens, clock):
    with pytest.raises(Unauthenticated, match="no internal token"):
        tokens.verify("")
    assert InternalTokens(KEY, clock).verify(tokens.sign(ANONYMOUS)) == ANONYMOUS


def test_a_token_lives_for_a_minute_at_most(tokens, clock):
    token = tokens.sign(CALLER)
    clock.advance(LIFETIME - timedelta(seconds=1))
    assert tokens.verify(token) == CALLER
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.verify(token)
    with pytest.raises(Unauthenticated, match="expired"):
        InternalTokens(KEY, clock).verify(token)
    assert timedelta(seconds=60) >= LIFETIME


def test_a_token_that_is_handed_out_again_has_half_its_life_left(tokens, clock):
    first = tokens.sign(CALLER)
    clock.advance(LIFETIME / 2 - timedelta(seconds=1))
    assert tokens.sign(CALLER) == first
    clock.advance(timedelta(seconds=1))
    assert tokens.sign(CALLER) != first


def test_a_token_signed_with_another_key_is_refused(tokens, clock):
    with pytest.raises(Unauthenticated):
        tokens.verify(InternalTokens("x" * 40, clock).sign(CALLER))


def test_a_token_for_another_audience_is_refused(tokens, clock):
    for audience in ("orderhub-api", "", None, [AUDIENCE]):
        with pytest.raises(Unauthenticated):
            tokens.verify(signed(clock, aud=audience))


def test_a_token_without_an_end_is_refused(tokens, clock):
    for end in (0, None, "soon", -1):
        with pytest.raises(Unauthenticated):
            tokens.verify(signed(clock, exp=end))


def test_only_the_one_algorithm_counts(tokens, clock):
    with pytest.raises(Unauthenticated):
        tokens.verify(signed(clock, algorithm="HS512"))
    claims = {"aud": AUDIENCE, "sub": "u1", "roles": [], "vendor_id": "", "sid": "", "exp": 2**40}
    unsigned = "eyJhbGciOiJub25lIn0." + signed(clock).split(".")[1] + "."
    elliptic = jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"))
    for token in (unsigned, elliptic):
        with pytest.raises(Unauthenticated):
            tokens.verify(token)


@given(at=st.integers(0, 200), other=st.characters())
def test_a_token_with_a_change_in_header_claims_or_signature_is_refused(at, other):
    tokens = InternalTokens(KEY, ManualClock())
    token = tokens.sign(CALLER)
    # The last character of each part has spare bits; what they say is nobody's claim.
    places = [i for i, c in enumerate(token) if c != "." and token[i + 1 : i + 2] not in ("", ".")]
    at = places[at % len(places)]
    if token[at] != other:
        with pytest.raises(Unauthenticated):
            tokens.verify(token[:at] + other + token[at + 1 :])


@given(st.text(min_size=1, max_size=200))
def test_any_text_is_refused(text):
    with pytest.raises(Unauthenticated):
        InternalTokens(KEY, ManualClock()).verify(text)


def test_a_token_that_lacks_a_claim_is_refused(tokens, clock):
    claims = {"aud": AUDIENCE, "exp": int(clock.now().timestamp()) + 60}
    with pytest.raises(Unauthenticated):
        tokens.verify(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(KEY.encode())))


def test_the_caches_do_not_grow_without_end(tokens, monkeypatch):
    monkeypatch.setattr(calls, "CACHE", 3)
    for n in range(10):
        tokens.verify(tokens.sign(Caller(f"u{n}")))
    assert (len(tokens._signed), len(tokens._verified)) == (3, 3)


def test_need_tells_nobody_from_the_wrong_somebody():
    CALLER.need("operator", "vendor")
    with pytest.raises(Forbidden, match="operator"):
        CALLER.need("operator")
    with pytest.raises(Unauthenticated):
        ANONYMOUS.need("customer")
    assert (CALLER.principal, ANONYMOUS.principal) == ("u1", "anonymous")
    assert calls.service_caller("orders").has("service")
