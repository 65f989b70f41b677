"""The description of the tables."""

import pytest

import modeltrail_schemas
from modeltrail_collector.tables.schema import PUBLIC


@pytest.mark.parametrize("name", modeltrail_schemas.tables())
def test_the_tables_keep_what_is_promised(name: str) -> None:
    """Every column that is promised exists in the table, with the promised type."""
    promised = {column["name"]: column["type"] for column in modeltrail_schemas.table_columns(name)}
    kept = {field.name: str(field.type) for field in PUBLIC[name]}
    assert promised == {column: kept.get(column) for column in promised}


@pytest.mark.parametrize("name", modeltrail_schemas.tables())
def test_every_table_and_column_is_described(name: str) -> None:
    """Tables and columns have a name, a type, whether they can be null, and a sentence each."""
    table = modeltrail_schemas.tables()[name]
    assert table["doc"].endswith(".")
    for column in table["columns"]:
        assert {"name", "type", "nullable", "doc"} == set(column)
        assert bool is type(column["nullable"])
        assert column["doc"].endswith((".", "…"))


def test_an_unknown_table() -> None:
    """Asking for the columns of a table that does not exist is a KeyError."""
    with pytest.raises(KeyError):
        modeltrail_schemas.table_columns("people")
