"""Redis dies, stays away, comes back with nothing in it, or is emptied, while orders run: none of them is lost."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import backends
import httpx
import pytest
from installation import Installation
from load import Load, assert_all_is_well
from orderhub import embedded
from redis import Redis

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("redis-lost")]

ORDERS, RATE = 150, 25
DURING = 40
"""Orders that are accepted between two blows."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture
def cache(folder: Path) -> Iterator[embedded.Redis]:
    server = embedded.start_redis(folder)
    yield server
    server.stop()


def started(tmp_path: Path, redis_url: str) -> Installation:
    installation = Installation(tmp_path / "home", "3", {"ORDERHUB_REDIS_URL": redis_url})
    installation.start()
    installation.json("seed", "--bench")
    return installation


def until_more(home: Installation, load: Load) -> None:
    """So many more orders are accepted, so nothing has stopped."""
    wanted = len(load.accepted) + DURING
    home.until(lambda: len(load.accepted) >= wanted or load.process.poll() is not None, within=60)
    assert len(load.accepted) >= wanted


def finished(home: Installation, load: Load) -> None:
    found = load.report()
    assert found["good"], found
    assert_all_is_well(home, load.accepted)
    home.check()


def login(home: Installation) -> httpx.Response:
    body = {"email": "nobody@example.org", "password": "a wrong guess"}
    return httpx.post(f"{home.url}/api/v1/auth/login", json=body, trust_env=False)


def test_a_redis_that_is_killed_and_comes_back_empty_loses_no_order(
    tmp_path: Path, folder: Path, cache: embedded.Redis
) -> None:
    home = started(tmp_path, cache.url())
    again = None
    try:
        with Load(home, ORDERS, rate=RATE, seed=3) as load:
            home.until(lambda: load.is_placing, within=60)
            os.kill(cache.pid, signal.SIGKILL)
            cache.child.wait()
            home.until(lambda: login(home).status_code == 503)
            until_more(home, load)
            shutil.rmtree(folder)
            again = embedded.start_redis(folder)
            home.until(lambda: login(home).status_code == 401)
            until_more(home, load)
            finished(home, load)
    finally:
        home.stop()
        if again is not None:
            again.stop()


def test_a_redis_that_is_emptied_again_and_again_loses_no_order(
    tmp_path: Path, backend: backends.Backend
) -> None:
    url = backends.secure_redis(backend)
    home, client = started(tmp_path, url), Redis.from_url(url)
    try:
        with Load(home, ORDERS, rate=RATE, seed=4) as load:
            home.until(lambda: load.is_placing, within=60)
            for _ in range(2):
                client.flushall()
                client.script_flush()
                until_more(home, load)
            finished(home, load)
    finally:
        client.close()
        home.stop()
