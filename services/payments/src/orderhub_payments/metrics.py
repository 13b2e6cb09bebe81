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
REFUSALS = Counter(
    "orderhub_payments_provider_refusals_total",
    "Requests that the provider refused as wrong, by provider: a bug of ours or a setting, never a declined card.",
    ("provider",),
)
UNCONFIGURED = Counter(
    "orderhub_payments_provider_not_configured_total",
    "Operations that wait because their payment's provider is not configured.",
)
WEBHOOKS = Counter(
    "orderhub_payments_webhooks_total",
    "Webhook calls by outcome: stored, repeated, ignored (a type of no interest) or refused.",
    ("outcome",),
)
WEBHOOK_FINDINGS = Counter(
    "orderhub_payments_webhook_findings_total",
    "What a look at the provider after a webhook found: agrees, hastened, differs or unknown.",
    ("finding",),
)
