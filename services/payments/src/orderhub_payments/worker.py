"""Asks the provider: takes leased intents in batches, calls outside any transaction, writes all answers in one.

What this process makes pending is leased to it in the same transaction and offered here after the commit. What
nobody asks (a crash, a pause before a retry, a full backlog) is claimed from the database when it is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from orderhub_chassis.consumer import Context
from orderhub_chassis.db import Database, Transaction
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness
from orderhub_chassis.telemetry import log

from orderhub_payments import metrics, store
from orderhub_payments.clients import Providers, not_configured
from orderhub_payments.commands import Answered, Book, Job, apply_answer
from orderhub_payments.model import Result, Transient, Unknown, backoff
from orderhub_payments.settings import Settings
from orderhub_payments.store import Lease

WAKE: Final = "payments:intents"
LONGEST_AWAY: Final = timedelta(seconds=5)
"""Longest pause before somebody looks whether a provider that cannot be reached is back."""


class Worker:
    """One per process. `offer` is called after a commit; `claim` runs as a job, woken by the hint WAKE."""

    def __init__(self, db: Database, providers: Providers, readiness: Readiness, settings: Settings) -> None:
        self._db = db
        self._providers = providers
        self._readiness = readiness
        self._settings = settings
        self._owner = f"{settings.instance}/{db.new_id()}"
        self._waiting: deque[Job] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._left_behind = False
        self._closing = False
        self._away = False

    def lease(self) -> Lease | None:
        """For what a transaction is about to make pending; None when enough waits here already."""
        if self._closing or len(self._waiting) >= self._settings.worker_backlog:
            self._left_behind = True
            return None
        return Lease(self._owner, self._db.clock.now() + self._settings.lease_length)

    def offer(self, jobs: Iterable[Job]) -> None:
        """Ask for these as soon as a call is free. A job that waits for nobody starts at once."""
        self._waiting.extend(jobs)
        batches = -(-len(self._waiting) // self._settings.worker_batch)
        free = self._settings.worker_parallel - len(self._running)
        for _ in range(0 if self._closing else min(batches, free)):
            self._running.add(asyncio.create_task(self._work()))

    async def claim(self) -> bool:
        """Take what is due in the database; True when there may be more."""
        room = self._settings.worker_backlog - len(self._waiting)
        if self._closing or room <= 0:
            self._left_behind = True
            return False
        lease = Lease(self._owner, self._db.clock.now() + self._settings.lease_length)
        limit = min(room, self._settings.worker_batch)
        jobs = await store.claim(self._db, lease, now=self._db.clock.now(), limit=limit)
        self.offer(jobs)
        return len(jobs) == limit

    async def close(self) -> None:
        """Finish the calls that are under way and give back the leases of what was not asked."""
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._running:
            await asyncio.wait(self._running)
        with contextlib.suppress(Unavailable):
            await store.release(self._db, list(self._waiting), now=self._db.clock.now())

    async def _work(self) -> None:
        me = asyncio.current_task()
        try:
            # Others that are ready in this turn of the loop may join the batch.
            await asyncio.sleep(0)
            await self._work_off()
        finally:
            # Here and not in the task's callback, which comes a turn later: jobs offered in that turn would find
            # this runner still counted, and wait until their leases end.
            self._running -= {me}

    async def _work_off(self) -> None:
        while self._waiting and not self._closing:
            jobs = self._take()
            try:
                await self._ask(jobs)
            except Unavailable as error:
                log("worker").warning("worker.answers_not_written", jobs=len(jobs), reason=error.detail)
            except Exception as error:  # noqa: BLE001 - a bug; the leases end and the same is asked again
                log("worker").error("worker.call_failed", jobs=len(jobs), exc_info=error)
            if self._left_behind:
                self._left_behind = False
                self._db.hints.notify_here(WAKE)

    def _take(self) -> list[Job]:
        """The next batch, without what could not be answered within its lease: that is claimed again."""
        deadline = self._db.clock.now() + self._settings.longest_call
        count = min(len(self._waiting), self._settings.worker_batch)
        taken = [self._waiting.popleft() for _ in range(count)]
        return [job for job in taken if job.lease_until > deadline]

    async def _ask(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        metrics.CALL_OPERATIONS.observe(len(jobs))
        with metrics.CALL_SECONDS.time():
            results = await self._providers.execute([(job.provider, job.operation) for job in jobs])
        came_back = self._observe(jobs, results)
        await self._write([self._answered(j, r) for j, r in zip(jobs, results, strict=True)])
        if came_back:
            await store.hasten(self._db, now=self._db.clock.now())
            self._db.hints.notify_here(WAKE)

    def _answered(self, job: Job, result: Result) -> Answered:
        """The pauses of an outage stay short: they say nothing of this payment, and whole batches share a call."""
        longest = self._settings.retry_longest
        pause = backoff(
            job.attempts,
            first=self._settings.retry_first,
            longest=min(longest, LONGEST_AWAY) if _is_away(result) else longest,
            roll=random.random(),
        )
        if isinstance(result, Transient):
            pause = max(pause, timedelta(seconds=result.wait))
        return Answered(job, result, self._db.clock.now() + pause)

    def _observe(self, jobs: Sequence[Job], results: Sequence[Result]) -> bool:
        """True when the provider answers again after an outage: then nobody has to wait for the end of a pause. One that
        answers with a pause of its own is not hurried.
        """
        pairs = Counter((j.kind, type(r).__name__.lower()) for j, r in zip(jobs, results, strict=True))
        for (kind, result), count in pairs.items():
            metrics.ANSWERS.labels(kind, result).inc(count)
        self._name_the_stranded(jobs)
        chosen = [r for j, r in zip(jobs, results, strict=True) if j.provider == self._providers.chosen]
        if not chosen:
            return False
        was_away, self._away = self._away, all(map(_is_away, chosen))
        if self._away:
            reason = next(r.reason for r in chosen if isinstance(r, Transient | Unknown))
            self._readiness.unready("provider", reason)
            log("worker").warning("worker.provider_away", jobs=len(chosen), reason=reason)
        else:
            self._readiness.ready("provider")
        return was_away and not self._away and not any(isinstance(r, Transient) and r.wait for r in chosen)

    def _name_the_stranded(self, jobs: Sequence[Job]) -> None:
        """Those of a provider that the settings no longer have: they wait, and nobody else is asked."""
        stranded = Counter(job.provider for job in jobs if self._providers.get(job.provider) is None)
        for name, count in stranded.items():
            metrics.UNCONFIGURED.inc(count)
            log("worker").error("worker.provider_not_configured", jobs=count, reason=not_configured(name))

    async def _write(self, answers: Sequence[Answered]) -> None:
        """All in one transaction. Should that meet a bug, the halves show whose it is; the others go on."""
        try:
            book = await self._db.run(lambda tx: self._effects(tx, answers))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - logged; the intent stays open and is asked again
            if len(answers) == 1:
                intent = str(answers[0].job.intent_id)
                log("worker").error("worker.answer_failed", intent_id=intent, exc_info=error)
                return
            middle = len(answers) // 2
            await self._write(answers[:middle])
            await self._write(answers[middle:])
            return
        metrics.LATE_ANSWERS.inc(len(answers) - book.applied)
        self.offer(book.jobs)
        self._wake_for(answers)

    async def _effects(self, tx: Transaction, answers: Sequence[Answered]) -> Book:
        context = Context(self._db.clock.now(), self._db.new_id)
        orders = [answered.job.order_id for answered in answers]
        book = await store.load(tx, orders, provider=self._providers.chosen)
        for answered in answers:
            tx.send_all(apply_answer(book, answered, context))
        await store.save(tx, book, now=context.now, lease=self.lease())
        return book

    def _wake_for(self, answers: Sequence[Answered]) -> None:
        """Look into the database when the pauses end, not at the next poll."""
        now = self._db.clock.now()
        ends = [a.retry_at for a in answers if isinstance(a.result, Transient | Unknown)]
        for seconds in {round((end - now).total_seconds(), 2) + 0.01 for end in ends}:
            self._wake_in(seconds)

    def _wake_in(self, seconds: float) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            self._db.hints.notify_here(WAKE)

        if not self._closing:
            timer = asyncio.get_running_loop().call_later(seconds, fire)
            self._timers.add(timer)


def _is_away(result: Result) -> bool:
    return isinstance(result, Transient | Unknown) and result.away
