"""Persons as pseudonyms: how a value is spelled, what a key makes of it, and how an index is searched."""

import datetime as dt
import hashlib
import hmac
import re
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail_schemas import subjects

KEY = bytes(range(64))

SAME = {
    "7": [7, 7.0, "7", " 7\n", "007", "+7", "7.0", "7.", "+007.000", b"7", Decimal("7.00"), Fraction(7)],
    "-3": [-3, -3.0, "-3", "-03.0", np.int8(-3), np.float32(-3)],
    "0": [0, -0.0, "0", "-0", "000", "+0.0"],
    "9007199254740993": [2**53 + 1, "9007199254740993", np.int64(2**53 + 1)],
    "a7": ["a7", " a7 ", b"a7", np.str_("a7")],
    "é": ["é", "e\u0301"],
    "ff00": [b"\xff\x00"],
    "7.5": [7.5, "7.5", np.float32(7.5), Decimal("7.5")],
    "True": [True, np.bool_(True), "True"],
    "2026-01-02": [dt.date(2026, 1, 2)],
    "00000000-0000-0000-0000-000000000007": [uuid.UUID(int=7)],
}
APART = [
    "7",
    "7a",
    "A7",
    "a7",
    "1e3",
    "1000",
    "7,0",
    "7.1",
    "\u0667",
    "0x7",
    "7 7",
    "-7",
    "7.00.0",
    "--7",
    "True",
    "1",
]
NOBODY = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "s"), "", "  ",
          b"", Decimal("NaN"), Decimal("sNaN")]  # fmt: skip


@pytest.mark.parametrize("spelling", SAME)
def test_a_person_is_spelled_in_one_way(spelling: str) -> None:
    """Whatever type a value has, and however its text is padded: one spelling."""
    assert {spelling} == {subjects.spelled(value) for value in SAME[spelling]}


def test_other_values_are_other_persons() -> None:
    """What is not the same number or text is somebody else; odd numbers have a spelling too."""
    assert len(APART) == len({subjects.spelled(value) for value in APART})
    assert ["1e+300", "inf", "1E+999999"] == list(
        map(subjects.spelled, (1e300, float("inf"), Decimal("1e999999")))
    )


@pytest.mark.parametrize("value", NOBODY, ids=repr)
def test_what_is_missing_is_nobody(value: object) -> None:
    """A missing value of any library, and empty text, has no spelling."""
    assert subjects.spelled(value) is None


@given(st.integers())
def test_a_whole_number_is_spelled_as_its_text(number: int) -> None:
    """However large: as an int, as text, with a fraction of zeros."""
    assert {str(number)} == {subjects.spelled(each) for each in (number, str(number), f"{number}.0")}


def test_a_pseudonym_is_a_keyed_digest_of_the_spelling() -> None:
    """As the module says, worked out another way; another key makes another one and is called otherwise."""
    digest = hmac.new(KEY, b"modeltrail subject 1\n4711", hashlib.sha256).digest()
    assert digest[:16] == subjects.pseudonym(KEY, "4711")
    other = KEY[::-1]
    assert subjects.pseudonym(other, "4711") != subjects.pseudonym(KEY, "4711")
    assert subjects.key_id(other) != subjects.key_id(KEY)
    assert len(subjects.key_id(KEY)) == 16


@given(st.sets(st.integers(0, 10_000), max_size=300), st.integers(0, 10_000))
def test_an_index_is_searched(held: set[int], wanted: int) -> None:
    """A person is found if, and only if, in it."""
    index = subjects.index({subjects.pseudonym(KEY, str(each)) for each in held})
    assert subjects.is_index(index)
    assert (wanted in held) == subjects.holds(index, subjects.pseudonym(KEY, str(wanted)))


def test_a_key_is_not_too_short(tmp_path: Path) -> None:
    """A file is a key with 32 bytes and more; the message says how one is made."""
    file = tmp_path / "subjects.key"
    file.write_text("a" * 64 + "\n")
    assert b"a" * 64 == subjects.read_key(file)
    file.write_text("secret\n")
    with pytest.raises(ValueError, match=re.escape("openssl rand -hex -out subjects.key 32")):
        subjects.read_key(file)
