"""Rows of an import: every bad cell is named by line and column, lines are counted as an editor counts them."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_chassis.errors import Invalid
from orderhub_inventory.commands import imports, tables
from orderhub_inventory.commands.imports import Importer

HEADER = "vendor,sku,title,kind,species,price_minor,currency,stock,life_stage,age_days,weight_kg,weaned,carapace_cm"
FISH = (
    "Blue Lagoon Aquatics,FISH-1,Cardinal tetra,countable,paracheirodon_axelrodi,2490,EUR,400,adult,,0.002,,"
)
CAT = "Blue Lagoon Aquatics,CAT-1,Kitten,individual,felis_catus,9900,EUR,1,juvenile,42,0.8,false,"
IMPORTER = Importer({"blue lagoon aquatics": UUID(int=1)}, None, date(2026, 5, 1))


def a_table(*rows: str) -> tables.Table:
    data = "\n".join([HEADER, *rows]).encode()
    return tables.read(data, imports.PRODUCT_COLUMNS, imports.PRODUCT_REQUIRED, 10)


def test_a_good_row_is_taken_over() -> None:
    row = imports.product_row(a_table(CAT).rows[0], IMPORTER)
    assert row is not None
    assert (row.key, row.price, row.stock, row.dated) == ((UUID(int=1), "cat-1"), (9900, "EUR"), 1, False)
    assert (row.facts.born_on, row.facts.weaned, row.facts.carapace_cm) == (date(2026, 3, 20), False, None)


def test_lines_are_counted_through_quotes_and_empty_rows() -> None:
    table = a_table(FISH.replace("Cardinal tetra", '"Cardinal\n\ntetra"'), "", ",,", CAT)
    assert [row.line for row in table.rows] == [2, 7]
    assert tables.read(b"\xef\xbb\xbfsku\r\nA\r\n", ["sku"], ["sku"], 10).rows[0].cells == {"sku": "A"}


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (FISH.replace("FISH-1", ""), ("sku", "required")),
        (FISH.replace("FISH-1", "a b"), ("sku", "pattern")),
        (FISH.replace("Cardinal tetra", ""), ("title", "required")),
        (FISH.replace("countable", "many"), ("kind", "enum")),
        (FISH.replace("paracheirodon_axelrodi", ""), ("species", "required")),
        (FISH.replace("paracheirodon_axelrodi", "Tetra!"), ("species", "pattern")),
        (FISH.replace("2490", ""), ("price_minor", "required")),
        (FISH.replace("2490", "24.90"), ("price_minor", "type")),
        (FISH.replace("2490", "-5"), ("price_minor", "range")),
        (FISH.replace("2490", "9" * 30), ("price_minor", "type")),
        (FISH.replace("EUR", "XXQ"), ("currency", "enum")),
        (FISH.replace("400", "many"), ("stock", "type")),
        (FISH.replace("400", "-1"), ("stock", "range")),
        (FISH.replace("adult", "old"), ("life_stage", "enum")),
        (FISH.replace("adult,", "adult,1e3"), ("age_days", "type")),
        (FISH.replace("adult,", "adult,-1"), ("age_days", "range")),
        (FISH.replace("0.002", "light"), ("weight_kg", "type")),
        (FISH.replace("0.002", "nan"), ("weight_kg", "range")),
        (FISH.replace("0.002,", "0.002,yes"), ("weaned", "type")),
        (FISH + "0", ("carapace_cm", "range")),
        (FISH.replace("Blue Lagoon Aquatics", ""), ("vendor", "required")),
        (FISH.replace("Blue Lagoon Aquatics", "Nobody"), ("vendor", "unknown_vendor")),
        (FISH + ",", ("", "length")),
        (FISH.removesuffix(",,"), ("", "length")),
        (CAT.replace(",1,", ",2,"), ("stock", "range")),
        (CAT.replace("individual,felis_catus", "good,"), ("life_stage", "enum")),
    ],
)
def test_a_bad_row_is_named(row: str, wrong: tuple[str, str]) -> None:
    (read,) = a_table(row).rows
    assert imports.product_row(read, IMPORTER) is None
    assert wrong in [(error.column, error.code) for error in read.errors]
    assert {error.line for error in read.errors} == {2}


cells = st.one_of(
    st.sampled_from(["good", "countable", "individual", "EUR", "1", "-0", "1e999", "true", '"', "a\nb"]),
    st.text(),
)


@given(st.lists(st.lists(cells, max_size=14), max_size=5))
def test_whatever_the_cells_hold_a_row_is_good_or_says_what_is_wrong(rows: list[list[str]]) -> None:
    try:
        table = a_table(
            *(",".join(row).replace("\x00", "").encode(errors="replace").decode() for row in rows)
        )
    except Invalid:
        return
    for row in table.rows:
        assert (imports.product_row(row, IMPORTER) is None) == bool(row.errors)


@given(st.binary())
def test_whatever_the_bytes_are_they_are_a_table_or_refused(data: bytes) -> None:
    try:
        found = tables.read(data, imports.PRODUCT_COLUMNS, imports.PRODUCT_REQUIRED, 10).errors
    except Invalid as refused:
        found = [error for error in refused.errors if error.pointer == "/csv"]
    assert found
