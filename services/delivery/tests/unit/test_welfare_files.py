"""Rule files: a new rule by file alone, every mistake named in one line, the hash, and a decision kept to the byte."""

import json
from datetime import date
from pathlib import Path

import pytest
from orderhub_delivery import welfare
from orderhub_delivery.welfare import AnimalFacts, Outcome, Place, RuleFileError, Severity, Shipment, Verdict
from orderhub_delivery.welfare.model import Confidence
from orderhub_delivery.welfare.rules_file import build_rule_set

AT = date(2026, 3, 2)
UTRECHT, HAMM = Place("NL", 52.09, 5.12), Place("DE", 51.68, 7.82)

NEW_RULE = """
[[rules]]
id = "NL-WEIGHT-01"
jurisdictions = ["NL"]
applies_to = "destination"
phases = ["book"]
checks = [{ groups = ["snake"], predicate = "weight", min = 100, unit = "g" }]
severity = "block"
confidence = "S"
citation = "a citation"
source = "a source"
valid_from = 2026-01-01
valid_to = 2026-12-31
text = "Snakes under 100 g may not be sent to the Netherlands."
"""


def with_rule(folder: Path, *changes: tuple[str, str], text: str = NEW_RULE) -> welfare.RuleSet:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "more.toml"
    path.write_text(text, "utf-8")
    return welfare.load_rules([path])


def a_snake(weight_kg: float | None, life_stage: str | None = "adult") -> Shipment:
    snake = AnimalFacts(1, "python_regius", "individual", life_stage=life_stage, weight_kg=weight_kg)
    return Shipment(HAMM, UTRECHT, (snake,))


def verdict(rules: welfare.RuleSet, shipment: Shipment, at: date = AT) -> Verdict:
    return welfare.evaluate(rules, shipment, at=at).verdict


def test_a_rule_is_added_by_a_file_alone(tmp_path: Path) -> None:
    before, after = welfare.load_rules(), with_rule(tmp_path)
    assert verdict(before, a_snake(0.09)) is Verdict.ALLOW
    assert verdict(after, a_snake(0.09)) is Verdict.REFUSE
    assert verdict(after, a_snake(0.1)) is Verdict.ALLOW
    assert verdict(after, a_snake(None)) is Verdict.REFUSE
    assert before.hash != after.hash


def test_an_added_rule_keeps_to_its_dates_and_to_its_end_of_the_route(tmp_path: Path) -> None:
    rules, light = with_rule(tmp_path), a_snake(0.09)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [verdict(rules, light, day) for day in days] == ["allow", "refuse", "refuse", "allow"]
    assert verdict(rules, Shipment(light.destination, light.origin, light.animals)) is Verdict.ALLOW


def test_a_rule_that_warns_lets_the_animal_go_and_says_so(tmp_path: Path) -> None:
    rules = with_rule(tmp_path, ('"block"', '"warn"'), ('"S"', '"K"'))
    for weight in (0.09, None):
        decision = welfare.evaluate(rules, a_snake(weight), at=AT)
        assert decision.verdict is Verdict.WARN
        assert [finding.rule_id for finding in decision.warnings] == ["NL-WEIGHT-01"]
        assert decision.refusals == ()


def test_a_blocking_rule_wins_over_a_warning_one(tmp_path: Path) -> None:
    warns = NEW_RULE.replace('"block"', '"warn"').replace("NL-WEIGHT-01", "NL-WARN")
    decision = welfare.evaluate(with_rule(tmp_path, text=NEW_RULE + warns), a_snake(0.09), at=AT)
    assert [finding.severity for finding in decision.findings] == [Severity.WARN, Severity.BLOCK]
    assert decision.verdict is Verdict.REFUSE


@pytest.mark.parametrize(
    ("bound", "light", "heavy"),
    [
        ('min = 100, unit = "g"', 0.0999, 0.1),
        ('min = 1, unit = "lb"', 0.4535, 0.45359237),
        ('min = 16, unit = "oz"', 0.4535, 0.45359237),
    ],
)
def test_bounds_are_converted_exactly(tmp_path: Path, bound: str, light: float, heavy: float) -> None:
    rules = with_rule(tmp_path, ('min = 100, unit = "g"', bound))
    assert verdict(rules, a_snake(light)) is Verdict.REFUSE
    assert verdict(rules, a_snake(heavy)) is Verdict.ALLOW


def test_an_upper_bound_is_inclusive_too(tmp_path: Path) -> None:
    rules = with_rule(tmp_path, ("min = 100", "max = 100"))
    assert verdict(rules, a_snake(0.1)) is Verdict.ALLOW
    (finding,) = welfare.evaluate(rules, a_snake(0.2), at=AT).findings
    assert finding.text.endswith("Here: weight 0.2 kg, at most 0.1 kg allowed.")


def test_a_check_may_be_for_one_life_stage_and_an_unknown_one_refuses(tmp_path: Path) -> None:
    rules = with_rule(tmp_path, ('groups = ["snake"]', 'groups = ["snake"], life_stages = ["juvenile"]'))
    assert verdict(rules, a_snake(0.09, "juvenile")) is Verdict.REFUSE
    assert welfare.evaluate(rules, a_snake(0.09, "adult"), at=AT).findings == ()
    for unknown in (None, "", "teenager"):
        (finding,) = welfare.evaluate(rules, a_snake(5.0, unknown), at=AT).findings
        assert (finding.verdict, finding.outcome) == (Verdict.REFUSE, Outcome.MISSING)


def test_a_rule_may_name_a_species_and_a_file_may_bring_species_and_groups(tmp_path: Path) -> None:
    tables = '[groups]\nboa = "snake"\n[species]\neunectes_murinus = "boa"\n'
    rules = with_rule(tmp_path, ('groups = ["snake"]', 'species = ["python_regius"]'), text=tables + NEW_RULE)
    assert verdict(rules, a_snake(0.09)) is Verdict.REFUSE
    anaconda = AnimalFacts(1, "eunectes_murinus", "individual")
    assert verdict(rules, Shipment(HAMM, UTRECHT, (anaconda,))) is Verdict.ALLOW
    for_snakes = with_rule(tmp_path, text=tables + NEW_RULE)
    assert verdict(for_snakes, Shipment(HAMM, UTRECHT, (anaconda,))) is Verdict.REFUSE


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"weight"', '"colour"', "field `predicate`: unknown value 'colour'"),
        ('["snake"]', '["dragon"]', "field `groups`: unknown value 'dragon'"),
        ('groups = ["snake"]', 'species = ["draco"]', "field `species`: unknown value 'draco'"),
        ('groups = ["snake"], ', "", "field `groups`: a check must name groups or species"),
        ('["snake"]', '["snake"], life_stages = ["old"]', "field `life_stages`: unknown value 'old'"),
        ('"g"', '"in"', "field `unit`: unknown value 'in'"),
        (', unit = "g"', "", "field `unit`: unknown value ''"),
        ("min = 100, ", "", "field `min`: weight needs min or max, and min not above max"),
        ("min = 100", "min = 100, max = 99", "field `min`: weight needs min or max, and min not above max"),
        ("min = 100", "min = -1", "Expected `float` >= 0.0 - at `checks[0].min`"),
        ("min = 100", "min = inf", "Expected `float` <= 1000000.0 - at `checks[0].min`"),
        ("min = 100", "minimum = 100", "Object contains unknown field `minimum` - at `checks[0]`"),
        ('predicate = "weight"', 'predicate = "weaned"', "field `min`: weaned takes no bound and no unit"),
        ('["NL"]', '["Holland"]', "field `jurisdictions`: unknown value 'Holland'"),
        ('["NL"]', "[]", "Expected `array` of length >= 1 - at `jurisdictions`"),
        ('"destination"', '"middle"', "Invalid enum value 'middle' - at `applies_to`"),
        ('["book"]', '["later"]', "Invalid enum value 'later' - at `phases[0]`"),
        ('"block"', '"forbid"', "Invalid enum value 'forbid' - at `severity`"),
        ('"S"', '"K"', "field `severity`: a rule of confidence K (text not read) may only warn"),
        ('"S"', '"Z"', "Invalid enum value 'Z' - at `confidence`"),
        ("valid_from = 2026-01-01\n", "", "Object missing required field `valid_from`"),
        ("2026-01-01", '"soon"', "Invalid RFC3339 encoded date - at `valid_from`"),
        ("2026-01-01", "20260101", "Expected `date`, got `int` - at `valid_from`"),
        ("2026-12-31", "2025-12-31", "field `valid_to`: lies before valid_from"),
        ('"a citation"', '""', "Expected `str` of length >= 1 - at `citation`"),
        ('severity = "block"', "exempt = { distance = 3 }", "unknown field `distance` - at `exempt`"),
    ],
)
def test_a_mistake_in_a_rule_is_one_line_with_file_rule_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RuleFileError) as caught:
        with_rule(tmp_path, (old, new))
    line = str(caught.value)
    assert line.startswith("more.toml: rule NL-WEIGHT-01: ")
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NEW_RULE + NEW_RULE, "more.toml: rule NL-WEIGHT-01: field `id`: duplicate"),
        (NEW_RULE.replace("NL-WEIGHT-01", "EU-AGE-01"), "more.toml: rule EU-AGE-01: field `id`: duplicate"),
        (NEW_RULE.replace("NL-WEIGHT-01", "DATA-X"), "more.toml: rule DATA-X: field `id`: DATA- is kept"),
        (
            NEW_RULE.replace('id = "NL-WEIGHT-01"', ""),
            "more.toml: rule number 1: Object missing required field `id`",
        ),
        ('[species]\nfelis_catus = "cat"', "more.toml: species `felis_catus`: duplicate"),
        ('[species]\nunicorn = "horned"', "species unicorn: unknown group 'horned'"),
        ('[groups]\nboa = "serpent"', "group boa: unknown group 'serpent'"),
        ('[groups]\na = "b"\nb = "a"', "lies in itself"),
        ('[jurisdictions]\nBENELUX = "BE NL LX"', "jurisdiction BENELUX: unknown country 'LX'"),
        ("rulez = []", "more.toml: Object contains unknown field `rulez`"),
        ("rules = 3", "more.toml: Expected `array`, got `int` - at `rules`"),
        ("[[rules", "more.toml: "),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RuleFileError) as caught:
        with_rule(tmp_path, text=text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match=r"absent\.toml: cannot be read"):
        welfare.load_rules([tmp_path / "absent.toml"])


def test_no_shipped_rule_blocks_on_a_text_that_nobody_read() -> None:
    rules = welfare.load_rules().rules
    assert [rule.id for rule in rules] == ["EU-AGE-01", "EU-AGE-02", "UK-SALE-01", "US-AGE-01", "US-SALE-01"]
    assert all(rule.severity is Severity.BLOCK and rule.confidence is not Confidence.KNOWN for rule in rules)


BASE = b"""
[groups]
animal = ""
dog = "animal"
[species]
canis_familiaris = "dog"
"""
PUP_RULE = b"""
[[rules]]
id = "PUP"
jurisdictions = ["NL", "DE"]
applies_to = "either"
phases = ["book"]
checks = [{ groups = ["dog"], predicate = "age", min = 8, unit = "wk" }]
severity = "block"
confidence = "P"
citation = "Art. 1"
source = "a source"
valid_from = 2020-01-01
text = "Pups stay for eight weeks."
"""


def test_the_hash_is_over_the_content_and_not_over_its_layout() -> None:
    as_one = build_rule_set([("a", BASE + PUP_RULE)])
    in_two = build_rule_set([("z", b"# a comment\n" + PUP_RULE), ("b", BASE)])
    in_days = build_rule_set([("a", BASE + PUP_RULE.replace(b'8, unit = "wk"', b'56, unit = "d"'))])
    longer = build_rule_set([("a", BASE + PUP_RULE.replace(b"min = 8", b"min = 9"))])
    other_text = build_rule_set([("a", BASE + PUP_RULE.replace(b"eight", b"8"))])
    assert as_one.hash == in_two.hash == in_days.hash
    assert len({as_one.hash, longer.hash, other_text.hash}) == 3


GOLDEN = (
    '{"at":"2026-03-02","findings":[{"citation":"Art. 1","confidence":"P","inputs":{"checks":[{"max":null,'
    '"min":56.0,"predicate":"age","unit":"d","value":42}]},"jurisdiction":"NL+DE","line_no":1,'
    '"outcome":"violated","rule_id":"PUP","severity":"block","text":"Pups stay for eight weeks. Here: age 42 d,'
    ' at least 56 d needed."}],"format":1,"inputs":{"animals":[{"age_days":null,"born_on":"2026-01-19",'
    '"carapace_cm":null,"kind":"individual","life_stage":"juvenile","line_no":1,"species":"canis_familiaris",'
    '"weaned":false,"weight_kg":3.2,"with_mother":false}],"destination":{"country":"DE","lat":51.68,"lon":7.82},'
    '"documents":[],"origin":{"country":"NL","lat":52.09,"lon":5.12}},"phases":["book","dispatch","sell"],'
    '"rule_set_hash":"HASH","verdict":"refuse"}'
)
GOLDEN_HASH = "d899a39a6d0eef14ee473f31596d5b66a6443ea29977e10ed3516e05970df3d1"


def test_a_decision_is_kept_and_replayed_to_the_byte() -> None:
    rules = build_rule_set([("a", BASE + PUP_RULE)])
    pup = AnimalFacts(
        1,
        "canis_familiaris",
        "individual",
        "juvenile",
        born_on=date(2026, 1, 19),
        weaned=False,
        weight_kg=3.2,
    )
    shipment = Shipment(UTRECHT, HAMM, (pup,))
    record = welfare.decision_record(shipment, welfare.evaluate(rules, shipment, at=AT))
    golden = GOLDEN.replace("HASH", GOLDEN_HASH)
    assert welfare.canonical_json(record).decode() == golden
    assert welfare.canonical_json(welfare.replay(rules, json.loads(golden))).decode() == golden


def test_a_record_of_other_rules_is_not_replayed() -> None:
    rules = build_rule_set([("a", BASE + PUP_RULE)])
    shipment = Shipment(UTRECHT, HAMM, ())
    record = welfare.decision_record(shipment, welfare.evaluate(rules, shipment, at=AT))
    with pytest.raises(ValueError, match="recorded under rule set"):
        welfare.replay(welfare.load_rules(), record)
