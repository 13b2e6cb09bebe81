"""How long wrong passwords make anybody wait, and whom they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_auth import backoff
from orderhub_auth.backoff import Count, Counts, Keys, Policies, Policy

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
POLICIES = Policies.of(place=5, account=20, address=50)
EACH: list[Policy] = [POLICIES.place, POLICIES.own_place, POLICIES.account, POLICIES.address]
NOTHING = timedelta(0)


def failed(times: int, policy: Policy, *, every: timedelta = NOTHING) -> Count:
    """After so many wrong ones, the last of them now."""
    count, at = Count(), NOW - every * times
    for _ in range(times):
        at += every
        counts = backoff.counted(Counts(count, count, count), policies_of(policy), now=at)
        count = counts.place
    return count


def policies_of(policy: Policy) -> Policies:
    return Policies(policy, policy, policy, policy)


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (POLICIES.place, {4: 0, 5: 1, 6: 2, 7: 4, 10: 32, 14: 512, 15: 900, 200: 900}),
        (POLICIES.own_place, {4: 0, 5: 1, 6: 2, 10: 32, 11: 60, 200: 60}),
        (POLICIES.account, {19: 0, 20: 1, 21: 2, 22: 4, 23: 5, 200: 5}),
        (POLICIES.address, {49: 0, 50: 1, 55: 32, 56: 60, 200: 60}),
    ],
    ids=["place", "own place", "account", "address"],
)
def test_waits_double_up_to_their_cap(policy: Policy, waits: dict[int, int]) -> None:
    found = {times: backoff.wait(failed(times, policy), policy, now=NOW).total_seconds() for times in waits}
    assert found == waits


@pytest.mark.parametrize("policy", EACH, ids=["place", "own place", "account", "address"])
def test_failures_are_forgotten_one_by_one(policy: Policy) -> None:
    count = failed(policy.free + 3, policy)
    for forgotten in range(policy.free + 4):
        at = NOW + policy.forget * forgotten
        assert backoff.standing(count, policy, now=at) == policy.free + 3 - forgotten
        assert backoff.standing(count, policy, now=at + policy.forget - SECOND) == policy.free + 3 - forgotten


COUNTS = st.builds(
    Count,
    failures=st.integers(0, 100),
    failed_at=st.none() | st.integers(-100_000, 100_000).map(lambda s: NOW + timedelta(seconds=s)),
    succeeded_at=st.none() | st.integers(-200, 1).map(lambda d: NOW + timedelta(days=d)),
)


@given(COUNTS, st.sampled_from(EACH), st.integers(0, 100_000))
def test_a_wait_has_its_cap_gets_shorter_with_time_and_is_over_when_it_was_said_to_be(
    count: Count, policy: Policy, seconds: int
) -> None:
    wait = backoff.wait(count, policy, now=NOW)
    assert NOTHING <= wait <= policy.cap
    later = NOW + timedelta(seconds=seconds)
    assert backoff.wait(count, policy, now=later) <= max(wait, policy.cap - timedelta(seconds=seconds))
    if count.failed_at is not None and count.failed_at <= NOW:
        assert backoff.wait(count, policy, now=NOW + wait) == NOTHING


@given(st.integers(0, 100), st.integers(0, 100), st.sampled_from(EACH))
def test_more_failures_never_wait_less(one: int, other: int, policy: Policy) -> None:
    fewer, more = sorted((one, other))
    waits = [backoff.wait(Count(failures, NOW), policy, now=NOW) for failures in (fewer, more)]
    assert waits == sorted(waits)


@given(COUNTS, COUNTS, COUNTS)
def test_at_its_own_places_nothing_that_happens_elsewhere_holds_an_account(
    place: Count, account: Count, address: Count
) -> None:
    alone = backoff.judge(Counts(place), POLICIES, now=NOW)
    held = backoff.judge(Counts(place, account, address), POLICIES, now=NOW)
    if backoff.is_own(place, now=NOW):
        assert held == alone
        assert held is None or held.wait <= MINUTE


@given(COUNTS, COUNTS)
def test_strangers_are_held_for_the_sake_of_an_account_for_seconds_only(
    account: Count, address: Count
) -> None:
    held = backoff.judge(Counts(Count(), account, Count()), POLICIES, now=NOW)
    assert held is None or (held.policy == "account" and held.wait <= 5 * SECOND)


GUESSES = st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["wrong", "right", "busy"])), max_size=80)


@given(GUESSES)
def test_only_wrong_passwords_count_and_right_ones_of_the_attacker_wash_nothing_off(
    guesses: list[tuple[int, str]],
) -> None:
    """The address: what a right password elsewhere leaves of it is what the wrong ones alone would have left."""
    now, counts, wrong = NOW, Counts(), Counts()
    for seconds, outcome in guesses:
        now += timedelta(seconds=seconds)
        before, mine = counts, backoff.counted(counts, POLICIES, now=now)
        if outcome == "wrong":
            counts, wrong = mine, backoff.counted(wrong, POLICIES, now=now)
        elif outcome == "right":
            counts = backoff.forgiven(mine, before, mine, now=now)
            assert counts.place == Count(succeeded_at=now)
        else:
            counts = backoff.undone(mine, before, mine)
            assert counts == before
        assert (counts.account, counts.address) == (wrong.account, wrong.address)


def test_who_fails_meanwhile_is_not_forgiven_with_the_one_who_was_right() -> None:
    before = Counts()
    mine = backoff.counted(before, POLICIES, now=NOW)
    latest = backoff.counted(mine, POLICIES, now=NOW + SECOND)
    left = backoff.forgiven(latest, before, mine, now=NOW + SECOND)
    assert (left.account.failures, left.address.failures) == (1, 1)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_a_place_is_what_one_customer_of_a_provider_has(address: str, place: str) -> None:
    assert backoff.place_of(address) == place


def test_keys_differ_by_what_they_are_for_and_tell_nothing() -> None:
    keys = Keys.of(" Ada@Example.org", "203.0.113.7")
    assert keys == Keys.of("ada@example.org", "203.0.113.7")
    other = Keys.of("ada@example.org", "203.0.113.8")
    assert (keys.account == other.account, keys.address == other.address, keys.place == other.place) == (
        True, False, False,
    )  # fmt: skip
    assert len({keys.place, keys.account, keys.address}) == 3
    assert b"ada" not in keys.account
