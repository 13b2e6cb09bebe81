"""The one list of countries."""

from __future__ import annotations

import pytest
from orderhub_contracts.countries import COUNTRIES


def test_the_list_has_the_official_codes_and_no_others() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.isascii() and code.isalpha() and code.isupper() for code in COUNTRIES)
    assert {
        "AX",
        "BQ",
        "CW",
        "DE",
        "GB",
        "HK",
        "ME",
        "NL",
        "PS",
        "RS",
        "SS",
        "SX",
        "TL",
        "TW",
        "US",
    } <= COUNTRIES


@pytest.mark.parametrize(
    "codes",
    [
        {"AA", "QM", "QZ", "XA", "XI", "XK", "XX", "XZ", "ZZ"},  # user-assigned
        {"AC", "CP", "DG", "EA", "EU", "EZ", "IC", "SU", "TA", "UK", "UN"},  # exceptionally reserved
        {"AN", "BU", "CS", "DD", "FX", "NT", "TP", "YU", "ZR"},  # withdrawn
    ],
)
def test_codes_that_only_look_like_countries_are_not_in_it(codes: set[str]) -> None:
    assert not codes & COUNTRIES
