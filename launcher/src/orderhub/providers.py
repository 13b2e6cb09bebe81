"""What `doctor` asks of the card providers that payments are configured with: each as payments will ask it.

The simulator that `up` brings along is asked while it runs; without settings and without it there is nobody to ask.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from orderhub_chassis import outages
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.settings import SettingsError, load
from orderhub_payments.clients import Provider, opened
from orderhub_payments.settings import ProviderSettings

from orderhub import home
from orderhub.backends import SECONDS, Diagnosis

PATIENCE: Final = timedelta(seconds=SECONDS)


def look(place: home.Home) -> list[Diagnosis]:
    """Settings that are no good are named by another part of `doctor`."""
    try:
        settings = load(ProviderSettings, **_running(place))
    except SettingsError:
        return []
    return asyncio.run(examined(settings))


def _running(place: home.Home) -> dict[str, str]:
    """What `up` tells payments of the simulator that it has started."""
    runtime = place.runtime()
    if runtime is None:
        return {}
    return {
        "simulator_url": runtime.addresses["simulator"],
        "simulator_api_key": place.secrets()["simulator_api_key"],
    }


async def examined(settings: ProviderSettings) -> list[Diagnosis]:
    """The chosen one first, and those whose payments may still be open."""
    quick = settings.model_copy(update={"stripe_timeout": PATIENCE, "provider_timeout": PATIENCE})
    places = {"simulator": settings.simulator_url or "", "stripe": settings.stripe_url}
    async with opened(quick, SystemClock()) as providers:
        return [await _examined(one, outages.place(places[one.name])) for one in providers]


async def _examined(provider: Provider, where: str) -> Diagnosis:
    what = f"card provider {provider.name} at {where}"
    try:
        return Diagnosis(what, await provider.examine())
    except Unavailable as error:
        outage = outages.explain(error)
        return Diagnosis(
            what, "", error.detail if outage.kind is outages.Kind.OTHER else f"{where}: {outage.words}"
        )
