"""Judging a plan: which animals of an order may go from here to there today, and by which rule the others may not.

Each candidate is judged as a shipment of its own. Of an individual's candidates one that passes is enough, as the
reservation takes one of those; the facts of a countable product speak of all of its animals, so all must pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.delivery.v1.commands_pb2 import AllowedAnimals, DeliveryPlanned, PlanLine

from orderhub_delivery import welfare
from orderhub_delivery.welfare import Place, RuleSet, Shipment, Verdict
from orderhub_delivery.welfare.evaluation import UNCHECKABLE
from orderhub_delivery.welfare.model import GOOD, AnimalFacts, Confidence, Finding, Outcome, Severity

INDIVIDUAL: Final = "individual"
NO_FACTS: Final = "DATA-FACTS"
FORMAT: Final = 1


class Candidate(msgspec.Struct, frozen=True):
    animal_id: str
    facts: AnimalFacts


class Line(msgspec.Struct, frozen=True):
    line_no: int
    kind: str
    candidates: tuple[Candidate, ...]


class Plan(msgspec.Struct, frozen=True):
    """A route and the lines with animals that shall take it; goods are left out, no rule is about them."""

    origin: Place
    destination: Place
    lines: tuple[Line, ...]


class Judged(msgspec.Struct, frozen=True):
    """One candidate, or the lack of any."""

    animal_id: str
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def refusal(self) -> Finding:
        """The first rule that refuses it."""
        return next(finding for finding in self.findings if finding.verdict is Verdict.REFUSE)


class JudgedLine(msgspec.Struct, frozen=True):
    """`refusal`: why the line cannot go at all; None where it can."""

    line: Line
    judged: tuple[Judged, ...]
    refusal: Finding | None

    @property
    def allowed(self) -> tuple[Judged, ...]:
        return tuple(judged for judged in self.judged if judged.verdict is not Verdict.REFUSE)


class Judgement(msgspec.Struct, frozen=True):
    """`refusals`: (line number, finding) of every line that cannot go. `verdict`: the strictest of what may still
    happen; an animal that will not be taken does not count.
    """

    plan: Plan
    at: date
    rule_set_hash: str
    lines: tuple[JudgedLine, ...]
    refusals: tuple[tuple[int, Finding], ...]
    verdict: Verdict


class DecisionRow(msgspec.Struct, frozen=True):
    """A judgement as it is kept; `inputs` and `findings` are canonical JSON."""

    id: UUID
    order_id: UUID
    rule_set_hash: str
    inputs: str
    verdict: str
    findings: str
    at: datetime


def judge(rules: RuleSet, plan: Plan, *, at: date) -> Judgement:
    lines = tuple(_judged_line(line, tuple(_judged(rules, plan, line, at))) for line in plan.lines)
    refusals = tuple((found.line.line_no, found.refusal) for found in lines if found.refusal)
    return Judgement(plan, at, rules.hash, lines, refusals, _verdict(lines, bool(refusals)))


def _judged_line(line: Line, judged: tuple[Judged, ...]) -> JudgedLine:
    refused = [one for one in judged if one.verdict is Verdict.REFUSE]
    may_choose = line.kind == INDIVIDUAL and len(refused) < len(judged)
    return JudgedLine(line, judged, None if may_choose or not refused else refused[0].refusal)


def _verdict(lines: tuple[JudgedLine, ...], refused: bool) -> Verdict:
    if refused:
        return Verdict.REFUSE
    warned = any(judged.verdict is Verdict.WARN for line in lines for judged in line.judged)
    return Verdict.WARN if warned else Verdict.ALLOW


def _judged(rules: RuleSet, plan: Plan, line: Line, at: date) -> Iterator[Judged]:
    for candidate in line.candidates:
        shipment = Shipment(plan.origin, plan.destination, (candidate.facts,))
        decision = welfare.evaluate(rules, shipment, at=at)
        yield Judged(candidate.animal_id, decision.verdict, decision.findings)
    if not line.candidates and line.kind != INDIVIDUAL:
        yield Judged("", Verdict.REFUSE, (_without_facts(line.line_no),))


def _without_facts(line_no: int) -> Finding:
    return Finding(
        rule_id=NO_FACTS,
        line_no=line_no,
        severity=Severity.BLOCK,
        outcome=Outcome.MISSING,
        text="Nothing is known about the animals of this line, so no rule can be checked.",
        citation=UNCHECKABLE,
        confidence=Confidence.PRIMARY,
        jurisdiction="",
        inputs={},
    )


def reason(judgement: Judgement) -> common_pb2.Reason:
    """The first refusal, and per line that cannot go its own."""
    refusals = judgement.refusals
    lines = [
        common_pb2.LineReason(line_no=line_no, code=finding.rule_id, message=finding.text)
        for line_no, finding in refusals
    ]
    first = refusals[0][1]
    return common_pb2.Reason(code=first.rule_id, message=first.text, lines=lines)


def planned(judgement: Judgement, decision_id: str) -> DeliveryPlanned:
    allowed = [
        AllowedAnimals(
            line_no=line.line.line_no,
            animal_ids=[judged.animal_id for judged in line.allowed if judged.animal_id],
        )
        for line in judgement.lines
        if line.line.kind == INDIVIDUAL
    ]
    return DeliveryPlanned(
        decision_id=decision_id,
        rule_set_hash=judgement.rule_set_hash,
        verdict=judgement.verdict,
        allowed=allowed,
    )


def decision_row(judgement: Judgement, *, id: UUID, order_id: UUID, now: datetime) -> DecisionRow:
    inputs = {
        "format": FORMAT,
        "at": judgement.at,
        "phases": welfare.PLAN_PHASES,
        "plan": judgement.plan,
    }
    findings = [
        {"line_no": line.line.line_no, "animal_id": j.animal_id, "verdict": j.verdict, "findings": j.findings}
        for line in judgement.lines
        for j in line.judged
    ]
    return DecisionRow(
        id=id,
        order_id=order_id,
        rule_set_hash=judgement.rule_set_hash,
        inputs=welfare.canonical_json(inputs).decode(),
        verdict=judgement.verdict.value,
        findings=welfare.canonical_json(findings).decode(),
        at=now,
    )


def plan_of_row(row: DecisionRow) -> Plan:
    """What was judged. ValueError when the row was kept in a format that this code does not read."""
    inputs: dict[str, Any] = msgspec.json.decode(row.inputs)
    if inputs["format"] != FORMAT:
        raise ValueError(f"decision {row.id} has format {inputs['format']}, this code reads {FORMAT}")
    return msgspec.convert(inputs["plan"], Plan)


def allowed_of_row(row: DecisionRow) -> frozenset[tuple[int, str]]:
    """(line number, animal id) of the candidates that were allowed."""
    kept: list[dict[str, Any]] = msgspec.json.decode(row.findings)
    return frozenset((j["line_no"], j["animal_id"]) for j in kept if j["verdict"] != Verdict.REFUSE)


def another_route(row: DecisionRow, origin: Place, destination: Place) -> Plan:
    """The animals that the order may hold, on another route. Which of an individual's candidates was taken is not
    known here, so each of them is a line that must pass by itself.
    """
    before, allowed = plan_of_row(row), allowed_of_row(row)
    lines = tuple(
        Line(line.line_no, line.kind, (candidate,))
        for line in before.lines
        for candidate in line.candidates
        if (line.line_no, candidate.animal_id) in allowed
    )
    return Plan(origin, destination, lines)


def plan_of(
    origin: common_pb2.Address, destination: common_pb2.Address, lines: Sequence[PlanLine]
) -> Plan | None:
    """None where there are only goods."""
    animals = tuple(_line(line) for line in lines if line.kind != GOOD)
    return Plan(place(origin), place(destination), animals) if animals else None


def place(address: common_pb2.Address) -> Place:
    if not address.HasField("position"):
        return Place(_text(address.country))
    return Place(_text(address.country), address.position.lat, address.position.lon)


def _line(line: PlanLine) -> Line:
    kind = _text(line.kind)
    return Line(line.line_no, kind, tuple(_candidates(line.line_no, kind, line.candidates)))


def _candidates(line_no: int, kind: str, candidates: Iterable[common_pb2.AnimalFacts]) -> Iterator[Candidate]:
    for given in candidates:
        facts = AnimalFacts(
            line_no=line_no,
            species=_text(given.species),
            kind=kind,
            life_stage=_text(given.life_stage) or None,
            born_on=_date(given.born_on),
            weaned=given.weaned if given.HasField("weaned") else None,
            carapace_cm=given.carapace_cm if given.HasField("carapace_cm") else None,
            weight_kg=given.weight_kg if given.HasField("weight_kg") else None,
            with_mother=given.with_mother,
        )
        yield Candidate(_text(given.animal_id), facts)


def _date(text: str) -> date | None:
    """What is no date is a missing datum, which the rules refuse where they need it."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _text(text: str) -> str:
    """PostgreSQL keeps no NUL; a name with one is unknown anyway."""
    return text.replace("\0", "\ufffd")
