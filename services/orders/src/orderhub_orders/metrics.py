"""Every metric of orders, once."""

from __future__ import annotations

from functools import lru_cache

from orderhub_chassis.metrics import SECONDS
from prometheus_client import Counter, Gauge, Histogram

PLACED = Counter("orderhub_orders_placed_total", "Orders accepted.")
SAGAS_ENDED = Counter("orderhub_orders_sagas_total", "Saga runs that ended.", ("definition", "state"))
SAGA_SECONDS = Histogram(
    "orderhub_orders_saga_seconds",
    "Time from the start of a run to its end.",
    ("definition",),
    buckets=(*SECONDS, 30, 60),
)
STEP_SECONDS = Histogram(
    "orderhub_orders_step_seconds",
    "Time from a step's command to its answer.",
    ("definition", "step"),
    buckets=SECONDS,
)
# Looked up for every order and answer: the client's own look-up is dearer than what it counts.
sagas_ended = lru_cache(maxsize=256)(SAGAS_ENDED.labels)
saga_seconds = lru_cache(maxsize=256)(SAGA_SECONDS.labels)
step_seconds = lru_cache(maxsize=256)(STEP_SECONDS.labels)
SWEPT = Counter("orderhub_orders_step_deadlines_total", "Steps whose time was over.", ("definition",))
PIVOTS_UNKNOWN = Gauge(
    "orderhub_orders_pivots_unknown", "Runs whose capture is not known for longer than the alert time."
)
OPERATORS_QUEUE = Gauge("orderhub_orders_operators_queue", "Runs that wait for an operator.")
