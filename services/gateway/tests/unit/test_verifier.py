"""Our own auth: when the gateway asks it for its keys, when it does not, and which tokens it refuses."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Unavailable
from orderhub_contracts.revocations import Kind, Revocation
from orderhub_gateway.errors import TokenRefused, TokenRevoked
from orderhub_gateway.keys import Keys, Times
from orderhub_gateway.revocations import Revocations
from orderhub_gateway.tokens import Own
from orderhub_gateway.verifier import Verifier

CLAIMS = {
    "iss": "here", "aud": "api", "sub": "0198c0de-0000-7000-8000-000000000001", "sid": "s", "roles": ["vendor"],
    "vendor_id": "v",
}  # fmt: skip


class Auth:
    """Signs tokens and counts how often its keys are asked for."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.keys = [ECKey.generate_key("P-256", private=True)]
        self.asked = 0
        self.away = False

    async def jwks(self) -> str:
        self.asked += 1
        if self.away:
            raise Unavailable("auth is away")
        keys = [{**key.as_dict(private=False), "kid": key.thumbprint()} for key in self.keys]
        return json.dumps({"keys": keys})

    def token(self, key: ECKey | None = None, typ: str = "at+jwt", **over: object) -> bytes:
        key = key or self.keys[-1]
        exp = int(self.clock.now().timestamp()) + 900
        header = {"alg": "ES256", "typ": typ, "kid": key.thumbprint()}
        return jwt.encode(header, {**CLAIMS, "exp": exp, **over}, key).encode()

    def verifier(self) -> Verifier:
        keys = Keys("here", self.jwks, self.clock, Times(pause_after_failure=0))
        own = Own(keys, issuer="here", audience="api")
        revoked = Revocations(300)
        revoked.confirm()
        return Verifier(self.clock, {"here": own}, revoked)


async def test_a_good_token_is_verified_once_and_known_until_it_expires() -> None:
    auth = Auth()
    verifier, token = auth.verifier(), auth.token()
    assert verifier.known(token) is None
    caller = await verifier.verify(token)
    assert (caller.user_id, caller.roles, caller.vendor_id) == (CLAIMS["sub"], frozenset({"vendor"}), "v")
    assert verifier.known(token) == caller
    auth.clock.advance(timedelta(seconds=900))
    assert verifier.known(token) is None
    with pytest.raises(TokenRefused):
        await verifier.verify(token)


async def test_a_new_key_is_asked_for_and_made_up_ones_do_not_make_us_ask_for_ever() -> None:
    auth = Auth()
    verifier = auth.verifier()
    await verifier.verify(auth.token())
    auth.keys.append(ECKey.generate_key("P-256", private=True))
    auth.clock.advance(timedelta(seconds=6))
    await verifier.verify(auth.token())
    assert auth.asked == 2
    stranger = ECKey.generate_key("P-256", private=True)
    for _ in range(50):
        with pytest.raises(TokenRefused):
            await verifier.verify(auth.token(stranger))
    assert auth.asked == 2
    auth.clock.advance(timedelta(seconds=6))
    with pytest.raises(TokenRefused):
        await verifier.verify(auth.token(stranger))
    assert auth.asked == 3


async def test_known_keys_serve_while_auth_is_away_and_unknown_ones_say_unavailable() -> None:
    auth = Auth()
    verifier = auth.verifier()
    await verifier.verify(auth.token())
    auth.away = True
    auth.clock.advance(timedelta(seconds=10))
    await verifier.verify(auth.token(sid="another"))
    with pytest.raises(Unavailable):
        await verifier.verify(auth.token(ECKey.generate_key("P-256", private=True)))


@pytest.mark.parametrize(
    "over",
    [
        {"iss": "elsewhere"}, {"aud": "other"}, {"exp": 0}, {"exp": "never"}, {"sub": None}, {"roles": "operator"},
        {"typ": "JWT"},
    ],
)  # fmt: skip
async def test_a_token_with_wrong_claims_is_refused(over: dict[str, object]) -> None:
    auth = Auth()
    with pytest.raises(TokenRefused):
        await auth.verifier().verify(auth.token(**over))


async def test_a_forged_copy_of_a_known_token_is_not_known() -> None:
    auth = Auth()
    verifier, token = auth.verifier(), auth.token()
    await verifier.verify(token)
    head, claims, signature = token.split(b".")
    forged = b".".join([head, claims, signature[:-4] + b"AAAA"])
    assert verifier.known(forged) is None
    with pytest.raises(TokenRefused):
        await verifier.verify(forged)


@pytest.mark.parametrize("kind", [Kind.SESSION, Kind.TOKEN, Kind.CLIENT, Kind.USER], ids=str)
async def test_a_verdict_that_is_known_ends_with_a_revocation(kind: Kind) -> None:
    auth = Auth()
    verifier = auth.verifier()
    names = {Kind.SESSION: "s", Kind.TOKEN: "t", Kind.CLIENT: "c", Kind.USER: str(CLAIMS["sub"])}
    others = {"sid": "s2", "jti": "t2", "client_id": "c2", "sub": "0198c0de-0000-7000-8000-000000000002"}
    token, other = auth.token(jti="t", client_id="c"), auth.token(**others)
    for one in (token, other):
        await verifier.verify(one)
    until = int(auth.clock.now().timestamp()) + 900
    verifier.revocations.add([Revocation(kind, names[kind], until, epoch=1)])
    for _ in range(2):
        with pytest.raises(TokenRevoked):
            verifier.known(token)
        with pytest.raises(TokenRevoked):
            await verifier.verify(token)
    assert verifier.known(other)


async def test_a_users_tokens_that_are_issued_after_the_revocation_are_good() -> None:
    auth = Auth()
    verifier = auth.verifier()
    until = int(auth.clock.now().timestamp()) + 900
    for epoch in (2, 1):  # they may come in any order
        verifier.revocations.add([Revocation(Kind.USER, str(CLAIMS["sub"]), until, epoch)])
    with pytest.raises(TokenRevoked):
        await verifier.verify(auth.token(epoch=1))
    assert await verifier.verify(auth.token(epoch=2))
