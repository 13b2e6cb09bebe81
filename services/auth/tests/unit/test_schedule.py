"""What a signing key is at every time, and when the next one is made: the table that rotation goes by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderhub_auth import schedule
from orderhub_auth.schedule import State, Times

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = Times.of(
    longest_token=timedelta(minutes=15),
    max_age=timedelta(minutes=5),
    margin=timedelta(minutes=2),
    period=timedelta(days=1),
)
PREPUBLISHED, SIGNING, RETIRED, GONE = State.PREPUBLISHED, State.SIGNING, State.RETIRED, State.GONE


@dataclass(frozen=True)
class Key:
    kid: str
    signs_from: datetime
    alg: str = "ES256"
    revoked_at: datetime | None = None


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def states(keys: list[Key], minutes: float) -> dict[str, State]:
    return {key.kid: schedule.standing(key, keys, TIMES, at(minutes)).state for key in keys}


# The first key signs from the beginning; the next is published at minute 100 and signs seven minutes later.
OLD, NEXT = Key("old", at(0)), Key("next", at(107))
RING = [OLD, NEXT]
TABLE = [
    pytest.param(100, SIGNING, PREPUBLISHED, id="published, and does not sign yet"),
    pytest.param(106.99, SIGNING, PREPUBLISHED, id="just before its turn"),
    pytest.param(107, RETIRED, SIGNING, id="its turn"),
    pytest.param(128.99, RETIRED, SIGNING, id="the last token of the old one may be about"),
    pytest.param(129, GONE, SIGNING, id="15 minutes of a token, 5 of a cache and 2 of margin later"),
    pytest.param(10_000, GONE, SIGNING, id="long after, whatever job has not run"),
]


@pytest.mark.parametrize(("minutes", "old", "new"), TABLE)
def test_what_two_keys_are_at_each_time_of_a_rotation(minutes: float, old: State, new: State) -> None:
    assert states(RING, minutes) == {"old": old, "next": new}
    signs = schedule.signing(RING, "ES256", at(minutes))
    assert signs is not None
    assert signs.kid == ("old" if old is SIGNING else "next")
    shown = [key.kid for key in schedule.published(RING, TIMES, at(minutes))]
    assert shown == (["next"] if old is GONE else ["next", "old"])


def test_the_end_of_a_key_is_known_as_soon_as_the_next_one_is_there() -> None:
    alone = schedule.standing(OLD, [OLD], TIMES, at(100))
    assert (alone.signs_until, alone.published_until) == (None, None)
    followed = schedule.standing(OLD, RING, TIMES, at(100))
    assert (followed.signs_until, followed.published_until) == (at(107), at(129))


def test_a_key_that_was_taken_back_is_gone_at_once_and_brings_no_other_one_back() -> None:
    fresh = Key("fresh", at(110))
    revoked = [Key(key.kid, key.signs_from, revoked_at=at(110)) for key in RING]
    assert states([*revoked, fresh], 110) == {"old": GONE, "next": GONE, "fresh": SIGNING}
    # The one that had signed still ended the one before it, also for a key that was not taken back itself.
    assert states([OLD, revoked[1], fresh], 110)["old"] is RETIRED
    assert schedule.standing(OLD, [OLD, revoked[1], fresh], TIMES, at(110)).signs_until == at(107)


def test_a_key_that_was_taken_back_before_its_turn_has_followed_nobody() -> None:
    never = Key("next", at(107), revoked_at=at(101))
    assert states([OLD, never], 120) == {"old": SIGNING, "next": GONE}


def test_each_algorithm_has_its_own_rotation() -> None:
    keys = [*RING, Key("rsa", at(0), "RS256")]
    assert states(keys, 107) == {"old": RETIRED, "next": SIGNING, "rsa": SIGNING}
    assert schedule.due(keys, "RS256", TIMES, at(107)) is None
    found = schedule.signing(keys, "RS256", at(107))
    assert found is not None
    assert found.kid == "rsa"


def test_where_no_key_has_begun_the_first_to_begin_signs() -> None:
    """The clock of the replica that made it is a little ahead of ours."""
    later = [Key("b", at(2)), Key("a", at(1))]
    assert states(later, 0) == {"a": SIGNING, "b": PREPUBLISHED}
    assert schedule.due(later, "ES256", TIMES, at(0)) is None


DUE = [
    pytest.param([], 0, 0, id="there is none: it signs at once"),
    pytest.param([Key("old", at(0), revoked_at=at(3))], 5, 5, id="all were taken back: it signs at once"),
    pytest.param([OLD], 1432.99, None, id="not yet"),
    pytest.param([OLD], 1433, 1440, id="seven minutes before the old one's day is over"),
    pytest.param([OLD], 5000, 5007, id="late, and still published before it signs"),
    pytest.param([OLD, Key("next", at(1440))], 1434, None, id="one waits for its turn"),
    pytest.param([OLD, Key("next", at(1440))], 1440, None, id="the next has just begun"),
    pytest.param([OLD, Key("next", at(1440), revoked_at=at(1435))], 1436, 1443, id="the next was taken back"),
]


@pytest.mark.parametrize(("keys", "minutes", "signs_from"), DUE)
def test_when_the_next_key_is_made_and_when_it_signs(
    keys: list[Key], minutes: float, signs_from: float | None
) -> None:
    expected = None if signs_from is None else at(signs_from)
    assert schedule.due(keys, "ES256", TIMES, at(minutes)) == expected


def test_an_operator_gets_the_next_key_before_its_time_and_no_second_one() -> None:
    assert schedule.due([OLD], "ES256", TIMES, at(100)) is None
    assert schedule.following([OLD], "ES256", TIMES, at(100)) == at(107)
    assert schedule.following(RING, "ES256", TIMES, at(100)) is None
    assert schedule.following(RING, "ES256", TIMES, at(107)) == at(114)


def test_private_parts_go_when_a_key_signs_no_more() -> None:
    assert schedule.spent(RING, at(106)) == []
    assert schedule.spent(RING, at(107)) == [OLD]
    taken_back = Key("next", at(107), revoked_at=at(101))
    assert schedule.spent([OLD, taken_back], at(102)) == [taken_back]


def test_keys_are_deleted_from_the_oldest_on_so_that_none_gets_a_longer_life() -> None:
    fresh = Key("fresh", at(110))
    taken_back = Key("next", at(107), revoked_at=at(110))
    keys = [OLD, taken_back, fresh]
    # "next" is gone, but marks the end of "old", which is still published.
    assert schedule.deletable(keys, TIMES, at(112)) == []
    assert schedule.deletable(keys, TIMES, at(129)) == [OLD, taken_back]
    never = Key("never", at(200), revoked_at=at(110))
    assert schedule.deletable([*keys, never], TIMES, at(112)) == [never]


@settings(deadline=None)
@given(
    starts=st.lists(st.integers(0, 3000), min_size=1, max_size=6, unique=True),
    now=st.integers(0, 6000),
)
def test_there_is_always_exactly_one_key_that_signs_and_deleting_changes_nothing(
    starts: list[int], now: int
) -> None:
    keys = [Key(f"k{start}", at(start)) for start in starts]
    found = states(keys, now)
    assert list(found.values()).count(SIGNING) == 1
    left = [key for key in keys if key not in schedule.deletable(keys, TIMES, at(now))]
    assert states(left, now) == {kid: state for kid, state in found.items() if state is not GONE}
