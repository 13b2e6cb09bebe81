"""The five shipped rules at their limits, what is missing, two jurisdictions at once, and the demo catalogue."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_delivery import welfare
from orderhub_delivery.welfare import AnimalFacts, Decision, Outcome, Phase, Place, Shipment, Verdict

RULES = welfare.load_rules()
AT = date(2026, 3, 2)

ROUEN = Place("FR", 49.44, 1.10)
LE_HAVRE = Place("FR", 49.49, 0.11)
YORK = Place("GB", 53.96, -1.08)
LEEDS = Place("GB", 53.80, -1.55)
KASSEL = Place("DE", 51.31, 9.48)
HAMM = Place("DE", 51.68, 7.82)
UTRECHT = Place("NL", 52.09, 5.12)
WICHITA = Place("US", 37.69, -97.34)
BASEL = Place("CH", 47.56, 7.59)


def an_animal(species: str, **over: Any) -> AnimalFacts:
    facts = {"line_no": 1, "kind": "individual", "age_days": 400, "weaned": True, "carapace_cm": None}
    return AnimalFacts(species=species, **facts | over)


def decide(
    origin: Place, destination: Place, *animals: AnimalFacts, documents: tuple[str, ...] = ()
) -> Decision:
    shipment = Shipment(origin, destination, animals, frozenset(documents))
    return welfare.evaluate(RULES, shipment, at=AT)


def refused_by(decision: Decision) -> list[str]:
    return [finding.rule_id for finding in decision.refusals]


def outcome_of(decision: Decision, rule_id: str) -> Outcome:
    (outcome,) = [finding.outcome for finding in decision.findings if finding.rule_id == rule_id]
    return outcome


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("species", "limit", "rule_id"),
    [
        ("sus_scrofa_domesticus", 21, "EU-AGE-01"),
        ("ovis_aries", 7, "EU-AGE-01"),
        ("bos_taurus", 10, "EU-AGE-01"),
        ("canis_familiaris", 56, "EU-AGE-02"),
        ("felis_catus", 56, "EU-AGE-02"),
    ],
)
@pytest.mark.parametrize(("days_over", "allowed"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("route", [(ROUEN, UTRECHT), (YORK, HAMM), (WICHITA, YORK), (ROUEN, BASEL)])
def test_an_animal_travels_in_europe_from_the_day_it_reaches_its_age(
    species: str, limit: int, rule_id: str, days_over: int, allowed: bool, route: tuple[Place, Place]
) -> None:
    decision = decide(*route, an_animal(species, age_days=limit + days_over))
    assert (outcome_of(decision, rule_id) is Outcome.PASSED) is allowed
    assert (rule_id in refused_by(decision)) is not allowed


@pytest.mark.parametrize(("days", "allowed"), [(55, False), (56, True), (57, True)])
@pytest.mark.parametrize("species", ["canis_familiaris", "felis_catus"])
def test_a_pup_travels_in_the_united_states_from_56_days(species: str, days: int, allowed: bool) -> None:
    decision = decide(WICHITA, WICHITA, an_animal(species, age_days=days))
    assert refused_by(decision) == ([] if allowed else ["US-AGE-01"])


@pytest.mark.parametrize(
    ("carapace_cm", "allowed"), [(8.0, False), (10.1, False), (10.159, False), (10.16, True), (10.2, True)]
)
@pytest.mark.parametrize("species", ["trachemys_scripta_elegans", "testudo_hermanni"])
def test_a_turtle_or_tortoise_is_sold_in_the_united_states_from_four_inches(
    species: str, carapace_cm: float, allowed: bool
) -> None:
    decision = decide(WICHITA, UTRECHT, an_animal(species, carapace_cm=carapace_cm))
    assert refused_by(decision) == ([] if allowed else ["US-SALE-01"])


def test_the_limit_of_four_inches_is_kept_in_centimetres() -> None:
    (finding,) = decide(WICHITA, UTRECHT, an_animal("chrysemys_picta", carapace_cm=8.0)).findings
    assert finding.inputs["checks"] == [
        {"predicate": "carapace", "value": 8.0, "unit": "cm", "min": 10.16, "max": None}
    ]
    assert finding.text == (
        "Turtles and tortoises with a carapace shorter than 4 inches (10.2 cm) may not be sold in the United"
        " States. Here: carapace 8 cm, at least 10.16 cm needed."
    )


@pytest.mark.parametrize(
    "species", ["oryctolagus_cuniculus", "cavia_porcellus", "ovis_aries", "equus_caballus"]
)
def test_a_mammal_is_sold_in_great_britain_only_when_weaned(species: str) -> None:
    assert refused_by(decide(YORK, LEEDS, an_animal(species, weaned=True))) == []
    assert refused_by(decide(YORK, LEEDS, an_animal(species, weaned=False))) == ["UK-SALE-01"]
    assert refused_by(decide(KASSEL, YORK, an_animal(species, weaned=False))) == ["UK-SALE-01"]
    assert refused_by(decide(KASSEL, HAMM, an_animal(species, weaned=False))) == []


def test_an_unweaned_pup_of_age_is_refused_in_the_united_states() -> None:
    (refusal,) = decide(WICHITA, WICHITA, an_animal("felis_catus", age_days=60, weaned=False)).refusals
    assert refusal.rule_id == "US-AGE-01"
    assert refusal.text.endswith("Here: not weaned.")


# --- distance -------------------------------------------------------------------------------------------------


def north_of(place: Place, km: float) -> Place:
    assert place.lat is not None
    return Place(place.country, place.lat + km / (6371.0088 * 3.141592653589793 / 180), place.lon)


@pytest.mark.parametrize(("km", "allowed"), [(99.999, True), (100.0, False), (100.001, False)])
def test_the_young_piglet_travels_less_than_100_km_only(km: float, allowed: bool) -> None:
    decision = decide(
        ROUEN, north_of(ROUEN, km), an_animal("sus_scrofa_domesticus", age_days=12, weaned=False)
    )
    assert outcome_of(decision, "EU-AGE-01") is (Outcome.EXEMPT if allowed else Outcome.VIOLATED)
    assert decision.findings[0].inputs["distance_km"] == km


def test_a_short_journey_excuses_the_pig_but_not_the_pup() -> None:
    decision = decide(
        ROUEN,
        LE_HAVRE,
        an_animal("sus_scrofa_domesticus", age_days=12),
        an_animal("canis_familiaris", age_days=42),
    )
    assert refused_by(decision) == ["EU-AGE-02"]


@pytest.mark.parametrize(
    "nowhere",
    [
        Place("FR"),
        Place("FR", 49.0),
        Place("FR", None, 1.0),
        Place("FR", float("nan"), 1.0),
        Place("FR", 91.0, 1.0),
    ],
)
def test_a_missing_position_refuses_where_the_distance_decides(nowhere: Place) -> None:
    piglet = an_animal("sus_scrofa_domesticus", age_days=12)
    for decision in (decide(ROUEN, nowhere, piglet), decide(nowhere, ROUEN, piglet)):
        assert refused_by(decision) == ["EU-AGE-01"]
        assert "a position is missing" in decision.findings[0].text


def test_a_missing_position_is_no_matter_where_no_rule_asks_for_it() -> None:
    assert (
        decide(Place("FR"), Place("NL"), an_animal("sus_scrofa_domesticus", age_days=21)).verdict == "allow"
    )


HEATHROW, KENNEDY = Place("GB", 51.4700, -0.4543), Place("US", 40.6413, -73.7781)


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        (KASSEL, KASSEL, 0.0),
        (Place("NL", 0.0, 0.0), Place("NL", 90.0, 0.0), 10007.557),
        (Place("NL", 90.0, 0.0), Place("NL", -90.0, 77.0), 20015.115),
        (Place("NL", 0.0, 179.5), Place("NL", 0.0, -179.5), 111.195),
        (HEATHROW, KENNEDY, 5540),
    ],
)
def test_distance_is_the_great_circle(one: Place, other: Place, km: float) -> None:
    assert welfare.distance_km(one, other) == pytest.approx(km, rel=1e-3 if km == 5540 else 1e-7)


latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_symmetric_and_never_beyond_half_the_globe(
    a: float, b: float, c: float, d: float
) -> None:
    there = welfare.distance_km(Place("NL", a, b), Place("NL", c, d))
    back = welfare.distance_km(Place("NL", c, d), Place("NL", a, b))
    assert there is not None
    assert back == pytest.approx(there, abs=0.0011)
    assert 0 <= there <= 20015.2


# --- mother, documents, dates ---------------------------------------------------------------------------------


def test_a_young_pup_travels_in_europe_with_its_mother_but_not_in_the_united_states() -> None:
    pup = an_animal("canis_familiaris", age_days=42, with_mother=True)
    assert outcome_of(decide(KASSEL, UTRECHT, pup), "EU-AGE-02") is Outcome.EXEMPT
    assert refused_by(decide(KASSEL, WICHITA, pup)) == ["US-AGE-01"]


def test_an_accepted_document_sets_its_rule_aside_and_no_other() -> None:
    slider = an_animal("trachemys_scripta_elegans", carapace_cm=8.0)
    pup = an_animal("canis_familiaris", line_no=2, age_days=42)
    decision = decide(WICHITA, UTRECHT, slider, pup, documents=("for_export_only", "anything"))
    assert outcome_of(decision, "US-SALE-01") is Outcome.WAIVED
    assert refused_by(decision) == ["EU-AGE-02", "US-AGE-01"]
    assert decision.findings[0].inputs["documents"] == ["for_export_only"]


def test_age_is_counted_on_the_dispatch_date_and_born_on_goes_before_age_days() -> None:
    pup = an_animal("canis_familiaris", born_on=AT - timedelta(days=55), age_days=400)
    shipment = Shipment(KASSEL, UTRECHT, (pup,))
    assert welfare.evaluate(RULES, shipment, at=AT).verdict is Verdict.REFUSE
    assert welfare.evaluate(RULES, shipment, at=AT + timedelta(days=1)).verdict is Verdict.ALLOW


def test_an_animal_that_is_not_born_by_the_dispatch_date_is_refused() -> None:
    pup = an_animal("canis_familiaris", born_on=AT + timedelta(days=3))
    assert refused_by(decide(KASSEL, UTRECHT, pup)) == ["EU-AGE-02"]


def test_a_rule_has_no_say_before_its_date_or_outside_its_phases() -> None:
    rabbit = Shipment(YORK, LEEDS, (an_animal("oryctolagus_cuniculus", weaned=False),))
    assert welfare.evaluate(RULES, rabbit, at=date(2018, 9, 30)).verdict is Verdict.ALLOW
    assert welfare.evaluate(RULES, rabbit, at=date(2018, 10, 1)).verdict is Verdict.REFUSE
    in_transit = frozenset({Phase.TRANSIT})
    assert welfare.evaluate(RULES, rabbit, at=AT, phases=in_transit).findings == ()


# --- what is missing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("species", "missing", "route", "rule_id"),
    [
        ("sus_scrofa_domesticus", {"age_days": None}, (ROUEN, UTRECHT), "EU-AGE-01"),
        ("canis_familiaris", {"age_days": None}, (KASSEL, UTRECHT), "EU-AGE-02"),
        ("canis_familiaris", {"age_days": None}, (WICHITA, WICHITA), "US-AGE-01"),
        ("felis_catus", {"weaned": None}, (WICHITA, WICHITA), "US-AGE-01"),
        ("trachemys_scripta", {"carapace_cm": None}, (WICHITA, UTRECHT), "US-SALE-01"),
        ("testudo_hermanni", {"carapace_cm": float("nan")}, (HAMM, WICHITA), "US-SALE-01"),
        ("cavia_porcellus", {"weaned": None, "kind": "countable"}, (ROUEN, YORK), "UK-SALE-01"),
    ],
)
def test_a_missing_datum_that_a_rule_needs_refuses(
    species: str, missing: dict[str, Any], route: tuple[Place, Place], rule_id: str
) -> None:
    decision = decide(*route, an_animal(species, **missing))
    assert refused_by(decision) == [rule_id]
    assert outcome_of(decision, rule_id) is Outcome.MISSING
    assert "is not known" in decision.findings[-1].text


def test_what_is_broken_is_said_beside_what_is_missing() -> None:
    (finding,) = decide(WICHITA, WICHITA, an_animal("felis_catus", age_days=55, weaned=None)).refusals
    assert finding.outcome is Outcome.VIOLATED
    assert finding.text.endswith("Here: age 55 d, at least 56 d needed; weaned is not known.")


def test_an_unknown_age_does_not_matter_within_100_km() -> None:
    piglet = an_animal("sus_scrofa_domesticus", age_days=None)
    assert outcome_of(decide(ROUEN, LE_HAVRE, piglet), "EU-AGE-01") is Outcome.EXEMPT


@pytest.mark.parametrize("species", ["", "canis", "Canis_familiaris", "draco_volans_magnus"])
@pytest.mark.parametrize("kind", ["individual", "countable", "", "goods"])
def test_an_animal_of_unknown_species_is_refused(species: str, kind: str) -> None:
    assert refused_by(decide(ROUEN, UTRECHT, an_animal(species, kind=kind))) == ["DATA-SPECIES"]


@pytest.mark.parametrize("country", ["", "UK", "EU", "nl", "XX", "USA"])
def test_an_animal_from_or_to_an_unknown_country_is_refused(country: str) -> None:
    fish = an_animal("poecilia_reticulata", kind="countable")
    assert refused_by(decide(Place(country, 1.0, 1.0), UTRECHT, fish)) == ["DATA-ORIGIN"]
    assert refused_by(decide(UTRECHT, Place(country, 1.0, 1.0), fish)) == ["DATA-DESTINATION"]


def test_goods_have_no_findings_wherever_they_go() -> None:
    crate = AnimalFacts(line_no=1, species="", kind="good")
    decision = decide(Place(""), Place("XX"), crate)
    assert (decision.verdict, decision.findings) == (Verdict.ALLOW, ())


# --- several rules at once ------------------------------------------------------------------------------------


def test_both_jurisdictions_of_a_route_are_cited() -> None:
    decision = decide(KASSEL, WICHITA, an_animal("canis_familiaris", age_days=42, weaned=False))
    cited = [(f.rule_id, f.jurisdiction, f.citation) for f in decision.refusals]
    assert cited == [
        ("EU-AGE-02", "EU", "Council Regulation (EC) No 1/2005, Annex I, Chapter I, point 2(f)"),
        ("US-AGE-01", "US", "9 CFR 2.130"),
    ]
    both_ends = decide(YORK, KASSEL, an_animal("canis_familiaris", age_days=42))
    assert both_ends.refusals[0].jurisdiction == "GB+EU"


def test_the_strictest_of_two_jurisdictions_wins() -> None:
    piglet = an_animal("sus_scrofa_domesticus", age_days=12, weaned=False)
    decision = decide(YORK, LEEDS, piglet)
    assert outcome_of(decision, "EU-AGE-01") is Outcome.EXEMPT
    assert outcome_of(decision, "UK-SALE-01") is Outcome.VIOLATED
    assert decision.verdict is Verdict.REFUSE


@pytest.mark.parametrize("territory", ["PR", "VI", "GU"])
def test_the_united_states_include_their_territories(territory: str) -> None:
    pup = an_animal("canis_familiaris", age_days=42)
    assert refused_by(decide(WICHITA, Place(territory, 18.2, -66.5), pup)) == ["US-AGE-01"]
    assert "US-AGE-01" in refused_by(decide(UTRECHT, Place(territory, 18.2, -66.5), pup))


some_animals = st.builds(
    AnimalFacts,
    line_no=st.integers(1, 3),
    species=st.sampled_from([*RULES.by_species, "unknown"]),
    kind=st.sampled_from(["good", "countable", "individual"]),
    age_days=st.none() | st.integers(0, 80),
    weaned=st.none() | st.booleans(),
    carapace_cm=st.none() | st.floats(0, 20) | st.just(float("nan")),
    with_mother=st.booleans(),
)
some_places = st.builds(
    Place,
    st.sampled_from(["NL", "DE", "GB", "US", "CH", "??"]),
    st.none() | st.floats(-91, 91),
    st.none() | st.floats(-180, 180),
)
some_shipments = st.builds(
    Shipment,
    some_places,
    some_places,
    st.lists(some_animals, max_size=3, unique_by=lambda animal: animal.line_no).map(tuple),
)


@given(some_shipments)
def test_any_decision_replays_to_the_same_bytes_also_after_storage_and_in_another_line_order(
    shipment: Shipment,
) -> None:
    record = welfare.decision_record(shipment, welfare.evaluate(RULES, shipment, at=AT))
    stored = json.loads(welfare.canonical_json(record))
    assert welfare.canonical_json(welfare.replay(RULES, stored)) == welfare.canonical_json(record)
    turned = Shipment(shipment.origin, shipment.destination, shipment.animals[::-1])
    assert welfare.decision_record(turned, welfare.evaluate(RULES, turned, at=AT)) == record


@given(some_shipments)
def test_more_animals_never_make_a_verdict_milder(shipment: Shipment) -> None:
    order = [Verdict.ALLOW, Verdict.WARN, Verdict.REFUSE]
    whole = welfare.evaluate(RULES, shipment, at=AT)
    for animal in shipment.animals:
        alone = welfare.evaluate(RULES, Shipment(shipment.origin, shipment.destination, (animal,)), at=AT)
        assert order.index(alone.verdict) <= order.index(whole.verdict)
        assert set(map(str, alone.findings)) <= set(map(str, whole.findings))


# --- the demo catalogue ---------------------------------------------------------------------------------------

ROTTERDAM, BARNEVELD = Place("NL", 51.92, 4.48), Place("NL", 52.14, 5.58)
DESTINATIONS = {
    "NL": UTRECHT,
    "DE": Place("DE", 52.52, 13.40),
    "FR": Place("FR", 48.86, 2.35),
    "GB": Place("GB", 51.51, -0.13),
    "US": Place("US", 40.71, -74.01),
}
# vendor's place, sku, species, kind, age in days, weaned, carapace in cm
CATALOGUE: list[tuple[Place, str, str, str, int | None, bool | None, float | None]] = [
    (ROTTERDAM, "FISH-CARD-10", "paracheirodon_axelrodi", "countable", None, None, None),
    (ROTTERDAM, "FISH-GUPPY-6", "poecilia_reticulata", "countable", None, None, None),
    (ROTTERDAM, "FISH-DISCUS-1", "symphysodon_aequifasciatus", "countable", None, None, None),
    (ROTTERDAM, "FISH-CLOWN-1", "amphiprion_ocellaris", "countable", None, None, None),
    (ROTTERDAM, "SHRIMP-NEO-20", "neocaridina_davidi", "countable", None, None, None),
    (ROTTERDAM, "SNAIL-NERI-5", "neritina_natalensis", "countable", None, None, None),
    (ROTTERDAM, "CORAL-ZOA-1", "zoanthus_sp", "countable", None, None, None),
    (ROTTERDAM, "GOOD-SALT-20", "", "good", None, None, None),
    (ROTTERDAM, "GOOD-HEATPK", "", "good", None, None, None),
    (BARNEVELD, "CHICK-SUSX-25", "gallus_gallus_domesticus", "countable", None, None, None),
    (BARNEVELD, "CHICK-BRAH-12", "gallus_gallus_domesticus", "countable", None, None, None),
    (BARNEVELD, "DUCK-PEKIN-10", "anas_platyrhynchos_domesticus", "countable", None, None, None),
    (BARNEVELD, "QUAIL-JAP-20", "coturnix_japonica", "countable", None, None, None),
    (BARNEVELD, "HEN-ISA-1", "gallus_gallus_domesticus", "countable", None, None, None),
    (BARNEVELD, "GOOD-FEED-20", "", "good", None, None, None),
    (BARNEVELD, "GOOD-BROOD", "", "good", None, None, None),
    (HAMM, "SNAKE-CORN-0417", "pantherophis_guttatus", "individual", 171, None, None),
    (HAMM, "SNAKE-CORN-0423", "pantherophis_guttatus", "individual", 168, None, None),
    (HAMM, "SNAKE-BALL-1102", "python_regius", "individual", 132, None, None),
    (HAMM, "GECKO-LEO-3307", "eublepharis_macularius", "individual", 549, None, None),
    (HAMM, "GECKO-CRE-3410", "correlophus_ciliatus", "individual", 251, None, None),
    (HAMM, "TORT-HERM-0071", "testudo_hermanni", "individual", 812, None, 11.5),
    (HAMM, "FROG-DART-4", "dendrobates_tinctorius", "countable", None, None, None),
    (HAMM, "INSECT-CRICK-500", "acheta_domesticus", "countable", None, None, None),
    (HAMM, "GOOD-UVB-36", "", "good", None, None, None),
    (KASSEL, "DOG-BORD-A1", "canis_familiaris", "individual", 83, True, None),
    (KASSEL, "DOG-BORD-A2", "canis_familiaris", "individual", 83, True, None),
    (KASSEL, "DOG-BORD-B1", "canis_familiaris", "individual", 42, False, None),
    (KASSEL, "DOG-LAB-C4", "canis_familiaris", "individual", 113, True, None),
    (KASSEL, "CAT-MAIN-D2", "felis_catus", "individual", 97, True, None),
    (KASSEL, "GOOD-CRATE-M", "", "good", None, None, None),
    (ROUEN, "LAMB-TEX-118", "ovis_aries", "individual", 231, True, None),
    (ROUEN, "LAMB-TEX-121", "ovis_aries", "individual", 229, True, None),
    (ROUEN, "CALF-ANG-77", "bos_taurus", "individual", 247, True, None),
    (ROUEN, "PIG-MANG-15", "sus_scrofa_domesticus", "individual", 71, True, None),
    (ROUEN, "HORSE-HAF-3", "equus_caballus", "individual", 2759, True, None),
    (ROUEN, "BEE-NUC-1", "apis_mellifera", "countable", None, None, None),
    (ROUEN, "RABBIT-NZ-2", "oryctolagus_cuniculus", "countable", None, True, None),
    (ROUEN, "GUINEA-PIG-2", "cavia_porcellus", "countable", None, True, None),
    (ROUEN, "GOOD-HAY-B", "", "good", None, None, None),
    (KASSEL, "CAT-MAIN-D9", "felis_catus", "individual", 40, False, None),
    (ROUEN, "PIG-MANG-22", "sus_scrofa_domesticus", "individual", 12, False, None),
    (ROUEN, "LAMB-TEX-130", "ovis_aries", "individual", 5, False, None),
    (YORK, "BIRD-BUDG-2", "melopsittacus_undulatus", "countable", None, None, None),
    (YORK, "BIRD-ZEB-4", "taeniopygia_guttata", "countable", None, None, None),
    (WICHITA, "TURT-RES-08", "trachemys_scripta_elegans", "individual", 60, None, 8.0),
    (WICHITA, "SNAKE-HOG-11", "heterodon_nasicus", "individual", 140, None, None),
]
PUP = {"GB": ["EU-AGE-02", "UK-SALE-01"], "US": ["EU-AGE-02", "US-AGE-01"], None: ["EU-AGE-02"]}
NEWBORN = {"GB": ["EU-AGE-01", "UK-SALE-01"], None: ["EU-AGE-01"]}
REFUSED: dict[str, dict[str | None, list[str]]] = {
    "DOG-BORD-B1": PUP,
    "CAT-MAIN-D9": PUP,
    "PIG-MANG-22": NEWBORN,
    "LAMB-TEX-130": NEWBORN,
    "TURT-RES-08": {None: ["US-SALE-01"]},
}


@pytest.mark.parametrize("country", DESTINATIONS)
@pytest.mark.parametrize("row", CATALOGUE, ids=[row[1] for row in CATALOGUE])
def test_every_article_of_the_catalogue_is_allowed_or_refused_for_a_reason(row: Any, country: str) -> None:
    origin, sku, species, kind, age_days, weaned, carapace_cm = row
    facts = AnimalFacts(1, species, kind, age_days=age_days, weaned=weaned, carapace_cm=carapace_cm)
    reasons = REFUSED.get(sku, {None: []})
    decision = decide(origin, DESTINATIONS[country], facts)
    assert refused_by(decision) == reasons.get(country, reasons[None])
    assert decision.verdict is (Verdict.REFUSE if sku in REFUSED else Verdict.ALLOW)


def test_the_three_refused_articles_say_why_in_plain_words() -> None:
    pup = decide(KASSEL, UTRECHT, an_animal("canis_familiaris", age_days=42, weaned=False)).refusals[0]
    piglet = decide(ROUEN, UTRECHT, an_animal("sus_scrofa_domesticus", age_days=12, weaned=False)).refusals[0]
    assert pup.text == (
        "Dogs and cats under 56 days (8 weeks) may not be transported without their mother."
        " Here: age 42 d, at least 56 d needed."
    )
    assert piglet.text == (
        "Piglets under 21 days, lambs under 7 days and calves under 10 days may not be transported 100 km or"
        " more. Here: age 12 d, at least 21 d needed; distance 408.249 km."
    )
