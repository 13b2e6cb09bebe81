"""The decision: what every rule says about every animal of a shipment. Pure; the strictest finding wins."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from orderhub_contracts.countries import COUNTRIES

from orderhub_delivery.welfare.geo import distance_km
from orderhub_delivery.welfare.model import (
    GOOD,
    LIFE_STAGES,
    PLAN_PHASES,
    AnimalFacts,
    AppliesTo,
    Check,
    Confidence,
    Decision,
    Finding,
    Outcome,
    Phase,
    Rule,
    RuleSet,
    Severity,
    Shipment,
    SpeciesRule,
    Verdict,
)
from orderhub_delivery.welfare.predicates import PREDICATES, holds

UNCHECKABLE = "OrderHub: what cannot be checked is refused"


class _Checked(NamedTuple):
    outcome: Outcome
    inputs: dict[str, Any]
    remark: str


def evaluate(
    rule_set: RuleSet, shipment: Shipment, *, at: date, phases: frozenset[Phase] = PLAN_PHASES
) -> Decision:
    """Judges a shipment that leaves on `at`. A fact that a rule needs and that is missing counts as a violation."""
    findings: list[Finding] = []
    for animal in shipment.animals:
        if animal.kind != GOOD:
            findings.extend(_findings_of(rule_set, shipment, animal, at, phases))
    findings.sort(key=lambda finding: (finding.line_no, finding.rule_id))
    return Decision(_strictest(findings), tuple(findings), at, phases, rule_set.hash)


def _strictest(findings: list[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next((v for v in (Verdict.REFUSE, Verdict.WARN) if v in verdicts), Verdict.ALLOW)


def _findings_of(
    rule_set: RuleSet, shipment: Shipment, animal: AnimalFacts, at: date, phases: frozenset[Phase]
) -> Iterator[Finding]:
    for end, place in (("origin", shipment.origin), ("destination", shipment.destination)):
        if place.country not in COUNTRIES:
            yield _uncheckable(animal, end, f"The country of {end} is not known.", place.country)
    if animal.species not in rule_set.by_species:
        yield _uncheckable(animal, "species", "The species of this animal is not known.", animal.species)
    for bound in rule_set.by_species.get(animal.species, ()):
        jurisdiction = _jurisdiction(bound, shipment) if _in_force(bound.rule, at, phases) else ""
        finding = _judge(bound, shipment, animal, at, jurisdiction) if jurisdiction else None
        if finding is not None:
            yield finding


def _uncheckable(animal: AnimalFacts, datum: str, text: str, value: str) -> Finding:
    return Finding(
        rule_id=f"DATA-{datum.upper()}",
        line_no=animal.line_no,
        severity=Severity.BLOCK,
        outcome=Outcome.MISSING,
        text=text,
        citation=UNCHECKABLE,
        confidence=Confidence.PRIMARY,
        jurisdiction="",
        inputs={datum: value},
    )


def _in_force(rule: Rule, at: date, phases: frozenset[Phase]) -> bool:
    in_time = rule.valid_from <= at and (rule.valid_to is None or at <= rule.valid_to)
    return in_time and not phases.isdisjoint(rule.phases)


def _jurisdiction(bound: SpeciesRule, shipment: Shipment) -> str:
    rule, reach = bound.rule, bound.jurisdictions_in
    at_origin = () if rule.applies_to is AppliesTo.DESTINATION else reach.get(shipment.origin.country, ())
    at_end = () if rule.applies_to is AppliesTo.ORIGIN else reach.get(shipment.destination.country, ())
    return "+".join(dict.fromkeys(at_origin + at_end))


def _judge(
    bound: SpeciesRule, shipment: Shipment, animal: AnimalFacts, at: date, jurisdiction: str
) -> Finding | None:
    rule = bound.rule
    checked = [result for check in bound.checks if (result := _check(check, animal, at))]
    if not checked:
        return None
    outcome = _worst(checked)
    inputs: dict[str, Any] = {"checks": [result.inputs for result in checked]}
    text = rule.text
    if outcome is not Outcome.PASSED:
        outcome, looked_at, remark = _relief(rule, shipment, animal, outcome)
        inputs |= looked_at
        remarks = [result.remark for result in checked] + [remark]
        text = f"{rule.text} Here: {'; '.join(filter(None, remarks))}."
    return Finding(
        rule_id=rule.id,
        line_no=animal.line_no,
        severity=rule.severity,
        outcome=outcome,
        text=text,
        citation=rule.citation,
        confidence=rule.confidence,
        jurisdiction=jurisdiction,
        inputs=inputs,
    )


def _check(check: Check, animal: AnimalFacts, at: date) -> _Checked | None:
    """None when the check is for other life stages."""
    if check.life_stages and animal.life_stage not in LIFE_STAGES:
        return _Checked(Outcome.MISSING, {"life_stage": animal.life_stage}, "life stage is not known")
    if check.life_stages and animal.life_stage not in check.life_stages:
        return None
    value = PREDICATES[check.predicate].read(animal, at)
    inputs = {
        "predicate": check.predicate,
        "value": value,
        "unit": check.unit,
        "min": check.min,
        "max": check.max,
    }
    if value is None:
        return _Checked(Outcome.MISSING, inputs, f"{check.predicate} is not known")
    if holds(value, check.min, check.max):
        return _Checked(Outcome.PASSED, inputs, "")
    return _Checked(Outcome.VIOLATED, inputs, _broken(check, value))


def _broken(check: Check, value: float | bool) -> str:
    if isinstance(value, bool):
        return f"not {check.predicate}"
    if check.min is not None and value < check.min:
        limit = f"at least {check.min:.10g} {check.unit} needed"
    else:
        limit = f"at most {check.max:.10g} {check.unit} allowed"
    return f"{check.predicate} {value:.10g} {check.unit}, {limit}"


def _worst(checked: list[_Checked]) -> Outcome:
    outcomes = {result.outcome for result in checked}
    return next((o for o in (Outcome.VIOLATED, Outcome.MISSING) if o in outcomes), Outcome.PASSED)


def _relief(
    rule: Rule, shipment: Shipment, animal: AnimalFacts, outcome: Outcome
) -> tuple[Outcome, dict[str, Any], str]:
    """What documents and exemptions make of a rule that does not hold, what was looked at, and a remark."""
    if documents := sorted(shipment.documents.intersection(rule.waivers)):
        return Outcome.WAIVED, {"documents": documents}, f"set aside by {', '.join(documents)}"
    if rule.exempt.with_mother and animal.with_mother:
        return Outcome.EXEMPT, {"with_mother": True}, "travels with its mother"
    if rule.exempt.distance_below_km is None:
        return outcome, {}, ""
    distance = distance_km(shipment.origin, shipment.destination)
    inputs = {"distance_km": distance, "distance_below_km": rule.exempt.distance_below_km}
    if distance is None:
        return Outcome.MISSING, inputs, "the distance is not known, because a position is missing"
    exempt = distance < rule.exempt.distance_below_km
    return (Outcome.EXEMPT if exempt else outcome), inputs, f"distance {distance:.10g} km"
