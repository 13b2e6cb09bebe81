"""What is told after a commit: to those who wait for an order, and to the metrics."""

from __future__ import annotations

from orderhub_chassis.clock import Clock

from orderhub_orders import metrics
from orderhub_orders.store import Loaded
from orderhub_orders.waiting import Waiters


class Observer:
    """`saved` is called with each state that has been committed, once."""

    def __init__(self, waiters: Waiters, clock: Clock) -> None:
        self._waiters = waiters
        self._clock = clock

    def saved(self, loaded: Loaded) -> None:
        self._waiters.saved(loaded)
        for answer in loaded.answered:
            metrics.step_seconds(answer.definition, answer.step).observe(answer.seconds)
        now = self._clock.now()
        for run in loaded.runs.values():
            if run.over and run.changed:
                metrics.sagas_ended(run.definition, run.state).inc()
                metrics.saga_seconds(run.definition).observe((now - run.created_at).total_seconds())
