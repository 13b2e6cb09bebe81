"""The code flow as the modules of the suite walk it, with the conditions that each of them checks on the way.

**The answer**: at the registered redirect_uri and nowhere else; the issuer, as of RFC 9207; the state as it was sent
(128 letters); no error; a code; no parameter that nobody knows. **The tokens**: status 200, JSON, kept out of caches;
an access token that cannot be guessed, type Bearer, a life of at most 15 minutes. **The ID token**: signed by a key of
the JWKS which its header names, with the client's algorithm; iss, aud, azp; exp, iat, nbf, auth_time; the nonce as it
was sent; a subject; standard claims of the standard's types, none empty; at_hash; no claim of the profile that nobody
asked for; and Authlib takes it. **Userinfo**: status 200, JSON, of the same subject, standard claims of their types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oidcc.browser import Browser, Page, query
from oidcc.conditions import answers, tokens
from oidcc.op import Op
from oidcc.party import Party, Request
from oidcc.person import Person
from oidcc.replies import Reply


@dataclass(frozen=True)
class Flow:
    """One that went well, to the end."""

    request: Request
    answer: dict[str, str]
    reply: Reply
    header: dict[str, Any]
    claims: dict[str, Any]
    userinfo: Reply

    @property
    def id_token(self) -> str:
        return str(self.reply.json["id_token"])

    @property
    def access_token(self) -> str:
        return str(self.reply.json["access_token"])

    @property
    def refresh_token(self) -> str:
        return str(self.reply.json["refresh_token"])


def ask(
    op: Op, request: Request, browser: Browser, *, person: Person | None = None, consent: str = "allow"
) -> Page:
    """The page that the request ends at, when the person does what pages ask for."""
    who = person or op.ada
    return who.goes_on(browser, browser.get(request.url), op.issuer, consent=consent)


def sound_answer(op: Op, party: Party, request: Request, page: Page) -> dict[str, str]:
    """The conditions of an answer that is no error; its parameters."""
    assert page.redirect, f"no redirect: {page!r}"
    answers.is_at(page.redirect, request.params.get("redirect_uri", party.callback))
    params = query(page.redirect)
    answers.is_no_error(params)
    answers.issuer_is_named(params, op.issuer)
    answers.state_is_returned(params, request.params["state"])
    answers.has_a_code(params)
    answers.code_cannot_be_guessed(params)
    answers.holds_nothing_unknown(params, answers.KNOWN)
    return params


def error_answer(op: Op, party: Party, request: Request, page: Page, *allowed: str) -> dict[str, str]:
    """The conditions of an error that the client is told."""
    assert page.redirect, f"no redirect: {page!r}"
    answers.is_at(page.redirect, party.callback)
    params = query(page.redirect)
    answers.is_error(params, *allowed)
    answers.issuer_is_named(params, op.issuer)
    answers.state_is_returned(params, request.params["state"])
    return params


def sound_id_token(
    op: Op, party: Party, reply: Reply, *, nonce: str | None, unasked: tuple[str, ...] = ("name", "email")
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The conditions of an ID token; its header and claims."""
    header, claims = tokens.verified(reply.json["id_token"], op.keys, party.algorithm)
    tokens.is_ours(claims, issuer=op.issuer, client_id=party.id)
    tokens.is_timely(claims, op.now)
    tokens.nonce_is(claims, nonce)
    tokens.has_a_subject(claims)
    tokens.claims_have_their_types(claims)
    tokens.at_hash_is(claims, reply.json["access_token"])
    tokens.claims_are_absent(claims, *unasked)
    expected = {
        "iss": op.issuer,
        "client_id": party.id,
        "nonce": nonce,
        "access_token": reply.json["access_token"],
    }
    tokens.authlib_agrees(header, claims, expected, op.now)
    return header, claims


def sound_tokens(
    op: Op, party: Party, request: Request, params: dict[str, str], **over: Any
) -> tuple[Reply, dict[str, Any], dict[str, Any]]:
    """The code for tokens, with their conditions."""
    reply = party.exchange(params["code"], **over)
    tokens.tokens_are_sound(reply)
    header, claims = sound_id_token(op, party, reply, nonce=request.nonce)
    return reply, header, claims


def sound_flow(
    op: Op,
    party: Party,
    browser: Browser,
    *,
    request: Request | None = None,
    person: Person | None = None,
    verifier: str | None = None,
    by: str = "get",
    **params: Any,
) -> Flow:
    """A whole flow; `params` are of the request, `by` is how userinfo is asked."""
    request = request or party.request(verifier=verifier, **params)
    answer = sound_answer(op, party, request, ask(op, request, browser, person=person))
    given = {"verifier": verifier} if verifier else {}
    reply, header, claims = sound_tokens(op, party, request, answer, **given)
    userinfo = party.userinfo(reply.json["access_token"], by=by)
    tokens.userinfo_is_of(userinfo, claims)
    return Flow(request, answer, reply, header, claims, userinfo)
