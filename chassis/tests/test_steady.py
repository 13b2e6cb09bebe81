"""The clock of a running service: steps are not believed, a server's time is; slow corrections are followed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from orderhub_chassis import steady
from orderhub_chassis.clock import ManualClock, SystemClock
from orderhub_chassis.service import Surroundings
from orderhub_chassis.settings import CommonSettings, SettingsError
from orderhub_chassis.steady import SteadyClock

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


class Machine:
    """A wall clock and a counter, both moved by the test."""

    def __init__(self):
        self.wall, self.count = ManualClock(), 0.0
        self.begun = self.wall.now()
        self.clock = SteadyClock(self.wall, counted=lambda: self.count)

    def passes(self, time):
        self.wall.advance(time)
        self.count += time.total_seconds()

    @property
    def since(self):
        return self.clock.now() - self.begun


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 1.5 * SECOND])
def test_a_step_of_the_wall_clock_moves_no_time_and_neither_does_the_way_back(jump):
    machine = Machine()
    machine.passes(5 * SECOND)
    machine.wall.advance(jump)
    assert machine.since == 5 * SECOND
    machine.passes(5 * SECOND)
    assert machine.since == 10 * SECOND
    machine.wall.advance(-jump)
    machine.passes(SECOND)
    assert machine.since == 11 * SECOND


def test_slow_corrections_are_followed():
    machine = Machine()
    for _ in range(100):
        machine.passes(SECOND)
        machine.wall.advance(timedelta(milliseconds=50))
        machine.clock.now()
    assert machine.since == 105 * SECOND


def test_what_a_server_says_is_taken_over_once_it_differs_by_more_than_a_second():
    machine = Machine()
    asked_at = machine.clock.now()
    machine.passes(timedelta(milliseconds=200))
    machine.clock.agree(asked_at + 0.9 * SECOND, asked_at)
    assert machine.since == timedelta(milliseconds=200)
    machine.clock.agree(asked_at + HOUR, asked_at)
    assert machine.since == HOUR + timedelta(milliseconds=100)
    machine.clock.agree(machine.clock.now() - HOUR, machine.clock.now())
    assert machine.since == timedelta(milliseconds=100)


def test_a_slow_answer_is_no_difference():
    machine = Machine()
    asked_at = machine.clock.now()
    machine.passes(30 * SECOND)
    machine.clock.agree(asked_at + SECOND, asked_at)
    assert machine.since == 30 * SECOND


async def test_only_a_clock_that_listens_is_compared():
    async def never():
        raise AssertionError("asked")

    await steady.compare(ManualClock(), never)
    machine = Machine()

    async def later():
        return machine.begun + HOUR

    await steady.compare(machine.clock, later)
    assert machine.since == HOUR


def test_a_file_moves_the_clock_of_a_running_process(tmp_path):
    file = tmp_path / "clock"
    file.write_text("3600")
    clock = steady.MovedClock(file)
    assert clock.now() - SystemClock().now() > 0.9 * HOUR
    file.write_text("-3600")
    while clock.now() - SystemClock().now() > -0.9 * HOUR:
        pass


class Settings(CommonSettings):
    pass


def test_a_clock_file_is_for_tests_alone(tmp_path: Path):
    file = tmp_path / "clock"
    with pytest.raises(SettingsError, match="needs ORDERHUB_ALLOW_CLOCK_FILE=true"):
        Surroundings().of(Settings(clock_file=file))
    with pytest.raises(SettingsError, match=r"ORDERHUB_CLOCK_FILE: .*No such file"):
        Surroundings().of(Settings(clock_file=file, allow_clock_file=True))
    file.write_text("0")
    assert isinstance(Surroundings().of(Settings(clock_file=file, allow_clock_file=True)).clock, SteadyClock)
