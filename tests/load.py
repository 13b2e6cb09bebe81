"""`orderhub load` in a process of its own, and what has to be true of the orders that it was told are accepted."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from installation import Installation

MIX: Final = "happy:5,declined:1,cancel:2,flaky:1,timeout:1"
SETTLED: Final = ("CONFIRMED", "REJECTED", "CANCELLED", "IN_DELIVERY", "COMPLETED")


class Load:
    """One run. It notes every order at once, and repeats each request under its key while the gateway is away.

    Whoever leaves its block early ends it.
    """

    def __init__(
        self,
        home: Installation,
        orders: int,
        *,
        rate: int,
        seed: int = 1,
        deliver: bool = False,
        connections: int = 64,
    ) -> None:
        self._record = home.folder.with_name(f"accepted-{secrets.token_hex(4)}.txt")
        command = [sys.executable, "-m", "orderhub", "load", "--json", "--mix", MIX, "--seed", str(seed)]
        command += ["--rate", str(rate), "--orders", str(orders), "--customers", "10"]
        command += ["--connections", str(connections)]
        command += ["--patience", "90s", "--settle-within", "90s", "--record", str(self._record)]
        self.process = subprocess.Popen(
            [*command, *["--deliver"] * deliver],
            env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    @property
    def accepted(self) -> list[str]:
        """The ids of the orders so far."""
        lines = self._record.read_text().splitlines() if self._record.exists() else []
        return [line.split()[0] for line in lines]

    @property
    def is_placing(self) -> bool:
        return self.process.poll() is None and bool(self.accepted)

    def report(self) -> Any:
        """What it found, once all is settled; `good` is its own verdict."""
        said, complained = self.process.communicate(timeout=240)
        assert self.process.returncode in (0, 4), f"load: {self.process.returncode} {said} {complained}"
        return json.loads(said.splitlines()[-1])


def assert_all_is_well(home: Installation, accepted: Sequence[str]) -> None:
    """Nothing accepted is lost or open, nobody paid twice, nothing waits for an operator, nothing was given up."""
    rows = home.sql_now("orders", "select id::text as id, status from orders")
    states = {row["id"]: row["status"] for row in rows}
    assert {id: states.get(id) for id in accepted if states.get(id) not in SETTLED} == {}
    open_runs = "select order_id, state from live_runs"
    assert home.sql_now("orders", open_runs) == []
    for service in ("orders", "inventory", "payments", "delivery"):
        assert home.sql_now(service, "select id, reason from dead_letters") == []
    twice = "select reference, count(*) from authorizations group by reference having count(*) > 1"
    assert home.sql_now("simulator", twice) == []


def during(
    home: Installation,
    fault: Callable[[Load], None],
    *,
    orders: int = 150,
    rate: int = 12,
    afterwards: int = 20,
) -> None:
    """Orders come in before, during and after the fault; none is lost, and all data fits together."""
    with Load(home, orders, rate=rate) as load:
        home.until(lambda: load.is_placing, within=60)
        fault(load)
        enough = min(len(load.accepted) + afterwards, orders)
        home.until(lambda: len(load.accepted) >= enough, within=90)
        found = load.report()
    assert found["good"], found
    assert_all_is_well(home, load.accepted)
    home.check()


def one_after_another(
    home: Installation,
    steps: Iterable[Callable[[], None]],
    orders: int,
    *,
    rate: int,
    between: int,
    again: int = 0,
    connections: int = 64,
) -> list[str]:
    """Take the steps while orders come in, `between` orders apart. Returns the ids of all orders.

    A machine that is slow may need more than one load for all of them: each further one places `again` orders, or as
    many as the first.
    """
    accepted: list[str] = []
    waiting = deque(steps)
    while waiting:
        with Load(home, orders, rate=rate, deliver=True, connections=connections) as load:
            while waiting and len(load.accepted) + between < orders:
                placed = len(load.accepted)
                home.until(lambda placed=placed, load=load: len(load.accepted) >= placed + between, within=90)
                waiting.popleft()()
            report = load.report()
        assert report["good"], report
        assert report["accepted"] == orders, report
        accepted += load.accepted
        orders = again or orders
    return accepted
