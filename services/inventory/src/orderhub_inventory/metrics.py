"""Every metric of inventory, once, with its help text."""

from __future__ import annotations

from collections import Counter as Tally

from orderhub_chassis.metrics import SECONDS
from prometheus_client import Counter, Histogram

from orderhub_inventory.commands.reservations import Desk

RESERVATIONS = Counter(
    "orderhub_inventory_reservation_lines_total", "Order lines that came into a status.", ("status",)
)
REFUSALS = Counter("orderhub_inventory_refused_lines_total", "Order lines refused.", ("code",))
QUESTIONS = Counter(
    "orderhub_inventory_reservation_questions_total", "Times orders was asked about an old reservation."
)
MOVEMENTS = Counter("orderhub_inventory_stock_movements_total", "Lines written to the journal.", ("kind",))
IMPORTED = Counter("orderhub_inventory_imported_rows_total", "Rows of imports.", ("outcome",))
SEARCH_SECONDS = Histogram(
    "orderhub_inventory_list_products_seconds", "Time of one page of products.", ("search",), buckets=SECONDS
)


def observe(desk: Desk) -> None:
    """Count what a committed batch has done."""
    touched = [line for order in desk.shelf.lines.values() for line in order if line.new or line.changed]
    for status, count in Tally(line.status for line in touched).items():
        RESERVATIONS.labels(status).inc(count)
    for code, count in Tally(line.refusal for line in touched if line.refusal).items():
        REFUSALS.labels(code).inc(count)
    for kind, count in Tally(movement.kind for movement in desk.shelf.movements).items():
        MOVEMENTS.labels(kind).inc(count)
