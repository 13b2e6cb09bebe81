"""Replaces one function of the provider's, for the length of a test: each of these is a mistake that somebody could make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest
from orderhub_auth import model as accounts
from orderhub_auth.keyring import KeyRing
from orderhub_auth.provider import browsing, exchange, leaving, model, store, turns
from orderhub_auth.provider.answers import Answers
from orderhub_auth.provider.authentication import ClientDoor
from orderhub_auth.provider.errors import PageError
from orderhub_auth.provider.exchange import Exchange
from orderhub_auth.provider.hints import Hint, Hints
from orderhub_auth.provider.inspecting import Inspecting
from orderhub_auth.provider.leaving import Leaving
from orderhub_gateway.published import Published

Patch = pytest.MonkeyPatch
Claims = dict[str, Any]


# --- what is signed ---


def _signing(patch: Patch, typ: str, change: Callable[[Claims], Claims]) -> None:
    sign = KeyRing.sign

    def changed(ring: KeyRing, alg: str, claims: Claims, **given: Any) -> str:
        return sign(ring, alg, change(dict(claims)) if given["typ"] == typ else claims, **given)

    patch.setattr(KeyRing, "sign", changed)


def id_token(**over: Any) -> Callable[[Patch], None]:
    """These claims instead; None takes one away."""

    def change(claims: Claims) -> Claims:
        return {name: value for name, value in {**claims, **over}.items() if value is not None}

    return lambda patch: _signing(patch, "JWT", change)


def logout_token(**over: Any) -> Callable[[Patch], None]:
    def change(claims: Claims) -> Claims:
        return {name: value for name, value in {**claims, **over}.items() if value is not None}

    return lambda patch: _signing(patch, "logout+jwt", change)


def unsigned(patch: Patch) -> None:
    sign = KeyRing.sign

    def changed(ring: KeyRing, alg: str, claims: Claims, **given: Any) -> str:
        if given["typ"] != "JWT":
            return sign(ring, alg, claims, **given)
        return jwt.encode(dict(claims), None, "none")

    patch.setattr(KeyRing, "sign", changed)


def signed_by_the_other_algorithm(patch: Patch) -> None:
    sign = KeyRing.sign

    def changed(ring: KeyRing, alg: str, claims: Claims, **given: Any) -> str:
        return sign(ring, "ES256" if given["typ"] == "JWT" else alg, claims, **given)

    patch.setattr(KeyRing, "sign", changed)


def roles_for_every_scope(patch: Patch) -> None:
    _signing(patch, "at+jwt", lambda claims: {**claims, "roles": claims["roles"] or ["customer"]})


def at_hash_of_the_whole(patch: Patch) -> None:
    patch.setattr(model, "half_hash", lambda token: model.left_of(hashlib.sha256(token.encode()).digest()))


def claims_of_scopes_in_the_id_token(patch: Patch) -> None:
    tokens = Answers.tokens

    def told(answers: Answers, client: Any, granted: Any, scopes: Any, context: Any) -> Any:
        return tokens(answers, client, granted, scopes, replace(context, claims=model.names_of(scopes)))

    patch.setattr(Answers, "tokens", told)


# --- codes and refresh tokens ---


def _loaded_code(patch: Patch, **over: Any) -> None:
    load = store.load_code

    async def loaded(tx: Any, hash: bytes) -> Any:
        code = await load(tx, hash)
        return replace(code, **over) if code else None

    patch.setattr(store, "load_code", loaded)


def reused_code_accepted(patch: Patch) -> None:
    _loaded_code(patch, spent_at=None)


def reuse_revokes_nothing(patch: Patch) -> None:
    async def end(*_: Any) -> None:
        pass

    patch.setattr(Exchange, "_end", end)


class _Anybody(UUID):
    """Equal to every client's id."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = UUID.__hash__


def code_of_another_client_accepted(patch: Patch) -> None:
    _loaded_code(patch, client_id=_Anybody(int=0))


def code_never_expires(patch: Patch) -> None:
    fits = exchange._fits
    patch.setattr(
        exchange, "_fits", lambda code, given, now: fits(replace(code, expires_at=_after(now)), given, now)
    )


def _after(now: Any) -> Any:
    return now.replace(year=now.year + 1)


def redirect_uri_of_the_code_not_compared(patch: Patch) -> None:
    fits = exchange._fits

    def unbound(code: Any, given: dict[str, str], now: Any) -> Any:
        return fits(code, {**given, "redirect_uri": code.redirect_uri}, now)

    patch.setattr(exchange, "_fits", unbound)


def verifier_not_checked(patch: Patch) -> None:
    patch.setattr(model, "verifier_fits", lambda verifier, challenge: True)


def refresh_token_not_bound(patch: Patch) -> None:
    judge = accounts.judge_refresh

    def unbound(presented: Any, *, client_id: Any, **given: Any) -> Any:
        owner = presented.use.client_id if presented else client_id
        return judge(presented, client_id=owner, **given)

    patch.setattr(accounts, "judge_refresh", unbound)


def clients_not_authenticated(patch: Patch) -> None:
    async def proved(door: ClientDoor, client: Any, who: Any) -> bool:
        return client is not None

    patch.setattr(ClientDoor, "_proved", proved)


def assertion_taken_again(patch: Patch) -> None:
    async def take(*_: Any) -> bool:
        return True

    patch.setattr(store, "take_assertion", take)


def revocation_ends_nothing(patch: Patch) -> None:
    async def revoke(*_: Any) -> None:
        pass

    patch.setattr(Inspecting, "revoke", revoke)


# --- the authorization request ---


def _request(patch: Patch, **over: Any) -> None:
    """What a request asks for is read as something else."""
    read = model.authorization_request
    patch.setattr(model, "authorization_request", lambda *given: replace(read(*given), **over))


def without_prompt(name: str) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        read = model._prompts
        patch.setattr(model, "_prompts", lambda text: read(text) - {name})

    return plant


def nonce_dropped(patch: Patch) -> None:
    _request(patch, nonce="")


def max_age_ignored(patch: Patch) -> None:
    _request(patch, max_age=None)


def claims_ignored(patch: Patch) -> None:
    _request(patch, claims=model.ClaimsRequest())


def redirect_uri_by_prefix(patch: Patch) -> None:
    exact = model.redirect_uri_of

    def prefix(parameters: Any, client: Any) -> str:
        given = model.one_value(parameters, "redirect_uri")
        if given and given.startswith(client.redirect_uris):
            return given
        return exact(parameters, client)

    patch.setattr(model, "redirect_uri_of", prefix)


def id_token_hint_ignored(patch: Patch) -> None:
    patch.setattr(Hints, "subject_of", lambda hints, parameters, client: "")


def request_object_passed_over(patch: Patch) -> None:
    check = model._check_supported

    def lenient(given: dict[str, str], client: Any) -> None:
        given = {name: value for name, value in given.items() if name not in ("request", "request_uri")}
        check(given, client)

    patch.setattr(model, "_check_supported", lenient)


def response_type_guessed(patch: Patch) -> None:
    check = model._check_supported
    patch.setattr(
        model, "_check_supported", lambda given, client: check({"response_type": "code", **given}, client)
    )


def pkce_never_needed(patch: Patch) -> None:
    patch.setattr(model.RelyingParty, "needs_pkce", False)


def nobody_asked_for_consent(patch: Patch) -> None:
    patch.setattr(model, "_needs_consent", lambda *_: False)


def _answer(patch: Patch, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """What the authorization endpoint tells the client."""
    patch.setattr(
        browsing, "back_to", lambda uri, fields, **given: turns.back_to(uri, change(fields), **given)
    )


def issuer_not_named(patch: Patch) -> None:
    _answer(patch, lambda fields: {name: value for name, value in fields.items() if name != "iss"})


def state_cut_off(patch: Patch) -> None:
    _answer(patch, lambda fields: {**fields, "state": fields["state"][:64]})


# --- userinfo ---


def _userinfo(patch: Patch, change: Callable[[Claims], Claims]) -> None:
    ask = Inspecting.userinfo

    async def changed(inspecting: Inspecting, token: str) -> Claims:
        return change(await ask(inspecting, token))

    patch.setattr(Inspecting, "userinfo", changed)


def userinfo_of_somebody_else(patch: Patch) -> None:
    _userinfo(patch, lambda claims: {**claims, "sub": str(UUID(int=7))})


def userinfo_without_email(patch: Patch) -> None:
    _userinfo(patch, lambda claims: {name: value for name, value in claims.items() if name != "email"})


def userinfo_by_the_wrong_scopes(patch: Patch) -> None:
    patch.setattr(model, "names_of", lambda scopes: {"name", "updated_at", "email", "email_verified"})


# --- keys, logout ---


def keys_without_kid(patch: Patch) -> None:
    """In what clients are told; the gateway itself goes by the real set."""
    current = Published.current

    async def nameless(published: Published) -> Any:
        found = await current(published)
        keys = [{name: one[name] for name in one if name != "kid"} for one in json.loads(found.text)["keys"]]
        return found._replace(text=json.dumps({"keys": keys}))

    patch.setattr(Published, "current", nameless)


def hint_believed_unread(patch: Patch) -> None:
    def read(hints: Hints, token: str) -> Hint:
        claims = jwt.decode(token, options={"verify_signature": False})
        return Hint(claims["sub"], claims["sid"], claims["aud"])

    patch.setattr(Hints, "read", read)


def logout_redirects_anywhere(patch: Patch) -> None:
    wished = Leaving._wish

    async def wish(gone: Leaving, parameters: Any) -> Any:
        try:
            return await wished(gone, parameters)
        except PageError as error:
            if error.notice != "logout_uri_unknown":
                raise
            rest = [pair for pair in parameters if pair[0] != "post_logout_redirect_uri"]
            uri = model.one_value(parameters, "post_logout_redirect_uri")
            return replace(await wished(gone, rest), redirect_uri=uri)

    patch.setattr(Leaving, "_wish", wish)


def logout_drops_the_state(patch: Patch) -> None:
    left = leaving._left
    patch.setattr(leaving, "_left", lambda wish: left(replace(wish, state="")))


def logout_asks_nobody(patch: Patch) -> None:
    """A link without a hint logs out."""
    end_session = Leaving.end_session

    async def ended(gone: Leaving, parameters: Any, browser: Any) -> Any:
        login = await gone._login(browser)
        if login is not None and not model.one_value(parameters, "id_token_hint"):
            await gone.db.run(lambda tx: gone._end(tx, login))
        return await end_session(gone, parameters, browser)

    patch.setattr(Leaving, "end_session", ended)


def logout_ends_nothing(patch: Patch) -> None:
    async def end(*_: Any) -> None:
        pass

    patch.setattr(Leaving, "_end", end)
