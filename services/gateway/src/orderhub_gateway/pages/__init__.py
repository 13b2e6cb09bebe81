"""The pages that people see on their way to a relying party: words by code, one template, no script but one."""

from __future__ import annotations

from typing import Any, Final

import jinja2
from orderhub_contracts.auth.v1 import oidc_pb2 as pb

NOTICES: Final = {
    "wrong": "The e-mail address, the password or the code is wrong.",
    "slow": "Too many wrong tries. Wait a little, then try again.",
    "disabled": "This account cannot be used right now.",
    "too_old": "This took too long. Begin again where you came from.",
    "code_unknown": "There is no device that waits under this code. Look at it again: codes last ten minutes.",
    "client_unknown": "The application that sent you here is not registered.",
    "redirect_uri_missing": "The application that sent you here did not say where to go afterwards.",
    "redirect_uri_unknown": "The application that sent you here wants you to go to an address that is not registered.",
    "logout_invalid": "The request to log you out is not valid. You are still logged in.",
    "logout_hint_bad": "The request to log you out is not valid. You are still logged in.",
    "logout_uri_unknown": "The request to log you out wants you to go to an address that is not registered."
    " You are still logged in.",
    "logged_out": "You are logged out.",
    "stayed": "You are still logged in.",
    "device_allowed": "The device is connected. You can close this page.",
    "device_denied": "The device was not connected. You can close this page.",
    "foreign": "This form was not made for this browser, or it is too old. Begin again where you came from.",
    "away": "A part of the system cannot be reached right now. Try again in a moment.",
}
SCOPES: Final = {
    "openid": "know who you are",
    "profile": "see your name",
    "email": "see your e-mail address",
    "address": "see your postal address",
    "phone": "see your phone number",
    "offline_access": "keep its access when you are not there",
    "api": "place and see orders, and whatever else you may do here",
}
TITLES: Final = {
    "login": "Log in",
    "second_factor": "Second step",
    "consent": "Allow access?",
    "logout": "Log out?",
    "device": "Connect a device",
    "done": "OrderHub",
    "error": "This did not work",
    "post": "One moment",
}
ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("orderhub_gateway", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(page: pb.Page) -> bytes:
    """HTML of what auth wants to be shown."""
    return _render(
        page.kind,
        interaction=page.interaction,
        client=page.client_name,
        scopes=[SCOPES[scope] for scope in page.scopes if scope in SCOPES],
        notice=NOTICES.get(page.notice, ""),
        # What the client did wrong is for its developers; what the person did wrong is in the notice.
        detail=page.detail if page.kind == "error" else "",
        email=page.email,
        user_code=page.user_code,
    )


def problem(notice: str) -> bytes:
    """A page that says what is wrong, and asks nothing."""
    return rendered(pb.Page(kind="error", notice=notice))


def posting(redirect: pb.Redirect) -> bytes:
    """Fields that the browser takes to the client by itself (OAuth 2.0 Form Post Response Mode, section 4)."""
    return _render("post", action=redirect.uri, fields=[(one.name, one.value) for one in redirect.fields])


def _render(kind: str, **values: Any) -> bytes:
    template = ENVIRONMENT.get_template(f"{kind}.html")
    return template.render(title=TITLES[kind], kind=kind, **values).encode()
