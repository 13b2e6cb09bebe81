"""However `up` ends, nothing of it stays behind: no process, no port, no lock; and the data is there at the next start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from installation import Installation, is_alive, is_listening

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("stop")]

ENDS: dict[str, Callable[[Installation], object]] = {
    "SIGTERM": lambda installation: installation.stop(signal.SIGTERM),
    "SIGINT": lambda installation: installation.stop(signal.SIGINT),
    "kill -9": Installation.kill_launcher,
    "kill -9 of everything": Installation.kill_everything,
}


@pytest.fixture(scope="module", params=["1", "per-service"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Stopped."""
    installation = Installation(tmp_path_factory.mktemp("stop") / "home", processes=request.param)
    yield installation
    if installation.process is not None:
        installation.stop()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_nothing_stays_behind_and_the_next_start_goes_on_with_the_data(
    home: Installation, end: Callable[[Installation], object]
) -> None:
    home.start()
    order = home.json("order", "place", "--sku", "GOOD-HAY-B", "--wait", "30")
    assert order["status"] == "CONFIRMED"
    family, taken = home.family(), home.ports()
    assert len(family) > 8, "services, simulator, Redis, PostgreSQL and its processes"
    assert all(is_listening(port) for port in taken)
    end(home)
    home.until(lambda: not any(map(is_alive, family)), within=20)
    assert not [port for port in taken if is_listening(port)]
    assert not home.place.is_running
    home.start()
    assert home.json("order", "show", order["id"])["status"] == "CONFIRMED"
    home.check()
    assert home.stop() == 0


@pytest.mark.parametrize(("part", "called"), [("postgres", "PostgreSQL"), ("redis", "Redis")])
def test_a_lost_server_ends_it_with_one_line_and_the_next_start_goes_on(
    home: Installation, part: str, called: str
) -> None:
    home.start()
    order = home.json("order", "place", "--sku", "GOOD-HAY-B", "--wait", "30")
    family = home.family()
    os.kill(home.pid(part), signal.SIGKILL)
    assert home.ended() == 1
    assert f"orderhub: {called} ended by itself" in home.said
    home.until(lambda: not any(map(is_alive, family)), within=20)
    home.start()
    assert home.json("order", "show", order["id"])["status"] == "CONFIRMED"
    home.check()
    assert home.stop() == 0


def test_a_second_signal_ends_it_at_once_and_still_leaves_nothing(home: Installation) -> None:
    home.start()
    family, process = home.family(), home.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    home.until(lambda: "Stopping" in home.said.rpartition("is up in")[2])
    process.send_signal(signal.SIGTERM)
    assert home.ended() in (0, 130)  # 0 where it was done before the second one arrived
    home.until(lambda: not any(map(is_alive, family)), within=20)
    home.start()
    home.check()
    assert home.stop() == 0


def test_a_signal_during_the_start_ends_it_and_leaves_nothing(home: Installation) -> None:
    process = home.launch()
    home.until(lambda: len(home.family()) > 4)
    family = home.family()
    process.send_signal(signal.SIGTERM)
    assert home.ended() == 130
    home.until(lambda: not any(map(is_alive, family)), within=20)
    assert not home.place.is_running
    home.start()
    assert home.stop() == 0
