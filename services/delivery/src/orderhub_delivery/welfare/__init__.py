"""The live-animal rules: load them once, judge shipments by them, keep each decision so that it can be replayed."""

from orderhub_delivery.welfare.evaluation import evaluate
from orderhub_delivery.welfare.geo import distance_km
from orderhub_delivery.welfare.model import (
    PLAN_PHASES,
    AnimalFacts,
    Decision,
    Finding,
    Outcome,
    Phase,
    Place,
    RuleFileError,
    RuleSet,
    Severity,
    Shipment,
    Verdict,
)
from orderhub_delivery.welfare.records import canonical_json, decision_record, replay
from orderhub_delivery.welfare.rules_file import load_rules

__all__ = [
    "PLAN_PHASES",
    "AnimalFacts",
    "Decision",
    "Finding",
    "Outcome",
    "Phase",
    "Place",
    "RuleFileError",
    "RuleSet",
    "Severity",
    "Shipment",
    "Verdict",
    "canonical_json",
    "decision_record",
    "distance_km",
    "evaluate",
    "load_rules",
    "replay",
]
