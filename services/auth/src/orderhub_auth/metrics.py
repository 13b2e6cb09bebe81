"""Every metric of auth, once."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

GUESSES_HELD = Counter(
    "orderhub_auth_guesses_held_total",
    "Passwords that were not looked at after too many wrong ones, by which count said so.",
    ("count",),
)
REGISTRATIONS = Counter(
    "orderhub_auth_registrations_total", "Registrations by whether the address was new.", ("address",)
)
SESSIONS_PRUNED = Counter("orderhub_auth_sessions_pruned_total", "Ended sessions that were deleted.")
REVOCATIONS = Counter(
    "orderhub_auth_revocations_sent_total", "Revocations that were written to Redis.", ("kind",)
)
REVOCATIONS_AGE = Gauge(
    "orderhub_auth_revocation_age_seconds", "Age of the oldest revocation that Redis does not have yet."
)
REVOCATIONS_PRUNED = Counter(
    "orderhub_auth_revocations_pruned_total", "Revocations that were deleted, as nothing alive is about them."
)
TOKENS = Counter(
    "orderhub_auth_token_requests_total", "Logins and refreshes by how they ended.", ("grant", "outcome")
)
LOGOUT_NOTICES = Counter(
    "orderhub_auth_logout_notices_total",
    "Logouts that clients were told of, by how that ended.",
    ("outcome",),
)
API_KEYS = Counter(
    "orderhub_auth_api_keys_presented_total",
    "API keys that gateways asked about, by the verdict.",
    ("verdict",),
)
