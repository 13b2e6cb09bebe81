"""`kill -9` under load: of the launcher alone, and of everything at once, PostgreSQL, Redis and the provider included.

After each restart on the same home every order that a client was told about is there and settles, and everything fits
together. ORDERHUB_TEST_SEED repeats a run's moments.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installation import Installation
from load import Load, assert_all_is_well

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("kill")]

SEED = int(os.environ.get("ORDERHUB_TEST_SEED", "20260917"))
KILLS = 5
RATE, SECONDS = 30, 8


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "home", processes=request.param)
    try:
        installation.start()
        installation.json("seed", "--bench")
        yield installation
    finally:
        if installation.process is not None:
            installation.stop()


@pytest.mark.parametrize(
    ("home", "kill"),
    [("3", Installation.kill_launcher), ("1", Installation.kill_everything)],
    ids=["the-launcher", "everything"],
    indirect=["home"],
)
def test_every_accepted_order_is_there_and_settles_after_kill_9_at_seeded_moments(
    home: Installation, kill: Callable[[Installation], None]
) -> None:
    dice = random.Random(f"{SEED} {home.processes}")
    accepted: list[str] = []
    for number in range(KILLS):
        moment, again, seed = dice.uniform(0.05, SECONDS - 2), dice.random() < 0.3, dice.randrange(1, 10**6)
        print(f"seed {SEED}, kill {number + 1}: {moment:.3f} s after the first order, twice: {again}")
        with Load(home, RATE * SECONDS, rate=RATE, seed=seed, deliver=number % 2 == 1) as load:
            home.until(lambda load=load: load.is_placing)
            time.sleep(moment)
            assert load.process.poll() is None, load.process.communicate()
            kill(home)
            if again:  # and once more while it is starting
                home.launch()
                time.sleep(dice.uniform(0.3, 3.0))
                kill(home)
            home.start()
            found = load.report()
        print({name: found[name] for name in ("retries", "states", "seconds_settling")})
        assert found["good"], found
        assert found["accepted"] == found["asked"] == RATE * SECONDS
        accepted += load.accepted
        home.check()
    assert len(accepted) == len(set(accepted)) == KILLS * RATE * SECONDS
    assert_all_is_well(home, accepted)
    home.stop()
    home.check()
