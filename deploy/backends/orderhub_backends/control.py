"""Up, down, status, and single processes stopped, killed and started: what the command and the tests of faults call."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import fetch, pins, processes
from .errors import NotReady, Refused
from .parts import PARTS
from .places import Places, write_private
from .processes import Identity, Program
from .room import Address, Part, Plan, Room

CLUSTER_SECONDS = 60.0
Processes = dict[str, dict[str, Identity]]


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
        with self._program(name) as (_, found):
            for _, process in found:
                processes.kill(process)

    def stop(self, name: str) -> None:
        with self._program(name) as (_, found):
            processes.stop_all(found)

    def start(self, name: str, *, wait: bool = True) -> None:
        """On the same data and port as before. `wait=False` for one member of a cluster that is no quorum yet."""
        with self._program(name) as (part, found):
            if any(processes.is_alive(process) for _, process in found):
                raise Refused(f"{name} is running")
            for program, _ in found:
                self._note(part.name, {program.name: processes.launch(program, self._log(program))})
            for program, _ in found if wait else []:
                self._wait(part.name, program)

    def is_running(self, name: str) -> bool:
        """Whether every process of the part, or the one named, is there."""
        found = [self._noted().get(name, {})] if name in self.parts else self._noted().values()
        wanted = [
            process for programs in found for one, process in programs.items() if name in (one, *self.parts)
        ]
        return bool(wanted) and all(processes.is_alive(process) for process in wanted)

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
        # Noted with the address before anything is ready: `down` has to find what did not come up.
        self._note_address(part.name, plan.address)
        for program in plan.programs:
            if not (program.name in noted and processes.is_alive(noted[program.name])):
                self._note(part.name, {program.name: processes.launch(program, self._log(program))})
        for program in plan.programs:
            self._wait(part.name, program)
        self._wait_whole(part.name, plan)
        return Line(part.name, self.version(part.name), "started", plan.address, time.monotonic() - begin)

    def _wait(self, part: str, program: Program) -> None:
        for attempt in range(program.restarts + 1):
            process = self._noted()[part][program.name]
            try:
                processes.wait_ready(program, process, self._log(program))
            except Refused:
                if processes.is_alive(process) or attempt == program.restarts:
                    raise
                time.sleep(0.5)
                self._note(part, {program.name: processes.launch(program, self._log(program))})
            else:
                return

    def _wait_whole(self, name: str, plan: Plan) -> None:
        until = time.monotonic() + CLUSTER_SECONDS
        while True:
            try:
                return plan.ready()
            except (NotReady, OSError) as problem:
                if time.monotonic() > until:
                    logs = "".join(processes.tail(self._log(program)) for program in plan.programs)
                    raise Refused(f"{name} is not ready as a whole: {problem}{logs}") from problem
            time.sleep(processes.POLL_SECONDS)

    def _down(self, name: str, keep: bool) -> Line:
        part, noted = self.parts[name], self._noted()[name]
        plan = self._planned(part)
        known = {program.name: program for program in plan.programs}
        processes.stop_all([(known[program], process) for program, process in noted.items()])
        if not keep:
            shutil.rmtree(self.places.run(name))
        self._forget(name)
        return Line(name, self.version(name), "stopped", {})

    @contextmanager
    def _program(self, name: str) -> Iterator[tuple[Part, list[tuple[Program, Identity]]]]:
        with self.places.one_at_a_time():
            for part_name, noted in self._noted().items():
                if name == part_name or name in noted:
                    part = self.parts[part_name]
                    programs = {program.name: program for program in self._planned(part).programs}
                    wanted = noted if name == part_name else [name]
                    yield part, [(programs[one], noted[one]) for one in wanted]
                    return
            known = [one for noted in self._noted().values() for one in noted]
            raise Refused(f"{name} was not started; started are {', '.join(known) or 'none'}")

    def _log(self, program: Program) -> Path:
        return self.places.log(program.name)

    # --- notes ----------------------------------------------------------------------------------------------------

    def _noted(self) -> Processes:
        path = self.places.processes
        raw: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text()) if path.exists() else {}
        return {
            part: {name: Identity(int(one["pid"]), one["started"]) for name, one in programs.items()}
            for part, programs in raw.items()
        }

    def _addresses(self) -> dict[str, Address]:
        path = self.places.running
        found: dict[str, Address] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _note(self, part: str, started: Mapping[str, Identity]) -> None:
        noted = self._noted()
        noted[part] = {**noted.get(part, {}), **started}
        self._write_noted(noted)

    def _note_address(self, part: str, address: Address) -> None:
        self._write_addresses({**self._addresses(), part: dict(address)})

    def _forget(self, part: str) -> None:
        self._write_noted({name: noted for name, noted in self._noted().items() if name != part})
        self._write_addresses({name: one for name, one in self._addresses().items() if name != part})

    def _write_noted(self, noted: Processes) -> None:
        raw = {
            part: {name: {"pid": str(one.pid), "started": one.started} for name, one in programs.items()}
            for part, programs in noted.items()
        }
        write_private(self.places.processes, json.dumps(raw, indent=1))

    def _write_addresses(self, addresses: Mapping[str, Address]) -> None:
        write_private(self.places.running, json.dumps(addresses, indent=1))


def _state(noted: Mapping[str, Identity]) -> str:
    alive = sum(processes.is_alive(process) for process in noted.values())
    if not alive:
        return "stopped" if not noted else "not running"
    return "running" if alive == len(noted) else f"{alive} of {len(noted)} running"


def summary(lines: Iterable[Line]) -> str:
    return ", ".join(f"{line.name} {line.seconds:.1f} s" for line in lines)
