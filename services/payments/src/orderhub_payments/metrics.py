"""Every metric of payments, once, with its help text."""

from __future__ import annotations

from orderhub_chassis.metrics import SECONDS, SIZES
from prometheus_client import Counter, Gauge, Histogram

ANSWERS = Counter(
    "orderhub_payments_provider_answers_total",
    "Answers of the card provider, by kind of intent and of answer.",
    ("kind", "result"),
)
LATE_ANSWERS = Counter(
    "orderhub_payments_late_answers_total",
    "Answers dropped because somebody else had asked or answered meanwhile.",
)
CALL_SECONDS = Histogram(
    "orderhub_payments_provider_call_seconds", "Time of one batch call of the provider.", buckets=SECONDS
)
CALL_OPERATIONS = Histogram(
    "orderhub_payments_provider_call_operations", "Operations in one batch call.", buckets=SIZES
)
OPEN_INTENTS = Gauge("orderhub_payments_open_intents", "Intents without a definite answer.", ("status",))
OLDEST_INTENT = Gauge(
    "orderhub_payments_oldest_intent_seconds", "Age of the oldest intent without a definite answer."
)
