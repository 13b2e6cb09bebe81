"""`doctor` about card providers: asked with their keys; what is wrong is named with its remedy."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from orderhub import doctor, home, ports, providers
from orderhub.exits import Exit
from orderhub.output import Output
from orderhub_payments.settings import ProviderSettings

sys.path.append(str(Path(__file__).parents[2] / "services" / "payments" / "tests"))

from stripe_server import API_KEY, SECRET, StripeServer, running

SIMULATOR = {"simulator_url": "http://127.0.0.1:1", "simulator_api_key": "a-key-for-tests-only"}


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[StripeServer]:
    async with running() as started:
        yield started


def by_stripe(url: str, **over: Any) -> ProviderSettings:
    given = {"stripe_url": url, "stripe_api_key": API_KEY, "stripe_webhook_secret": SECRET}
    return ProviderSettings(**{"provider": "stripe", **given, **over})


async def of_stripe(url: str, **over: Any) -> tuple[str, str]:
    (found,) = await providers.examined(by_stripe(url, **over))
    assert found.what == f"card provider stripe at {url.partition('://')[2]}"
    assert API_KEY not in found.seen + found.wrong
    return found.seen, found.wrong


async def test_a_stripe_that_takes_our_key_and_version(server: StripeServer) -> None:
    assert await of_stripe(server.url) == (f"takes our API key and speaks {server.speaks}", "")
    assert {method for method, _, _ in server.asked} == {"GET"}, "nothing is changed"


async def test_a_key_that_stripe_does_not_know_or_that_may_not_read(server: StripeServer) -> None:
    _, wrong = await of_stripe(server.url, stripe_api_key="sk_test_of_somebody_else")
    assert wrong.startswith("Stripe refuses our API key (401): set ORDERHUB_PAYMENTS_STRIPE_API_KEY to a key")
    server.may_not_read = "/refunds"
    _, wrong = await of_stripe(server.url)
    assert wrong.startswith("Stripe refuses our API key (403): set ORDERHUB_PAYMENTS_STRIPE_API_KEY to a key")


async def test_a_version_that_stripe_does_not_speak_and_an_address_that_it_does_not_have(
    server: StripeServer,
) -> None:
    _, wrong = await of_stripe(f"{server.url}/v1")
    assert wrong.endswith("no such address (404): look at ORDERHUB_PAYMENTS_STRIPE_URL")
    server.speaks = "2031-01-01.elder"
    _, wrong = await of_stripe(server.url)
    assert wrong.endswith("another release of OrderHub is needed")


async def test_nobody_there_is_told_as_of_every_server(server: StripeServer) -> None:
    """The chosen one first, and the one whose payments may still be open."""
    settings = by_stripe(server.url, provider="simulator", **SIMULATOR)
    simulator, stripe = await providers.examined(settings)
    assert simulator.wrong.startswith("127.0.0.1:1: nobody listens there")
    assert stripe.wrong == ""
    _, wrong = await of_stripe("http://127.0.0.1:1")
    assert wrong.startswith("127.0.0.1:1: nobody listens there")


async def test_a_simulator_with_another_key(server: StripeServer) -> None:
    """Whoever answers 401: the adapter is payments' own, whose tests have the simulator itself."""
    (found,) = await providers.examined(
        ProviderSettings(**SIMULATOR | {"simulator_url": server.url}, provider="simulator")
    )
    assert found.wrong == (
        "the provider refuses our API key (401): look at ORDERHUB_PAYMENTS_SIMULATOR_API_KEY"
    )


async def test_doctor_asks_the_provider_that_the_settings_choose(
    server: StripeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = home.at(tmp_path / "home")
    assert await asyncio.to_thread(providers.look, place) == [], "nobody is configured"
    for name, value in {
        "PROVIDER": "stripe", "STRIPE_API_KEY": API_KEY, "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_URL": server.url,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"ORDERHUB_PAYMENTS_{name}", value)
    output, port = Output(as_json=True), ports.free_port()
    assert await asyncio.to_thread(doctor.run, place, output, port=port) == Exit.DONE
    assert "card provider stripe at" in capsys.readouterr().out
    monkeypatch.setenv("ORDERHUB_PAYMENTS_STRIPE_API_KEY", "sk_test_of_somebody_else")
    assert await asyncio.to_thread(doctor.run, place, output, port=port) == Exit.FOUND


async def test_the_simulator_of_a_running_product_is_asked_without_any_setting(
    server: StripeServer, tmp_path: Path
) -> None:
    with home.opened(tmp_path / "home", unfinished=True) as held:
        held.secret("simulator_api_key")
        held.write_runtime(home.Runtime(os.getpid(), "now", addresses={"simulator": server.url}))
        (found,) = await asyncio.to_thread(providers.look, home.at(held.path))
    assert found.what == f"card provider simulator at {server.url.partition('://')[2]}"
    assert [path for _, path, _ in server.asked] == ["/v1/authorizations"]
