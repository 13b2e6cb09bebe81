"""How the provider refuses: on a page, at the client's redirect URI, or in a JSON answer."""

from __future__ import annotations

from orderhub_chassis.errors import Failure, Forbidden, NotFound


class ClientNotFound(NotFound):
    code = "auth.client_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such client")


class ClientHasNoSecret(Failure):
    code = "auth.client_has_no_secret"

    def __init__(self) -> None:
        super().__init__("a client with this token_endpoint_auth_method has no secret")


class ForeignInteraction(Forbidden):
    """The form was not made for this browser: somebody else's page has sent it, or the cookie is gone."""

    code = "auth.foreign_interaction"

    def __init__(self) -> None:
        super().__init__("this form was not made for this browser, or it is too old: begin again")


class PageError(Exception):
    """Shown to the person: where the client is unknown or its redirect URI is wrong, nothing may be sent there
    (RFC 6749, section 4.1.2.1)."""

    def __init__(self, notice: str, detail: str) -> None:
        super().__init__(detail)
        self.notice = notice
        self.detail = detail


class RedirectError(Exception):
    """Told to the client at its redirect URI (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class OAuthError(Exception):
    """A JSON answer of an endpoint that clients call (RFC 6749, section 5.2). `challenge` is a WWW-Authenticate."""

    def __init__(self, error: str, description: str, *, status: int = 400, challenge: str = "") -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.challenge = challenge


def invalid_request(description: str) -> OAuthError:
    return OAuthError("invalid_request", description)


def invalid_grant(description: str) -> OAuthError:
    return OAuthError("invalid_grant", description)
