"""Every metric of the gateway, once; the HTTP histogram itself is the chassis'."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LIMITED = Counter("orderhub_gateway_rate_limited_total", "Requests refused by a rate limit.", ("policy",))
LIMIT_CALLS = Counter("orderhub_gateway_limit_calls_total", "Calls to Redis for rate limits.", ("outcome",))
LIMITS_AWAY = Gauge("orderhub_gateway_limits_away", "1 while Redis cannot be reached.")
PLACE_BATCH = Histogram(
    "orderhub_gateway_place_batch_orders",
    "Orders per call to orders.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
JWKS_REFRESHES = Counter(
    "orderhub_gateway_jwks_refreshes_total",
    "Times an issuer was asked for its public keys, by what came of it.",
    ("issuer", "outcome"),
)
ISSUER_AWAY = Gauge(
    "orderhub_gateway_issuer_away", "1 while the public keys of an issuer cannot be had.", ("issuer",)
)
REVOCATIONS = Gauge("orderhub_gateway_revocations", "Revocations in this gateway's list.")
REVOCATIONS_KNOWN = Gauge(
    "orderhub_gateway_revocations_known",
    "1 while it is known which tokens are revoked, as far as Redis says.",
)
TOKENS_REVOKED = Counter("orderhub_gateway_tokens_revoked_total", "Requests refused for a revoked token.")
TOKENS = Counter(
    "orderhub_gateway_tokens_checked_total",
    "Access tokens whose signature and claims were checked: once for each, then they are known.",
    ("issuer", "outcome"),
)
UPSTREAM_CIRCUIT = Gauge(
    "orderhub_gateway_upstream_circuit",
    "The circuit to a service: 0 closed, 1 one call finds out whether it is back, 2 open.",
    ("upstream",),
)
UPSTREAM_CALLS = Gauge(
    "orderhub_gateway_upstream_calls",
    "Calls to a service that are under way, waits among them.",
    ("upstream",),
)
UPSTREAM_REFUSED = Counter(
    "orderhub_gateway_upstream_refused_total",
    "Calls that were not made: the circuit was open, or as many were under way as may be.",
    ("upstream", "why"),
)
UPSTREAM_REPEATS = Counter(
    "orderhub_gateway_upstream_repeats_total",
    "Calls that could be made again after the service was away: repeated, or the budget was empty.",
    ("upstream", "outcome"),
)
MAINTENANCE = Gauge("orderhub_gateway_maintenance", "1 while operators have switched changes off.")
