"""Every metric of the delivery service, once, with its help text."""

from __future__ import annotations

from prometheus_client import Counter

PLANS = Counter("orderhub_delivery_plans_total", "Plans with animals, by the rules' verdict.", ("verdict",))
CHANGES = Counter("orderhub_delivery_changes_total", "Public facts about deliveries.", ("kind",))
POSITIONS = Counter(
    "orderhub_delivery_positions_total",
    "Positions of couriers; late are those older than the last.",
    ("outcome",),
)
