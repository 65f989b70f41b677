"""How numbers of things are told."""

import pytest

from modeltrail_schemas.words import counted


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 notices wait"), (1, "1 notice waits"), (2, "2 notices wait"), (1000, "1,000 notices wait")],
)
def test_one_is_told_as_one(number, told) -> None:
    """A number of things agrees with its noun and its verb."""
    assert told == counted(number, "notice", "waits", "wait")
    assert told.rsplit(" ", 1)[0] == counted(number, "notice")
