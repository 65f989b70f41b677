"""The description of the tables."""

import subprocess
import sys
from pathlib import Path

import pytest

import modeltrail_schemas
from modeltrail_collector.tables.schema import PUBLIC

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PUBLIC)
def test_the_tables_are_what_is_described(name: str) -> None:
    """Every column of every public table is described, with its type, and no other."""
    described = {column["name"]: column["type"] for column in modeltrail_schemas.table_columns(name)}
    assert described == {field.name: str(field.type) for field in PUBLIC[name]}


def test_the_page_describes_them_so() -> None:
    """docs/tables.md shows the descriptions as they are now."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


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
