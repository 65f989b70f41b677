"""Rows of DuckDB as plain JSON values, of few rows and of many."""

import json

from modeltrail_collector.answers.plain import fetched
from modeltrail_collector.tables import scan

VALUES = """'r' || n AS text, n, n % 2 = 0 AS is_even, n::DOUBLE / 4 AS real, ['a', NULL] AS texts,
    NULL AS none, n::HUGEINT AS total, {'at': '2026-03-01T12:00:00Z'::TIMESTAMPTZ, 'n': n} AS part,
    CASE WHEN n % 3 > 0 THEN '1969-12-31T23:59:59.5Z'::TIMESTAMPTZ + to_microseconds(n) END AS at"""


def asked(first: int, end: int):
    with scan.connect() as connection:
        connection.execute(f"SELECT {VALUES} FROM range({first}, {end}) AS t(n) ORDER BY n")
        return fetched(connection)


def test_many_rows_are_told_as_few_are() -> None:
    """A value is the same JSON whether its row is read with few others or with thousands."""
    many = asked(0, 5000)
    assert [*asked(0, 50), *asked(4960, 5000)] == [*many[:50], *many[4960:]]
    assert many == json.loads(json.dumps(many))
    assert list(range(5000)) == [row["n"] for row in many]
    told = {"text": "r4999", "real": 1249.75, "texts": ["a", None], "none": None, "total": 4999}
    assert told == {name: many[-1][name] for name in told}
    assert ("1969-12-31T23:59:59.504999Z", None) == (many[-1]["at"], many[4998]["at"])
    assert {"at": "2026-03-01T12:00:00.000000Z", "n": 4999} == many[-1]["part"]


def test_no_rows_are_none() -> None:
    """A query that finds nothing is told as nothing."""
    assert [] == asked(0, 0)
