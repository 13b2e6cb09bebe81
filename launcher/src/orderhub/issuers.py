"""What `doctor` asks of the issuers of tokens beside auth: what the gateway asks, by the gateway's own code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from orderhub_chassis import outages
from orderhub_gateway import discovery, issuers
from orderhub_gateway.errors import IssuerAway
from orderhub_gateway.issuers import Issuer
from orderhub_gateway.keys import Key, public_keys

VARIABLES: Final = ("ORDERHUB_GATEWAY_OIDC_ISSUERS", issuers.VARIABLE)
"""As a settings file may have it under the gateway, and everywhere."""


def configured(given: Mapping[str, str]) -> tuple[Issuer, ...]:
    """None where the setting is no good: another line of `doctor` says so."""
    try:
        found = [one for name in VARIABLES for one in issuers.parse(given.get(name, ""))]
    except ValueError:
        return ()
    return tuple({one.issuer: one for one in found}.values())


async def judged(one: Issuer) -> tuple[str, str]:
    """What is seen of an issuer, and what is wrong with it."""
    where = outages.place(one.jwks_url or one.issuer)
    try:
        async with discovery.session() as http:
            found = public_keys(await discovery.Fetch(http, one)())
    except IssuerAway as away:
        return "", f"{where}: {away.detail}: {away.mend}"
    keys = [key for same in found.values() for key in same]
    good = [key for key in keys if any(key.signs(alg) for alg in one.algorithms)]
    if not good:
        return "", f"{where}: {_other_algorithms(keys, one)}"
    return f"{len(good)} of {len(keys)} keys are for {', '.join(one.algorithms)}", ""


def _other_algorithms(keys: Collection[Key], one: Issuer) -> str:
    theirs = ", ".join(sorted({key.alg or key.public["kty"] for key in keys}))
    return (
        f"none of its keys ({theirs}) is for {', '.join(one.algorithms)}: write into algorithms what it signs with,"
        " or let it make such a key"
    )
