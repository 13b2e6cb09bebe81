"""Up, down, status, and single processes stopped, killed and started: what the command and the tests of faults call."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import fetch, pins, processes
from .errors import NotReady, Refused
from .parts import PARTS
from .places import Places, write_private
from .processes import Identity, Program, Running
from .room import Address, Part, Plan, Room

CLUSTER_SECONDS = 60.0
RESTART_SECONDS = 0.5
Notes = dict[str, dict[str, Running]]


@dataclass(frozen=True)
class Line:
    """What is said of one part: `state` is running, started, stopped or "1 of 3 running"."""

    name: str
    version: str
    state: str
    address: Address
    seconds: float = 0.0


@dataclass
class Backends:
    """The parts of one checkout. Every public method holds the checkout's lock; none may be called within another."""

    places: Places = field(default_factory=Places.here)
    parts: Mapping[str, Part] = field(default_factory=lambda: PARTS)

    def up(self, names: Sequence[str] = ()) -> Iterator[Line]:
        """Yields a line for each part as soon as it is ready; what they need comes first."""
        chosen = self.with_needs(names)
        with self.places.one_at_a_time():
            for part in chosen:
                yield self._up(part)

    def down(self, names: Sequence[str] = (), *, keep: bool = False) -> Iterator[Line]:
        """Stops what is noted, last started first; with `keep` the data stay for the next `up`."""
        with self.places.one_at_a_time():
            noted = self._noted()
            chosen = self.with_dependants(names) if names else set(noted)
            for name in [one for one in reversed(noted) if one in chosen]:
                yield self._down(name, keep)

    def status(self) -> list[Line]:
        noted, addresses = self._noted(), self._addresses()
        return [
            Line(name, self.version(name), _state(noted.get(name, {})), addresses.get(name, {}))
            for name in self.parts
        ]

    def kill(self, name: str) -> None:
        """`name` is a part or one of its programs (kafka-2); it is gone at return, and its data stay."""
        with self.places.one_at_a_time():
            for running in self._found(name)[1].values():
                processes.kill(running.process)

    def stop(self, name: str) -> None:
        with self.places.one_at_a_time():
            processes.stop_all(list(self._found(name)[1].values()))

    def start(self, name: str, *, wait: bool = True) -> None:
        """On the same data and port as before. `wait=False` for one member of a cluster that is no quorum yet."""
        with self.places.one_at_a_time():
            part, found = self._found(name)
            if any(running.is_alive() for running in found.values()):
                raise Refused(f"{name} is running")
            programs = [program for program in self._planned(part).programs if program.name in found]
            for program in programs:
                self._launch(part, program)
            for program in programs if wait else []:
                self._wait(part, program)

    def is_running(self, name: str) -> bool:
        """Whether every process of the part, or the one named, is there. Raises Refused when it was never started."""
        return all(running.is_alive() for running in self._found(name)[1].values())

    def address(self, name: str) -> Address:
        """Raises Refused when the part was never started."""
        self._found(name)
        return self._addresses()[name]

    def install(self, names: Sequence[str] = ()) -> None:
        for part in self.with_needs(names):
            self._installed(part)

    # --- which ----------------------------------------------------------------------------------------------------

    def with_needs(self, names: Sequence[str]) -> list[Part]:
        """In the order of the table; all of them for no name."""
        wanted = set(names or self.parts)
        unknown = sorted(wanted - set(self.parts))
        if unknown:
            raise Refused(f"there is no {', '.join(unknown)}; there are {', '.join(self.parts)}")
        for part in reversed(list(self.parts.values())):
            if part.name in wanted:
                wanted.update(part.needs)
        return [part for part in self.parts.values() if part.name in wanted]

    def with_dependants(self, names: Sequence[str]) -> set[str]:
        self.with_needs(names)
        chosen = set(names)
        for part in self.parts.values():
            if chosen & set(part.needs):
                chosen.add(part.name)
        return chosen

    def version(self, name: str) -> str:
        return pins.all_pins()[self.parts[name].pins[0]].version

    # --- one part -------------------------------------------------------------------------------------------------

    def _installed(self, part: Part) -> dict[str, Path]:
        known = pins.all_pins()
        return {name: fetch.installed(known[name], self.places.cache) for name in part.pins}

    def _planned(self, part: Part) -> Plan:
        addresses = self._addresses()
        others = {name: addresses[name] for name in part.needs}
        return part.plan(Room(self.places.run(part.name), self._installed(part), others))

    def _up(self, part: Part) -> Line:
        begin = time.monotonic()
        noted = self._noted().get(part.name, {})
        if _state(noted) == "running":
            address = self._addresses()[part.name]
            return Line(part.name, self.version(part.name), "running already", address)
        plan = self._planned(part)
        # Noted before anything is ready: `down` has to find what did not come up.
        self._note_address(part.name, plan.address)
        for program in plan.programs:
            if not (program.name in noted and noted[program.name].is_alive()):
                self._launch(part, program)
        for program in plan.programs:
            self._wait(part, program)
        self._wait_whole(part.name, plan)
        return Line(part.name, self.version(part.name), "started", plan.address, time.monotonic() - begin)

    def _launch(self, part: Part, program: Program) -> None:
        running = processes.launch(program, self.places.log(program.name))
        noted = self._noted()
        noted[part.name] = {**noted.get(part.name, {}), program.name: running}
        self._write_noted(noted)

    def _wait(self, part: Part, program: Program) -> None:
        for attempt in range(program.restarts + 1):
            running = self._noted()[part.name][program.name]
            try:
                processes.wait_ready(program, running.process, self.places.log(program.name))
            except Refused:
                if running.is_alive() or attempt == program.restarts:
                    raise
            else:
                return
            time.sleep(RESTART_SECONDS)
            self._launch(part, program)

    def _wait_whole(self, name: str, plan: Plan) -> None:
        until = time.monotonic() + CLUSTER_SECONDS
        while True:
            try:
                return plan.ready()
            except (NotReady, OSError) as problem:
                if time.monotonic() > until:
                    logs = "".join(processes.tail(self.places.log(program.name)) for program in plan.programs)
                    raise Refused(f"{name} is not ready as a whole: {problem}{logs}") from problem
            time.sleep(processes.POLL_SECONDS)

    def _down(self, name: str, keep: bool) -> Line:
        processes.stop_all(list(self._noted()[name].values()))
        if not keep:
            shutil.rmtree(self.places.run(name))
        self._forget(name)
        return Line(name, self.version(name), "stopped", {})

    def _found(self, name: str) -> tuple[Part, dict[str, Running]]:
        """The part of that name with all its programs, or the part of that program with it alone."""
        noted = self._noted()
        for part, programs in noted.items():
            if name == part:
                return self.parts[part], programs
            if name in programs:
                return self.parts[part], {name: programs[name]}
        known = ", ".join(one for programs in noted.values() for one in programs)
        raise Refused(f"{name} was not started; started are {known or 'none'}")

    # --- notes ----------------------------------------------------------------------------------------------------

    def _noted(self) -> Notes:
        path = self.places.processes
        raw: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text()) if path.exists() else {}
        return {
            part: {name: _running(one) for name, one in programs.items()} for part, programs in raw.items()
        }

    def _addresses(self) -> dict[str, Address]:
        path = self.places.running
        found: dict[str, Address] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _note_address(self, part: str, address: Address) -> None:
        self._write_addresses({**self._addresses(), part: dict(address)})

    def _forget(self, part: str) -> None:
        self._write_noted({name: noted for name, noted in self._noted().items() if name != part})
        self._write_addresses({name: one for name, one in self._addresses().items() if name != part})

    def _write_noted(self, noted: Notes) -> None:
        raw = {part: {name: _text(one) for name, one in programs.items()} for part, programs in noted.items()}
        write_private(self.places.processes, json.dumps(raw, indent=1))

    def _write_addresses(self, addresses: Mapping[str, Address]) -> None:
        write_private(self.places.running, json.dumps(addresses, indent=1))


def _text(running: Running) -> dict[str, str]:
    return {
        "pid": str(running.process.pid),
        "started": running.process.started,
        "stop_signal": running.stop_signal.name,
        "grace_seconds": str(running.grace_seconds),
    }


def _running(text: Mapping[str, str]) -> Running:
    process = Identity(int(text["pid"]), text["started"])
    return Running(process, signal.Signals[text["stop_signal"]], float(text["grace_seconds"]))


def _state(noted: Mapping[str, Running]) -> str:
    if not noted:
        return "stopped"
    alive = sum(running.is_alive() for running in noted.values())
    if alive == len(noted):
        return "running"
    return f"{alive} of {len(noted)} running" if alive else "not running"
