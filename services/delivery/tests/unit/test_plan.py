"""Plans: which animals of an order may go, why the others may not, and what is kept of the decision."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from orderhub_chassis.consumer import Context
from orderhub_chassis.ids import CountingIds
from orderhub_chassis.messages import Envelope
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Position
from orderhub_contracts.delivery.v1.commands_pb2 import PlanDelivery, PlanLine
from orderhub_contracts.events.v1.records_pb2 import Record
from orderhub_contracts.orders.v1 import replies_pb2
from orderhub_contracts.orders.v1.replies_pb2 import SagaReply
from orderhub_delivery import welfare
from orderhub_delivery.commands import create, plan, saga
from orderhub_delivery.commands.saga import State
from orderhub_delivery.welfare import RuleSet

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = NOW.date()
ORDER = UUID(int=5)
RULES = welfare.load_rules()


def at(country: str, lat: float | None = None, lon: float | None = None) -> Address:
    position = None if lat is None or lon is None else Position(lat=lat, lon=lon)
    return Address(name="N", line1="L", city="C", country=country, position=position)


BARNEVELD, UTRECHT, HAMM = at("NL", 52.14, 5.58), at("NL", 52.09, 5.12), at("DE", 51.68, 7.82)
YORK, WICHITA = at("GB", 53.96, -1.08), at("US", 37.69, -97.34)


def an_animal(species: str, days: int | None = 400, id: str = "a-1", **over: Any) -> AnimalFacts:
    born = "" if days is None else str(TODAY - timedelta(days=days))
    return AnimalFacts(
        **{"animal_id": id, "species": species, "life_stage": "juvenile", "born_on": born, **over}
    )


def individual(*candidates: AnimalFacts, line_no: int = 1) -> PlanLine:
    return PlanLine(line_no=line_no, kind="individual", quantity=1, candidates=candidates)


def countable(*candidates: AnimalFacts, line_no: int = 1) -> PlanLine:
    return PlanLine(line_no=line_no, kind="countable", quantity=10, candidates=candidates)


def good(line_no: int = 1) -> PlanLine:
    return PlanLine(line_no=line_no, kind="good", quantity=1)


PUP = an_animal("canis_familiaris", 42, weaned=False)
PIGLET = an_animal("sus_scrofa_domesticus", 12, weaned=False)
SLIDER = an_animal("trachemys_scripta_elegans", 60, carapace_cm=8.0)
TETRA = an_animal("paracheirodon_axelrodi", None, id="", life_stage="adult")


def decide(
    *lines: PlanLine, pickup: Address = UTRECHT, ship_to: Address = HAMM, rules: RuleSet = RULES
) -> tuple[SagaReply, State]:
    command = PlanDelivery(order_id=str(ORDER), vendor_id="v", pickup=pickup, ship_to=ship_to, lines=lines)
    state = State(rules, {}, {})
    envelope = Envelope("delivery.commands.v1", 0, UUID(int=1), Record(), command)
    (reply,) = saga.plan_delivery(state, envelope, Context(NOW, CountingIds(100)))
    assert isinstance(reply, SagaReply)
    return reply, state


def refused_by(reply: SagaReply) -> list[tuple[int, str]]:
    assert reply.outcome == replies_pb2.OUTCOME_FAILED
    return [(line.line_no, line.code) for line in reply.reason.lines]


def allowed(reply: SagaReply) -> dict[int, list[str]]:
    assert reply.outcome == replies_pb2.OUTCOME_SUCCEEDED
    return {line.line_no: list(line.animal_ids) for line in reply.delivery_planned.allowed}


def test_the_six_week_old_pup_stays_at_home() -> None:
    reply, _ = decide(individual(PUP))
    assert reply.reason.code == "EU-AGE-02"
    assert reply.reason.message == (
        "Dogs and cats under 56 days (8 weeks) may not be transported without their mother."
        " Here: age 42 d, at least 56 d needed."
    )
    assert refused_by(reply) == [(1, "EU-AGE-02")]


def test_the_twelve_day_piglet_goes_less_than_100_km_and_no_further() -> None:
    assert refused_by(decide(individual(PIGLET), pickup=BARNEVELD, ship_to=HAMM)[0]) == [(1, "EU-AGE-01")]
    assert allowed(decide(individual(PIGLET), pickup=BARNEVELD, ship_to=UTRECHT)[0]) == {1: ["a-1"]}


def test_a_route_without_a_position_has_no_exemption() -> None:
    reply, _ = decide(individual(PIGLET), pickup=BARNEVELD, ship_to=at("NL"))
    assert refused_by(reply) == [(1, "EU-AGE-01")]
    assert "position is missing" in reply.reason.message


def test_the_eight_centimetre_slider_is_not_sold_in_the_united_states() -> None:
    assert refused_by(decide(individual(SLIDER), pickup=WICHITA, ship_to=WICHITA)[0]) == [(1, "US-SALE-01")]
    assert refused_by(decide(individual(SLIDER), pickup=UTRECHT, ship_to=WICHITA)[0]) == [(1, "US-SALE-01")]
    assert allowed(decide(individual(SLIDER), pickup=UTRECHT, ship_to=HAMM)[0]) == {1: ["a-1"]}


def test_of_several_pups_those_that_are_old_enough_may_be_taken() -> None:
    old = an_animal("canis_familiaris", 70, id="a-2", weaned=True)
    older = an_animal("canis_familiaris", 90, id="a-3", weaned=True)
    reply, state = decide(individual(PUP, old, older))
    assert allowed(reply) == {1: ["a-2", "a-3"]}
    assert reply.delivery_planned.verdict == "allow"
    (row,) = state.decisions
    assert [j["verdict"] for j in json.loads(row.findings)] == ["refuse", "allow", "allow"]


def test_when_no_candidate_may_go_the_first_one_says_why() -> None:
    younger = an_animal("canis_familiaris", 20, id="a-2", weaned=False)
    reply, _ = decide(individual(PUP, younger))
    assert refused_by(reply) == [(1, "EU-AGE-02")]
    assert "42 d" in reply.reason.message


def test_one_refused_line_refuses_the_order_and_every_such_line_is_named() -> None:
    lamb = an_animal("ovis_aries", 5)
    reply, _ = decide(countable(TETRA, line_no=1), individual(PUP, line_no=2), individual(lamb, line_no=4))
    assert refused_by(reply) == [(2, "EU-AGE-02"), (4, "EU-AGE-01")]
    assert reply.reason.code == "EU-AGE-02"


def test_countable_animals_go_by_what_is_known_of_their_product() -> None:
    reply, _ = decide(countable(TETRA))
    assert allowed(reply) == {}
    chick = an_animal("felis_catus", 20, id="")
    assert refused_by(decide(countable(TETRA, chick))[0]) == [(1, "EU-AGE-02")]


def test_countable_animals_of_which_nothing_is_known_are_refused() -> None:
    reply, state = decide(countable(line_no=3))
    assert refused_by(reply) == [(3, "DATA-FACTS")]
    assert state.decisions[0].verdict == "refuse"


def test_an_individual_of_which_none_is_free_passes_for_the_reservation_to_say() -> None:
    reply, state = decide(individual())
    assert allowed(reply) == {1: []}
    assert len(state.decisions) == 1


def test_goods_have_no_rules_and_leave_no_decision() -> None:
    """Orders does not ask for them alone; whoever does is told that nothing is against it."""
    reply, state = decide(good(), good(2))
    assert reply.outcome == replies_pb2.OUTCOME_SUCCEEDED
    assert allowed(reply) == {}
    assert (reply.delivery_planned.verdict, reply.delivery_planned.decision_id) == ("allow", "")
    assert state.decisions == []


@pytest.mark.parametrize("over", [{"species": "draco_volans"}, {"born_on": ""}, {"born_on": "last spring"}])
def test_a_missing_or_unknown_datum_refuses(over: dict[str, Any]) -> None:
    animal = an_animal("canis_familiaris", 400, weaned=True)
    animal.MergeFrom(AnimalFacts(**over))
    if "born_on" in over:
        animal.born_on = over["born_on"]
    assert decide(individual(animal))[0].outcome == replies_pb2.OUTCOME_FAILED


def test_an_unknown_country_refuses_animals() -> None:
    assert refused_by(decide(countable(TETRA), ship_to=at("XX"))[0]) == [(1, "DATA-DESTINATION")]


def test_the_decision_is_kept_with_the_hash_and_can_be_taken_again() -> None:
    reply, state = decide(individual(PUP, an_animal("canis_familiaris", 70, id="a-2", weaned=True)), good(2))
    (row,) = state.decisions
    assert (str(row.id), row.rule_set_hash) == (reply.delivery_planned.decision_id, RULES.hash)
    assert (row.order_id, row.verdict, row.at) == (ORDER, "allow", NOW)
    inputs = json.loads(row.inputs)
    again = plan.judge(RULES, plan.plan_of_row(row), at=date.fromisoformat(inputs["at"]))
    assert plan.decision_row(again, id=row.id, order_id=ORDER, now=NOW) == row


def test_what_no_database_keeps_is_not_written() -> None:
    strange = an_animal("canis\0familiaris", weight_kg=float("nan"), id="a\0")
    _, state = decide(individual(strange), ship_to=at("D\0"))
    (row,) = state.decisions
    assert "\\u0000" not in row.inputs + row.findings
    assert "NaN" not in row.inputs


def test_a_decision_of_another_format_is_not_guessed_at() -> None:
    _, state = decide(individual(PUP))
    row = state.decisions[0]
    foreign = plan.DecisionRow(
        row.id, row.order_id, row.rule_set_hash, '{"format": 2}', row.verdict, row.findings, row.at
    )
    with pytest.raises(ValueError, match="format 2"):
        plan.plan_of_row(foreign)


def test_a_rule_is_added_by_a_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "tetras.toml"
    file.write_text(
        """
        [[rules]]
        id = "DE-WEIGHT-01"
        jurisdictions = ["DE"]
        applies_to = "destination"
        phases = ["book"]
        checks = [{ species = ["paracheirodon_axelrodi"], predicate = "weight", min = 1, unit = "g" }]
        severity = "block"
        confidence = "S"
        citation = "a citation"
        source = "a source"
        valid_from = 2026-01-01
        text = "Tetras under 1 g may not be sent to Germany."
        """
    )
    rules = welfare.load_rules([file])
    light = an_animal("paracheirodon_axelrodi", None, weight_kg=0.0005)
    assert allowed(decide(countable(light))[0]) == {}
    assert refused_by(decide(countable(light), rules=rules)[0]) == [(1, "DE-WEIGHT-01")]
    assert allowed(decide(countable(light), ship_to=UTRECHT, rules=rules)[0]) == {}


def test_on_another_route_every_animal_that_may_have_been_taken_must_pass() -> None:
    weaner = an_animal("sus_scrofa_domesticus", 71, id="a-2")
    _, state = decide(individual(PIGLET, weaner), pickup=BARNEVELD, ship_to=UTRECHT)
    (row,) = state.decisions
    near = plan.another_route(row, plan.place(UTRECHT), plan.place(BARNEVELD))
    far = plan.another_route(row, plan.place(BARNEVELD), plan.place(HAMM))
    assert plan.judge(RULES, near, at=TODAY).refusals == ()
    assert [f.rule_id for _, f in plan.judge(RULES, far, at=TODAY).refusals] == ["EU-AGE-01"]


def test_on_another_route_what_was_refused_before_does_not_count() -> None:
    _, state = decide(individual(PUP, an_animal("canis_familiaris", 70, id="a-2", weaned=True)))
    other = plan.another_route(state.decisions[0], plan.place(UTRECHT), plan.place(YORK))
    assert plan.judge(RULES, other, at=TODAY).refusals == ()


def test_a_delivery_by_hand_against_the_rules_names_the_rule_and_carries_its_decision() -> None:
    _, state = decide(individual(PIGLET), pickup=BARNEVELD, ship_to=UTRECHT)
    booking = saga.Booking(
        ORDER, UUID(int=7), "c", "", BARNEVELD.SerializeToString(), UTRECHT.SerializeToString(), 31
    )
    earlier, _ = saga.model.open_delivery(UUID(int=1), booking, held=False, now=NOW)
    saga.model.cancel(earlier, "", now=NOW)
    with pytest.raises(create.RouteRefused) as refusal:
        create.create_delivery(
            [earlier], state.decisions[0], create.Wanted(None, HAMM, ""), RULES,
            id=UUID(int=2), decision_id=UUID(int=3), now=NOW,
        )  # fmt: skip
    assert refusal.value.code == "delivery.against_rules"
    assert [error.code for error in refusal.value.errors] == ["EU-AGE-01"]
    assert (refusal.value.decision.verdict, refusal.value.decision.order_id) == ("refuse", ORDER)
