"""A registered client. What it sends is put together by Authlib, which knows nothing of the provider's code."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from oidcc.browser import query
from oidcc.replies import Reply, read

STATE_LENGTH: Final = 128
"""Letters: long enough that a provider which cuts it is found out."""


@dataclass(frozen=True)
class Request:
    """To the authorization endpoint."""

    endpoint: str
    params: dict[str, str]

    @property
    def url(self) -> str:
        return f"{self.endpoint}?{urlencode(self.params)}"

    @property
    def nonce(self) -> str | None:
        return self.params.get("nonce")


class Party:
    """`registered` is what the provider answered to the registration."""

    def __init__(self, registered: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.registered = registered
        self.metadata = metadata
        self.id: str = registered["client_id"]
        self.secret: str = registered.get("client_secret") or ""
        self.callback: str = (registered["redirect_uris"] or [""])[0]
        self.algorithm: str = registered.get("id_token_signed_response_alg") or "RS256"
        self.method: str = registered["token_endpoint_auth_method"]
        self.after_logout: str = (registered.get("post_logout_redirect_uris") or [""])[0]
        self._session = OAuth2Session(
            self.id,
            self.secret or None,
            token_endpoint_auth_method=self.method,
            redirect_uri=self.callback,
            code_challenge_method="S256",
        )
        self._session.trust_env = False
        self._replies: list[Any] = []
        for hook in ("access_token_response", "refresh_token_response"):
            self._session.register_compliance_hook(hook, self._seen)

    def close(self) -> None:
        self._session.close()

    def request(self, *, scope: str = "openid", verifier: str | None = None, **over: str | None) -> Request:
        """A request with a fresh state and nonce; a parameter that is None is left out."""
        given = {"nonce": secrets.token_urlsafe(32), **over}
        state = given.get("state") or secrets.token_urlsafe(STATE_LENGTH)[:STATE_LENGTH]
        endpoint = self.metadata["authorization_endpoint"]
        url, _ = self._session.create_authorization_url(
            endpoint, state=state, code_verifier=verifier, scope=scope
        )
        params = {**query(url), **given}
        return Request(endpoint, {name: value for name, value in params.items() if value is not None})

    def exchange(self, code: str, *, verifier: str | None = None, **over: Any) -> Reply:
        """The code for tokens, whatever the answer is."""
        over = {"redirect_uri": self.callback, **over}
        if verifier is not None:
            over["code_verifier"] = verifier
        return self._asked(
            self._session.fetch_token,
            self.metadata["token_endpoint"],
            grant_type="authorization_code",
            code=code,
            **over,
        )

    def refresh(self, refresh_token: str, **over: Any) -> Reply:
        return self._asked(
            self._session.refresh_token,
            self.metadata["token_endpoint"],
            refresh_token=refresh_token,
            **over,
        )

    def userinfo(self, access_token: str, *, by: str = "get") -> Reply:
        """`by` is get, post (the token in the header) or body."""
        url = self.metadata["userinfo_endpoint"]
        if by == "body":
            form = {"access_token": access_token}
            return read(self._session.request("POST", url, data=form, withhold_token=True))
        self._session.token = {"access_token": access_token, "token_type": "Bearer"}
        return read(self._session.request(by.upper(), url))

    def asks(self, endpoint: str, **form: str) -> Reply:
        """An endpoint of the metadata, with the client's own way to prove who it is."""
        auth = self._session.client_auth(self.method)
        url = self.metadata[endpoint]
        return read(self._session.request("POST", url, data=form, auth=auth, withhold_token=True))

    def signs_with(self, jwk: dict[str, Any], *, audience: str, now: datetime, seconds: int) -> None:
        """private_key_jwt: the client's key, whom its next assertion is for, and how long that is good."""
        issued = int(now.timestamp())
        claims, headers = {"iat": issued, "exp": issued + seconds}, {"kid": jwk["kid"]}
        self._session.client_secret = ECKey.import_key(jwk)
        self._session.register_client_auth_method(PrivateKeyJWT(audience, claims, headers, "ES256"))

    def logout_url(self, **params: str | None) -> str:
        given = {name: value for name, value in params.items() if value is not None}
        endpoint = self.metadata["end_session_endpoint"]
        return f"{endpoint}?{urlencode(given)}" if given else endpoint

    def _asked(self, ask: Any, *arguments: Any, **given: Any) -> Reply:
        self._replies.clear()
        with contextlib.suppress(OAuthError):  # the condition that follows says whether that was right
            ask(*arguments, **given)
        return read(self._replies[-1])

    def _seen(self, response: Any) -> Any:
        self._replies.append(response)
        return response
