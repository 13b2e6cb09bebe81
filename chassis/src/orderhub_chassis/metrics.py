"""Every metric of the chassis, once, with its help text. A service's own stand in its metrics.py."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

GRPC_SERVER_SECONDS = Histogram(
    "orderhub_grpc_server_seconds",
    "Time to serve a gRPC call.",
    ("service", "method", "code"),
    buckets=SECONDS,
)
GRPC_CLIENT_SECONDS = Histogram(
    "orderhub_grpc_client_seconds", "Time of a gRPC call to a peer.", ("method", "code"), buckets=SECONDS
)
HTTP_SERVER_SECONDS = Histogram(
    "orderhub_http_server_seconds",
    "Time to serve an HTTP request.",
    ("service", "route", "method", "status"),
    buckets=SECONDS,
)
DB_RETRIES = Counter("orderhub_db_retries_total", "Transactions run again.", ("service", "reason"))
DB_POOL_SIZE = Gauge("orderhub_db_pool_connections", "Connections of the pool.", ("service", "state"))
OUTBOX_ROWS = Gauge(
    "orderhub_outbox_rows",
    "Record batches that wait for the relay; messages that wait for the connector.",
    ("service",),
)
OUTBOX_AGE = Gauge("orderhub_outbox_age_seconds", "Age of the oldest that waits.", ("service",))
RELAYED = Counter("orderhub_relay_messages_total", "Messages published by the relay.", ("service", "topic"))
RELAY_FAILURES = Counter(
    "orderhub_relay_failures_total", "Rounds in which the relay could not publish.", ("service",)
)
CDC_LAG = Gauge(
    "orderhub_cdc_slot_lag_bytes",
    "Write-ahead log that the replication slot has still to confirm.",
    ("service",),
)
CONSUMED = Counter(
    "orderhub_consumer_messages_total", "Messages whose effects are committed.", ("consumer", "topic")
)
DUPLICATES = Counter("orderhub_consumer_duplicates_total", "Messages dropped by the inbox.", ("consumer",))
CONSUMER_BATCH = Histogram(
    "orderhub_consumer_batch_messages", "Messages per transaction.", ("consumer",), buckets=SIZES
)
CONSUMER_SECONDS = Histogram(
    "orderhub_consumer_batch_seconds", "Time of one consumer transaction.", ("consumer",), buckets=SECONDS
)
CONSUMER_LAG = Gauge(
    "orderhub_consumer_lag_batches", "Record batches behind the end of the log.", ("consumer", "topic")
)
DEAD_LETTERS = Counter("orderhub_dead_letters_total", "Messages given up.", ("consumer", "topic"))
PARKED = Counter(
    "orderhub_parked_messages_total", "Messages parked behind a dead letter.", ("consumer", "topic")
)
LOOP_LAG = Gauge(
    "orderhub_event_loop_lag_seconds", "How late the event loop woke up, last sample.", ("service",)
)
