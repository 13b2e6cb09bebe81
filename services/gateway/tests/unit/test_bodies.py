"""Whatever bytes come in: a struct, or a refusal that names the field."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis.errors import Failure
from orderhub_gateway import bodies
from orderhub_gateway.schemas.orders import PlaceOrder

ORDER = msgspec.json.Decoder(PlaceOrder)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
GOOD: dict[str, Any] = {
    "lines": [{"sku": "A", "quantity": 1}],
    "ship_to": {"name": "Ada", "line1": "Weg 1", "city": "Berlin", "postal_code": "1", "country": "DE", "lat": 1, "lon": 2},
    "payment": {"token": "tok_ok"},
    "comment": "hi",
}  # fmt: skip
PLACES = ["lines", "lines.0", "lines.0.sku", "lines.0.quantity", "ship_to", "ship_to.lat", "ship_to.country",
          "payment", "payment.token", "comment"]  # fmt: skip


def resolve(document: Any, pointer: str) -> Any:
    """RFC 6901."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


@given(st.binary(max_size=200))
def test_any_bytes_are_an_order_or_a_refusal(body: bytes) -> None:
    with pytest.raises(Failure):
        bodies.decode(ORDER, body)


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_at_any_place_is_taken_or_refused_by_its_place(place: str, value: Any) -> None:
    document = json.loads(json.dumps(GOOD))
    *way, last = place.split(".")
    target = document
    for step in way:
        target = target[int(step)] if step.isdigit() else target[step]
    target[int(last) if last.isdigit() else last] = value
    try:
        bodies.decode(ORDER, json.dumps(document).encode())
    except Failure as failure:
        (error,) = failure.errors
        assert error.pointer.startswith("/" + place.replace(".", "/"))
        if error.code not in ("required",):
            resolve(document, error.pointer)


@given(st.text(min_size=1).filter(lambda name: name not in GOOD and "`" not in name))
def test_an_unknown_member_is_named_whatever_it_is_called(name: str) -> None:
    with pytest.raises(Failure) as refused:
        bodies.decode(ORDER, json.dumps({**GOOD, name: 1}).encode())
    (error,) = refused.value.errors
    assert resolve({**GOOD, name: 1}, error.pointer) == 1


@pytest.mark.parametrize("text", ["a\\u0000b", "\\u0000"])
def test_a_nul_is_refused_but_a_backslash_u0000_is_text(text: str) -> None:
    raw = json.dumps({**GOOD, "comment": "?"})
    with pytest.raises(Failure):
        bodies.decode(ORDER, raw.replace('"?"', f'"{text}"').encode())
    escaped = bodies.decode(ORDER, raw.replace('"?"', '"\\\\u0000"').encode())
    assert escaped.comment == "\\u0000"


ANY = msgspec.json.Decoder(Any)
PLAIN = st.recursive(
    st.none() | st.integers(-(10**9), 10**9) | st.text() | st.text(":a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab:cä"), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN, st.sampled_from([(",", ":"), (", ", " : ")]), st.booleans())
def test_what_has_no_doubled_member_is_taken(
    value: Any, separators: tuple[str, str], ascii_only: bool
) -> None:
    if "\\u0000" not in json.dumps(value):
        body = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
        assert bodies.decode(ANY, body) == json.loads(body)


@given(PLAIN, PLAIN, st.sampled_from(["a", "a:b", "ä", "\\", '"']), st.booleans())
def test_a_doubled_member_is_refused_wherever_it_is(
    first: Any, second: Any, name: str, ascii_only: bool
) -> None:
    key, one, two = (json.dumps(x, ensure_ascii=ascii_only) for x in (name, first, second))
    other = key.replace("a", "\\u0061")
    for body in (f"{{{key}:{one},{key} :{two}}}", f'[{{"x":{{{key}:{one},"y":{two},{other}:{two}}}}}]'):
        with pytest.raises(Failure) as refused:
            bodies.decode(ANY, body.encode())
        assert refused.value.code == "request.doubled"


DEPTH = 8
SHALLOW: list[tuple[str, bytes]] = [
    ("at-the-limit", b"[" * DEPTH + b"]" * DEPTH),
    ("many-side-by-side", b"[" + b",".join([b"[[]]"] * 1000) + b"]"),
    ("objects-and-arrays", b'{"a":[{"b":[{"c":[{"d":[]}]}]}]}' + b" " * 9),
    ("in-a-string", b'["' + b"[" * 1000 + b'"]'),
    ("behind-an-escaped-quote", b'["a\\"' + b"[" * 1000 + b'\\""]'),
    ("behind-escaped-backslashes", b'["a\\\\","' + b"{" * 1000 + b'"]'),
    ("a-string-without-an-end", b'["' + b"[" * 1000),
    ("closed-too-often", b"[]" * 100 + b"]" * 100),
]
DEEP: list[tuple[str, bytes]] = [
    ("one-too-many", b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1)),
    ("objects", b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1)),
    ("both", b'[{"a":' * (DEPTH // 2) + b"[1]" + b"}]" * (DEPTH // 2)),
    ("after-shallow-ones", b"[" + b"[],[[]]," * 50 + b"[" * DEPTH + b"]" * DEPTH + b"]"),
    ("never-closed", b"[" * 500_000),
    ("after-a-string", b'["]]]]]]]]]",' + b"[" * DEPTH + b"]" * (DEPTH + 1)),
    ("after-a-string-with-a-backslash-at-its-end", b'["\\\\",' + b"[" * DEPTH + b"]" * (DEPTH + 1)),
]


@pytest.mark.parametrize("body", [body for _, body in SHALLOW], ids=[name for name, _ in SHALLOW])
def test_what_is_nested_as_deep_as_may_be_passes(body: bytes) -> None:
    bodies.check_depth(body, DEPTH)


@pytest.mark.parametrize("body", [body for _, body in DEEP], ids=[name for name, _ in DEEP])
def test_what_is_nested_deeper_is_refused_with_the_limit(body: bytes) -> None:
    with pytest.raises(bodies.TooDeep, match=f"deeper than {DEPTH} levels"):
        bodies.check_depth(body, DEPTH)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((depth(item) for item in inner), default=0)


@given(VALUES, st.integers(0, 5), st.integers(1, 6))
def test_the_limit_is_on_the_depth_that_a_parser_sees(value: Any, around: int, limit: int) -> None:
    for _ in range(around):
        value = [value]
    body = json.dumps(value).encode()
    if depth(value) > limit:
        with pytest.raises(bodies.TooDeep):
            bodies.check_depth(body, limit)
    else:
        bodies.check_depth(body, limit)


@given(st.binary(max_size=300) | st.text(alphabet='[]{}"\\,a', max_size=300).map(str.encode))
def test_no_bytes_make_the_check_fail_in_another_way(body: bytes) -> None:
    try:
        bodies.check_depth(body, 3)
    except bodies.TooDeep:
        return
    try:
        parsed = json.loads(body)
    except ValueError:
        return
    assert depth(parsed) <= 3
