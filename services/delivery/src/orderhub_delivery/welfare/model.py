"""What the welfare rules speak about: routes, animals, rules, findings. Frozen data, no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

GOOD = "good"
LIFE_STAGES = frozenset({"egg", "larva", "day_old", "juvenile", "weaner", "adult"})

Text = Annotated[str, Meta(min_length=1)]
Bound = Annotated[float, Meta(ge=0, le=1_000_000)]


class Phase(StrEnum):
    LIST = "list"
    SELL = "sell"
    BOOK = "book"
    DISPATCH = "dispatch"
    TRANSIT = "transit"
    HANDOVER = "handover"


PLAN_PHASES = frozenset({Phase.SELL, Phase.BOOK, Phase.DISPATCH})
"""What a plan must satisfy: the order is sold, booked and sent off on the strength of it."""


class AppliesTo(StrEnum):
    ORIGIN = "origin"
    DESTINATION = "destination"
    EITHER = "either"


class Severity(StrEnum):
    BLOCK = "block"
    WARN = "warn"


class Confidence(StrEnum):
    PRIMARY = "P"
    SECONDARY = "S"
    KNOWN = "K"


class Outcome(StrEnum):
    PASSED = "passed"
    EXEMPT = "exempt"
    WAIVED = "waived"
    VIOLATED = "violated"
    MISSING = "missing"


class Verdict(StrEnum):
    ALLOW = "allow"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Place:
    """`country` is the ISO 3166-1 alpha-2 code; `lat` and `lon` are degrees."""

    country: str
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True)
class AnimalFacts:
    """One order line. `born_on` gives the age when it is known, else `age_days`, counted on the dispatch date."""

    line_no: int
    species: str
    kind: str
    life_stage: str | None = None
    born_on: date | None = None
    age_days: int | None = None
    weaned: bool | None = None
    carapace_cm: float | None = None
    weight_kg: float | None = None
    with_mother: bool = False


@dataclass(frozen=True, slots=True)
class Shipment:
    """`documents` are the kinds of document that were checked and accepted, never what somebody claims."""

    origin: Place
    destination: Place
    animals: tuple[AnimalFacts, ...]
    documents: frozenset[str] = frozenset()


class Check(Struct, frozen=True, forbid_unknown_fields=True):
    """One inclusive bound on one fact. Once loaded, `min` and `max` are in the predicate's base unit."""

    predicate: str
    groups: tuple[str, ...] = ()
    species: tuple[str, ...] = ()
    life_stages: tuple[str, ...] = ()
    min: Bound | None = None
    max: Bound | None = None
    unit: str = ""


class Exemption(Struct, frozen=True, forbid_unknown_fields=True):
    distance_below_km: Bound | None = None
    with_mother: bool = False


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the rule file; its fields are explained at the head of `rules/live-animals.toml`."""

    id: Text
    jurisdictions: Annotated[tuple[str, ...], Meta(min_length=1)]
    applies_to: AppliesTo
    phases: Annotated[tuple[Phase, ...], Meta(min_length=1)]
    checks: Annotated[tuple[Check, ...], Meta(min_length=1)]
    severity: Severity
    confidence: Confidence
    citation: Text
    source: Text
    text: Text
    valid_from: date
    valid_to: date | None = None
    exempt: Exemption = Exemption()
    waivers: tuple[str, ...] = ()


class SpeciesRule(NamedTuple):
    """A rule with those of its checks that fit one species, and the jurisdictions it has in each country."""

    rule: Rule
    checks: tuple[Check, ...]
    jurisdictions_in: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules, ready to be looked up by species. `hash` is over the content, not over the files' layout."""

    hash: str
    rules: tuple[Rule, ...]
    by_species: Mapping[str, tuple[SpeciesRule, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says about one line; `jurisdiction` joins those that apply, origin's first, by `+`."""

    rule_id: str
    line_no: int
    severity: Severity
    outcome: Outcome
    text: str
    citation: str
    confidence: Confidence
    jurisdiction: str
    inputs: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict:
        if self.outcome not in (Outcome.VIOLATED, Outcome.MISSING):
            return Verdict.ALLOW
        return Verdict.REFUSE if self.severity is Severity.BLOCK else Verdict.WARN


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on a shipment with every finding, by line and rule id; passed rules are findings too."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    at: date
    phases: frozenset[Phase]
    rule_set_hash: str

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.REFUSE)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.WARN)


class RuleFileError(ValueError):
    """A rule file that cannot be used: one line with the file, the entry (rule, species, …), the field and why."""
