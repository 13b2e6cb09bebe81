"""The saga engine: moves a run along its table of steps. It knows no order, no SQL and no clock.

All functions are pure over a loaded run and its subject; they change both in place and return the messages to send.

- A step that has nothing to do for this subject is passed over, forward and backward.
- A step is retried before the run compensates. Compensation covers every step whose command was ever sent, the
  latest first; undoing nothing succeeds at the participant.
- The epoch counts over all runs of a subject; starting a run or turning to compensation raises it, a retry does not.
- Once the pivot's command is sent, no time-out compensates; only a definite failure of the pivot itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from google.protobuf.message import Message
from orderhub_chassis.messages import Outgoing
from orderhub_contracts.common.v1.common_pb2 import Reason
from orderhub_contracts.events.v1.records_pb2 import SagaRef
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply

BACKOFF_CAP = timedelta(minutes=1)
TRANSIENT_PAUSE = timedelta(seconds=1)
COMPENSATION_ATTEMPTS = 20
"""About a quarter of an hour; then an operator is asked, though a late answer is still taken."""


class State(StrEnum):
    RUNNING = "RUNNING"
    HELD = "HELD"
    PIVOT_UNKNOWN = "PIVOT_UNKNOWN"
    COMPENSATING = "COMPENSATING"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    STUCK = "STUCK"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


OVER = frozenset({State.SUCCEEDED, State.FAILED})
FORWARD = frozenset({State.RUNNING, State.PIVOT_UNKNOWN, State.STUCK})
BACKWARD = frozenset({State.COMPENSATING, State.COMPENSATION_FAILED})
OPERATORS_QUEUE = frozenset({State.COMPENSATION_FAILED, State.STUCK})


class Subject(Protocol):
    """What a saga is about. `changed` says that it has to be kept: a raised epoch alone is reason enough."""

    id: UUID
    epoch: int
    changed: bool


T = TypeVar("T", bound=Subject)


class Run(msgspec.Struct):
    """One run of a definition. `step` is the step under way, forward or backward."""

    id: UUID
    subject_id: UUID
    definition: str
    version: int
    state: State
    step: int
    epoch: int
    attempts: int
    deadline_at: datetime | None
    expires_at: datetime
    created_at: datetime
    # When the run last moved: the command of the step under way was sent then.
    moved_at: datetime
    stop_requested: bool = False
    reason: Reason = msgspec.field(default_factory=Reason)
    changed: bool = True

    @property
    def over(self) -> bool:
        return self.state in OVER


class Step(msgspec.Struct, Generic[T], frozen=True):
    """One row of a saga's table.

    `command` and `compensation` make the message from the subject; `on_success` tells the subject what else the
    participant answered. `timeout` is per attempt; after `retries` more attempts the run compensates. `needed` may look
    only at what stays the same while a run is under way.
    """

    name: str
    command: Callable[[T], Message]
    on_success: Callable[[T, SagaReply], None] | None = None
    compensation: Callable[[T], Message] | None = None
    timeout: timedelta = timedelta(seconds=10)
    retries: int = 3
    pivot: bool = False
    needed: Callable[[T], bool] = lambda subject: True

    def succeeded(self, subject: T, reply: SagaReply) -> None:
        if self.on_success is not None:
            self.on_success(subject, reply)


class Definition(msgspec.Struct, Generic[T], frozen=True):
    """A saga as a table that can be read; `finished` and `undone` put its end into the subject."""

    name: str
    version: int
    steps: tuple[Step[T], ...]
    timeout: timedelta
    hold_timeout: timedelta
    finished: Callable[[T, Run], None]
    undone: Callable[[T, Run], None]
    held: Callable[[T, Run], None]
    resumed: Callable[[T, Run], None]

    @property
    def pivot(self) -> int:
        return next((i for i, step in enumerate(self.steps) if step.pivot), len(self.steps))

    def step_from(self, number: int, subject: T) -> int:
        """The next step that this subject needs, `number` itself or a later one; how many there are where none is."""
        last = len(self.steps)
        return next((i for i in range(number, last) if self.steps[i].needed(subject)), last)

    def past_pivot(self, run: Run) -> bool:
        """The pivot's command has been sent, and it has not definitely failed."""
        return run.step >= self.pivot


Definitions = Mapping[tuple[str, int], Definition[Any]]


def start(definition: Definition[T], subject: T, *, id: UUID, now: datetime) -> tuple[Run, list[Outgoing]]:
    """A new run and the command of its first step."""
    subject.epoch, subject.changed = subject.epoch + 1, True
    run = Run(
        id, subject.id, definition.name, definition.version, State.RUNNING, definition.step_from(0, subject),
        subject.epoch, 0, None, now + definition.timeout, now, now,
    )  # fmt: skip
    return run, _send_command(definition, run, subject, now)


def on_reply(
    definition: Definition[T], run: Run, subject: T, saga: SagaRef, reply: SagaReply, *, now: datetime
) -> list[Outgoing]:
    """The first definite answer to the step under way; anything else is late and changes nothing."""
    if not awaits(run, saga):
        return []
    if saga.compensation:
        return _on_compensated(definition, run, subject, reply, now)
    match reply.outcome:
        case replies_pb2.OUTCOME_SUCCEEDED:
            definition.steps[run.step].succeeded(subject, reply)
            return _advance(definition, run, subject, now)
        case replies_pb2.OUTCOME_HELD:
            return _hold(definition, run, subject, reply, now)
        case replies_pb2.OUTCOME_UNKNOWN:
            return _unknown(definition, run, now)
        case _:
            return _on_failed(definition, run, subject, reply, now)


def awaits(run: Run, saga: SagaRef) -> bool:
    """Whether this answers the step under way. A run that waits for an operator still takes the answer that it gave up on."""
    states = BACKWARD if saga.compensation else FORWARD
    return run.state in states and saga.step == run.step and saga.epoch == run.epoch


def _advance(definition: Definition[T], run: Run, subject: T, now: datetime) -> list[Outgoing]:
    """The next step; or the end; or, where a stop is wanted and the pivot not yet sent, the way back."""
    run.changed = True
    following = definition.step_from(run.step + 1, subject)
    if following == len(definition.steps):
        run.state, run.deadline_at = State.SUCCEEDED, None
        definition.finished(subject, run)
        return []
    if run.stop_requested and following <= definition.pivot:
        return compensate(definition, run, subject, run.reason, now=now)
    run.step, run.attempts, run.state = following, 0, State.RUNNING
    return _send_command(definition, run, subject, now)


def _send_command(definition: Definition[T], run: Run, subject: T, now: datetime) -> list[Outgoing]:
    step = definition.steps[run.step]
    run.deadline_at = now + _wait(step, run.attempts)
    run.attempts += 1
    run.changed = True
    return [_message(run, step.command(subject), compensation=False)]


def _wait(step: Step[T], attempts: int) -> timedelta:
    """The step's time-out, doubled with each attempt up to a minute."""
    return max(step.timeout, min(step.timeout * 2 ** min(attempts, 10), BACKOFF_CAP))


def _message(run: Run, payload: Message, *, compensation: bool) -> Outgoing:
    order_id = str(run.subject_id)
    saga = SagaRef(
        order_id=order_id, run_id=str(run.id), step=run.step, epoch=run.epoch, compensation=compensation
    )
    return Outgoing(payload, order_id, saga=saga)


def _hold(definition: Definition[T], run: Run, subject: T, reply: SagaReply, now: datetime) -> list[Outgoing]:
    run.state, run.changed = State.HELD, True
    run.reason = Reason()
    run.reason.CopyFrom(reply.reason)
    run.deadline_at = now + definition.hold_timeout
    definition.steps[run.step].succeeded(subject, reply)
    definition.held(subject, run)
    if run.stop_requested:
        return compensate(definition, run, subject, run.reason, now=now)
    return []


def _unknown(definition: Definition[T], run: Run, now: datetime) -> list[Outgoing]:
    """Only the pivot may stay open; of any other step the time-out decides."""
    if definition.steps[run.step].pivot and run.state is not State.PIVOT_UNKNOWN:
        run.state, run.changed = State.PIVOT_UNKNOWN, True
    return []


def _on_failed(
    definition: Definition[T], run: Run, subject: T, reply: SagaReply, now: datetime
) -> list[Outgoing]:
    """A definite no. Transient ones are retried; after the pivot there is no way back, an operator decides."""
    if reply.transient:
        return _look_again_soon(run, now)
    if run.step > definition.pivot:
        return _stuck(run, reply.reason)
    return compensate(definition, run, subject, reply.reason, now=now)


def _look_again_soon(run: Run, now: datetime) -> list[Outgoing]:
    """A transient no: the sweeper asks again after a pause that grows, as if the step had run out of time."""
    pause = min(TRANSIENT_PAUSE * 2 ** min(run.attempts - 1, 10), BACKOFF_CAP)
    run.deadline_at = min(run.deadline_at or now + pause, now + pause)
    run.changed = True
    return []


def _stuck(run: Run, reason: Reason) -> list[Outgoing]:
    run.state, run.deadline_at, run.changed = State.STUCK, None, True
    run.reason = reason
    return []


def compensate(
    definition: Definition[T], run: Run, subject: T, reason: Reason, *, now: datetime
) -> list[Outgoing]:
    """Turn round: undo every step whose command was sent, the one under way first."""
    subject.epoch, subject.changed = subject.epoch + 1, True
    run.epoch, run.state, run.changed = subject.epoch, State.COMPENSATING, True
    run.reason = reason
    return _compensate_from(definition, run, subject, run.step, now)


def _compensate_from(
    definition: Definition[T], run: Run, subject: T, step: int, now: datetime
) -> list[Outgoing]:
    steps = definition.steps
    while step >= 0 and (steps[step].compensation is None or not steps[step].needed(subject)):
        step -= 1
    run.changed = True
    run.state = State.COMPENSATING
    if step < 0:
        run.state, run.step, run.deadline_at = State.FAILED, 0, None
        definition.undone(subject, run)
        return []
    run.step, run.attempts = step, 0
    return _send_compensation(definition, run, subject, now)


def _send_compensation(definition: Definition[T], run: Run, subject: T, now: datetime) -> list[Outgoing]:
    step = definition.steps[run.step]
    if step.compensation is None:
        raise AssertionError(f"{definition.name}: step {step.name} has no compensation")
    run.deadline_at = now + _wait(step, run.attempts)
    run.attempts += 1
    run.changed = True
    return [_message(run, step.compensation(subject), compensation=True)]


def _on_compensated(
    definition: Definition[T], run: Run, subject: T, reply: SagaReply, now: datetime
) -> list[Outgoing]:
    if reply.outcome == replies_pb2.OUTCOME_SUCCEEDED:
        definition.steps[run.step].succeeded(subject, reply)
        return _compensate_from(definition, run, subject, run.step - 1, now)
    if reply.outcome == replies_pb2.OUTCOME_UNKNOWN:
        return []
    if reply.transient:
        return _look_again_soon(run, now)
    return _compensation_failed(run)


def on_deadline(definition: Definition[T], run: Run, subject: T, *, now: datetime) -> list[Outgoing]:
    """The step's time is over."""
    if run.deadline_at is None or run.deadline_at > now or run.over:
        return []
    match run.state:
        case State.HELD:
            reason = Reason(code="orders.hold_expired", message="Nobody released the order in time.")
            return compensate(definition, run, subject, reason, now=now)
        case State.COMPENSATING:
            return _retry_compensation(definition, run, subject, now)
        case _:
            code, name = "orders.step_timed_out", definition.steps[run.step].name
            reason = Reason(code=code, message=f"The step {name} was not answered in time.")
            return _retry_or_give_up(definition, run, subject, reason, now)


def _retry_or_give_up(
    definition: Definition[T], run: Run, subject: T, reason: Reason, now: datetime
) -> list[Outgoing]:
    """Before the pivot a run gives up after its retries or its own deadline; from the pivot on it never does."""
    step = definition.steps[run.step]
    if definition.past_pivot(run):
        if step.pivot:
            run.state = State.PIVOT_UNKNOWN
        return _send_command(definition, run, subject, now)
    if run.attempts > step.retries or now >= run.expires_at:
        return compensate(definition, run, subject, reason, now=now)
    return _send_command(definition, run, subject, now)


def _retry_compensation(definition: Definition[T], run: Run, subject: T, now: datetime) -> list[Outgoing]:
    if run.attempts >= COMPENSATION_ATTEMPTS:
        return _compensation_failed(run)
    return _send_compensation(definition, run, subject, now)


def _compensation_failed(run: Run) -> list[Outgoing]:
    run.state, run.deadline_at, run.changed = State.COMPENSATION_FAILED, None, True
    return []


def dead_lettered(
    definition: Definition[T], run: Run, subject: T, saga: SagaRef, reason: str, *, now: datetime
) -> list[Outgoing]:
    """The participant gave the command up: before the pivot the run turns round, else an operator looks."""
    if not awaits(run, saga):
        return []
    why = Reason(code="orders.command_dead_lettered", message=reason)
    if saga.compensation:
        return _compensation_failed(run)
    if definition.past_pivot(run):
        return _stuck(run, why)
    return compensate(definition, run, subject, why, now=now)


def request_stop(
    definition: Definition[T], run: Run, subject: T, reason: Reason, *, now: datetime
) -> list[Outgoing]:
    """A cancel: it waits for the step under way; a held run turns round at once; a pivot that is sent goes on."""
    if run.over or run.stop_requested:
        return []
    run.stop_requested, run.changed = True, True
    if run.state is State.HELD:
        return compensate(definition, run, subject, reason, now=now)
    if run.state in (State.RUNNING, State.PIVOT_UNKNOWN):
        run.reason = reason
    return []


def resume(definition: Definition[T], run: Run, subject: T, *, now: datetime) -> list[Outgoing]:
    """An operator releases a held run: the held step counts as done."""
    run.reason = Reason()
    definition.resumed(subject, run)
    run.state = State.RUNNING
    return _advance(definition, run, subject, now)


def retry(definition: Definition[T], run: Run, subject: T, *, now: datetime) -> list[Outgoing]:
    """An operator sends the step's message again."""
    run.attempts = 0
    if run.state in (State.COMPENSATING, State.COMPENSATION_FAILED):
        run.state = State.COMPENSATING
        return _send_compensation(definition, run, subject, now)
    if run.state is State.STUCK:
        run.state, run.reason = State.RUNNING, Reason()
    return _send_command(definition, run, subject, now)


def skip(definition: Definition[T], run: Run, subject: T, *, now: datetime) -> list[Outgoing]:
    """An operator takes the failed step as done."""
    if run.state is State.COMPENSATION_FAILED:
        run.state = State.COMPENSATING
        return _compensate_from(definition, run, subject, run.step - 1, now)
    run.state = State.RUNNING
    return _advance(definition, run, subject, now)


def force_end(definition: Definition[T], run: Run, subject: T) -> None:
    """An operator ends the run as failed; what is left to undo is theirs."""
    run.state, run.deadline_at, run.changed = State.FAILED, None, True
    definition.undone(subject, run)


def names(definition: Definition[T]) -> Sequence[str]:
    return [step.name for step in definition.steps]
