"""A decision as the row that is kept: canonical JSON of inputs, findings and rule-set hash, and its replay."""

import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from orderhub_delivery.welfare.evaluation import evaluate
from orderhub_delivery.welfare.model import Decision, Phase, RuleSet, Shipment

FORMAT = 1


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8, null for NaN: equal content is equal bytes."""
    return msgspec.json.encode(value, order="sorted")


def content_hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def decision_record(shipment: Shipment, decision: Decision) -> dict[str, Any]:
    """Plain JSON values only, so that it may be stored as jsonb and read back unchanged."""
    in_line_order = tuple(sorted(shipment.animals, key=lambda animal: animal.line_no))
    return {
        "format": FORMAT,
        "rule_set_hash": decision.rule_set_hash,
        "at": decision.at.isoformat(),
        "phases": _plain(decision.phases),
        "inputs": _plain(replace(shipment, animals=in_line_order)),
        "verdict": decision.verdict.value,
        "findings": _plain(decision.findings),
    }


def replay(rule_set: RuleSet, record: dict[str, Any]) -> dict[str, Any]:
    """Decides again from the recorded inputs. ValueError when the record was made with other rules or format."""
    if (record["format"], record["rule_set_hash"]) != (FORMAT, rule_set.hash):
        raise ValueError(f"recorded under rule set {record['rule_set_hash']}, this is {rule_set.hash}")
    shipment = msgspec.convert(record["inputs"], Shipment)
    phases = frozenset(Phase(phase) for phase in record["phases"])
    decision = evaluate(rule_set, shipment, at=date.fromisoformat(record["at"]), phases=phases)
    return decision_record(shipment, decision)


def _plain(value: Any) -> Any:
    """By way of JSON and not `to_builtins`: there a NaN would stay one, which no database keeps."""
    return msgspec.json.decode(canonical_json(value))
