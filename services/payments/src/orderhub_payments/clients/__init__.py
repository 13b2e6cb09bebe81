"""The card providers that the settings configure; here, and nowhere else, it is decided who is who."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from orderhub_chassis.clock import Clock

from orderhub_payments.clients.provider import Provider, ProviderRecord
from orderhub_payments.clients.simulator import simulator
from orderhub_payments.clients.stripe import stripe
from orderhub_payments.model import Operation, Result, Transient
from orderhub_payments.settings import ProviderSettings

__all__ = ["Provider", "ProviderRecord", "Providers", "opened"]


class Providers:
    """Whoever is configured, by name. New payments are `chosen`'s; every other stays with whom it began."""

    def __init__(self, chosen: Provider, *others: Provider) -> None:
        self.chosen = chosen.name
        self._by_name: Mapping[str, Provider] = {one.name: one for one in (chosen, *others)}

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Provider | None:
        return self._by_name.get(name)

    async def execute(self, asked: Sequence[tuple[str, Operation]]) -> list[Result]:
        """Pairs of a provider's name and what to ask it; one result each, in order."""
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, (name, _) in enumerate(asked):
            places[name].append(place)
        groups = [self._execute(name, [asked[i][1] for i in found]) for name, found in places.items()]
        answers = await asyncio.gather(*groups)
        results: dict[int, Result] = {}
        for found, given in zip(places.values(), answers, strict=True):
            results |= zip(found, given, strict=True)
        return [results[place] for place in range(len(asked))]

    async def _execute(self, name: str, operations: Sequence[Operation]) -> list[Result]:
        provider = self._by_name.get(name)
        if provider is None:
            return [Transient(not_configured(name))] * len(operations)
        return await provider.execute(operations)


def not_configured(name: str) -> str:
    """What an operation waits for."""
    return f"the payment's provider {name!r} is not configured: set ORDERHUB_PAYMENTS_{name.upper()}_*"


@asynccontextmanager
async def opened(settings: ProviderSettings, clock: Clock) -> AsyncIterator[Providers]:
    """Every provider that the settings describe; the one that ORDERHUB_PAYMENTS_PROVIDER names is chosen."""
    async with AsyncExitStack() as stack:
        found: dict[str, Provider] = {}
        if settings.simulator_url and settings.simulator_api_key:
            found["simulator"] = await stack.enter_async_context(
                simulator(
                    settings.simulator_url,
                    settings.simulator_api_key.get_secret_value(),
                    timeout=settings.provider_timeout,
                    parallel=settings.worker_parallel,
                )
            )
        if settings.stripe_api_key:
            found["stripe"] = await stack.enter_async_context(
                stripe(
                    settings.stripe_url,
                    settings.stripe_api_key.get_secret_value(),
                    clock=clock,
                    timeout=settings.stripe_timeout,
                    parallel=settings.stripe_parallel,
                )
            )
        chosen = found.pop(settings.provider)
        yield Providers(chosen, *found.values())
