"""Every metric of auth, once."""

from __future__ import annotations

from prometheus_client import Counter

REGISTRATIONS = Counter(
    "orderhub_auth_registrations_total", "Registrations by whether the address was new.", ("address",)
)
SESSIONS_PRUNED = Counter("orderhub_auth_sessions_pruned_total", "Ended sessions that were deleted.")
TOKENS = Counter(
    "orderhub_auth_token_requests_total", "Logins and refreshes by how they ended.", ("grant", "outcome")
)
