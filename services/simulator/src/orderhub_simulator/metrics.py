"""Every metric of the simulator, once, with its help text."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

OPERATIONS = Counter("orderhub_simulator_operations_total", "Operations answered.", ("op", "http_status"))
REPLAYS = Counter("orderhub_simulator_replays_total", "Operations answered from a stored answer.")
WRITE_OPERATIONS = Histogram(
    "orderhub_simulator_write_operations", "Operations that shared one transaction.", buckets=SIZES
)
WRITE_SECONDS = Histogram(
    "orderhub_simulator_write_seconds", "Time of one write transaction.", buckets=SECONDS
)
WAITING = Gauge("orderhub_simulator_waiting_operations", "Operations that wait for the next transaction.")
HTTP_SECONDS = Histogram(
    "orderhub_simulator_http_seconds",
    "Time to serve an HTTP request.",
    ("method", "route", "status"),
    buckets=SECONDS,
)
