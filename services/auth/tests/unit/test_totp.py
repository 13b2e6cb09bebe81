"""Codes of an app: each is taken once, in its time, and guessing becomes slow, whatever the clock does."""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderhub_auth import totp
from orderhub_auth.totp import FREE_GUESSES, Standing, Verdict

SECRET = base64.b32encode(b"12345678901234567890").decode()
"""That of the RFCs' test values."""
BEGIN = datetime(2026, 5, 1, 12, 0, 10, tzinfo=UTC)
NOW_STEP = totp.step_at(BEGIN)
WRONG = "no code of any step"


def code_of(step: int) -> str:
    return pyotp.TOTP(SECRET).generate_otp(step)


def at_step(step: int) -> datetime:
    return datetime.fromtimestamp(step * totp.PERIOD, UTC)


def judge(standing: Standing, code: str, now: datetime = BEGIN) -> tuple[Verdict, Standing]:
    return totp.judge(SECRET, standing, code, now=now)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
        (2000000000, "69279037"), (20000000000, "65353130"),
    ],
)  # fmt: skip
def test_the_values_of_rfc_6238_appendix_b_are_those_of_their_steps(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    # Eight digits there and six here: the same number, cut shorter (RFC 4226, section 5.3).
    assert totp.matching_step(SECRET, code[-6:], now=now) == seconds // 30


@pytest.mark.parametrize(
    ("count", "code"),
    [
        (0, "755224"), (1, "287082"), (2, "359152"), (3, "969429"), (4, "338314"), (5, "254676"), (6, "287922"),
        (7, "162583"), (8, "399871"), (9, "520489"),
    ],
)  # fmt: skip
def test_the_values_of_rfc_4226_appendix_d_are_those_of_their_counters(count: int, code: str) -> None:
    assert totp.matching_step(SECRET, code, now=at_step(count)) == count


@pytest.mark.parametrize(("off", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
@pytest.mark.parametrize("second", [0.0, 29.999], ids=["first", "last"])
def test_a_step_to_both_sides_counts_and_no_more_from_its_first_to_its_last_moment(
    off: int, right: bool, second: float
) -> None:
    now = at_step(NOW_STEP) + timedelta(seconds=second)
    verdict, standing = judge(Standing(), code_of(NOW_STEP + off), now)
    assert verdict is (Verdict.RIGHT if right else Verdict.WRONG)
    assert standing.last_step == (NOW_STEP + off if right else -1)


def test_a_code_that_two_steps_of_the_window_share_uses_up_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyotp.TOTP, "generate_otp", lambda self, step: "123456")
    verdict, standing = judge(Standing(), "123456")
    assert (verdict, standing.last_step) == (Verdict.RIGHT, NOW_STEP + 1)
    assert judge(standing, "123456")[0] is Verdict.WRONG


def test_a_code_is_worth_nothing_the_second_time_nor_is_one_before_it() -> None:
    _, standing = judge(Standing(), code_of(NOW_STEP))
    for step in (NOW_STEP, NOW_STEP - 1):
        assert judge(standing, code_of(step))[0] is Verdict.WRONG
    assert judge(standing, code_of(NOW_STEP + 1))[0] is Verdict.RIGHT


MOVES = st.lists(
    st.tuples(
        # How the clock moves, back too; and how far from its step the code is.
        st.integers(-600, 600),
        st.integers(-3, 3),
    ),
    max_size=60,
)


@given(MOVES)
def test_no_step_is_taken_twice_nor_before_an_earlier_one_however_the_clock_jumps(
    moves: list[tuple[int, int]],
) -> None:
    now, standing, taken = BEGIN, Standing(), []
    for seconds, off in moves:
        now += timedelta(seconds=seconds)
        step = totp.step_at(now) + off
        before = standing
        verdict, standing = judge(standing, code_of(step), now)
        if verdict is Verdict.RIGHT:
            taken.append(standing.last_step)
            assert abs(standing.last_step - totp.step_at(now)) <= totp.WINDOW
            assert code_of(standing.last_step) == code_of(step)
        elif verdict is Verdict.TOO_SOON:
            assert standing == before
        else:
            assert standing.last_step == before.last_step
    assert taken == sorted(set(taken)), "each once, and only ever later ones"


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=12), st.data())
def test_of_any_order_of_the_same_codes_each_counts_at_most_once(
    offs: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(offs + offs))
    standing, right = Standing(), []
    for off in order:
        # Wrong ones are not counted here, so that waiting hides nothing.
        verdict, standing = judge(Standing(standing.last_step), code_of(NOW_STEP + off))
        right += [off] if verdict is Verdict.RIGHT else []
    assert len(right) == len(set(right))


@settings(deadline=None)  # 400 guesses: a busy machine takes long for that
@given(st.lists(st.timedeltas(timedelta(0), timedelta(hours=3)), min_size=200, max_size=400))
def test_a_guesser_has_few_tries_however_it_spreads_them(gaps: list[timedelta]) -> None:
    now, standing, looked_at = BEGIN, Standing(), []
    for gap in gaps:
        now += gap
        verdict, standing = judge(standing, WRONG, now)
        looked_at += [now] if verdict is Verdict.WRONG else []
    # The free ones, six while the wait doubles from a minute to an hour, then one an hour.
    for first in looked_at:
        of_a_day = [at for at in looked_at if first <= at < first + timedelta(days=1)]
        assert len(of_a_day) <= FREE_GUESSES + 6 + 24


def test_waits_double_from_a_minute_to_an_hour_and_are_said_honestly() -> None:
    now, standing, waits = BEGIN, Standing(), []
    for _ in range(FREE_GUESSES + 8):
        verdict, standing = judge(standing, WRONG, now)
        assert verdict is Verdict.WRONG
        wait = totp.waiting(standing, now=now)
        waits.append(wait / timedelta(minutes=1))
        if wait:
            almost = now + wait - timedelta(microseconds=1)
            assert judge(standing, code_of(totp.step_at(almost)), almost) == (Verdict.TOO_SOON, standing)
        now += wait
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_right_code_ends_the_waiting_once_it_may_come() -> None:
    standing = Standing(-1, FREE_GUESSES, BEGIN)
    later = BEGIN + totp.FIRST_WAIT
    verdict, standing = judge(standing, code_of(totp.step_at(later)), later)
    assert (verdict, standing.failures) == (Verdict.RIGHT, 0)


def test_wrong_codes_of_long_ago_are_forgotten() -> None:
    standing = Standing(-1, 40, BEGIN)
    _, again = judge(standing, WRONG, BEGIN + totp.FORGOTTEN_AFTER)
    assert again.failures == 1
    _, soon = judge(standing, WRONG, BEGIN + totp.FORGOTTEN_AFTER - timedelta(seconds=1))
    assert soon.failures == 41


@given(st.integers(0, 10_000))
def test_no_number_of_wrong_codes_makes_anybody_wait_longer_than_an_hour(failures: int) -> None:
    assert totp.waiting(Standing(-1, failures, BEGIN), now=BEGIN) <= totp.LONGEST_WAIT


@pytest.mark.parametrize(
    ("text", "one"),
    [("123456", True), ("000000", True), ("12345", False), ("1234567", False), ("12345a", False), ("", False),
     ("١٢٣٤٥٦", False), ("²23456", False), ("k3vq-aaaa-bbbb-cccc", False)],
)  # fmt: skip
def test_six_plain_digits_are_a_code_of_an_app_and_nothing_else(text: str, one: bool) -> None:
    assert totp.is_code(text) is one


def test_a_secret_has_160_bits_and_the_uri_says_what_an_app_needs() -> None:
    secrets = {totp.new_secret() for _ in range(50)}
    assert len(secrets) == 50
    secret = secrets.pop()
    assert len(base64.b32decode(secret)) * 8 == 160
    uri = urlsplit(totp.uri(secret, "ada+shop@example.org", "OrderHub"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/OrderHub:ada+shop@example.org"
    given = parse_qs(uri.query)
    # Nothing else: SHA-1, six digits and thirty seconds are what every app takes for granted.
    assert given == {"secret": [secret], "issuer": ["OrderHub"]}
    app = pyotp.parse_uri(totp.uri(secret, "ada@example.org", "OrderHub"))
    assert totp.matching_step(secret, app.at(BEGIN), now=BEGIN) == math.floor(BEGIN.timestamp() / 30)
