"""The README's tour, word for word: its code blocks are run as they stand, and have to show what the text says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from orderhub import home, ports

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOUR = BLOCK.findall((ROOT / "README.md").read_text())
SHOWN = (
    ("FISH-GUPPY-6", '"available":250'),
    ('"status":"CONFIRMED"', "GOOD-HEATPK"),
    ("The order is placed", "CONFIRMED"),
    ("The payment is captured", "The order is confirmed"),
    ("The order is cancelled", '"status":"REFUNDED"', '"available":250'),
    ("REJECTED", "EU-AGE-02", "without their mother"),
    ("100 of 100 accepted", "all clean"),
)
"""What each block has to print."""

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("tour")]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`make up` as the README says: on port 8080. Yields the environment of the second terminal."""
    ports.require_free(8080)
    place = home.at(tmp_path_factory.mktemp("tour") / "home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
    environment = {**kept, "ORDERHUB_HOME": str(place.path)}
    up = subprocess.Popen(["make", "up"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    said = []
    for line in up.stdout:
        said.append(line)
        if "Ctrl-C stops" in line:
            break
    try:
        assert up.poll() is None, "".join(said)
        yield environment
    finally:
        subprocess.run(["./orderhub", "down"], cwd=ROOT, env=environment, check=True)
        up.communicate(timeout=60)


def test_every_block_has_its_expectation() -> None:
    assert len(TOUR) == len(SHOWN)


@pytest.mark.parametrize("round_", ["first", "again"])
def test_the_tour_runs_word_for_word_and_again(round_: str, product: dict[str, str]) -> None:
    for block, expected in zip(TOUR, SHOWN, strict=True):
        done = subprocess.run(
            ["sh", "-eu", "-c", block],
            cwd=ROOT,
            env=product,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        for words in expected:
            assert words in done.stdout, f"{words!r} is not shown by\n{block}\n{done.stdout}"
